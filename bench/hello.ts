/**
 * What the change of one layer costs: the same `HttpRouter` app on `Server.layer` and on stock `NodeHttpServer.layer`, CPU of the server
 * for each request, rounds interleaved.
 */
import { execFile } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { LoadOptions, LoadReport } from "./load/closedLoop.ts"
import { machine, watchSteal } from "./support/machine.ts"
import { ServerProcess } from "./support/serverProcess.ts"
import { spread } from "./support/statistics.ts"

/** Before the code of either is compiled for good, its share of the CPU is not what a server pays that runs for hours. */
const warmUpSeconds = 4
const [rounds, connections, seconds] = [9, 64, 4]
const names = ["spillway", "stock"] as const
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

const load = async (options: LoadOptions): Promise<LoadReport> => {
  const { stdout } = await promisify(execFile)(process.execPath, [path("load/closedLoop.ts"), JSON.stringify(options)])
  return JSON.parse(stdout) as LoadReport
}

const measure = async (name: string) => {
  const server = await ServerProcess.start(path("servers/hello.ts"), [name], {})
  const target = { host: "127.0.0.1", port: server.port, path: "/", connections }
  await load({ ...target, seconds: warmUpSeconds })
  const before = server.cpuSeconds()
  const report = await load({ ...target, seconds })
  const microsPerRequest = (1e6 * (server.cpuSeconds() - before)) / report.answers
  await server.stop()
  if (report.failures > 0) throw new Error(`${name}: ${report.failures} requests failed`)
  return { microsPerRequest, requestsPerSecond: report.answers / report.seconds }
}

const steal = watchSteal()
const results: Record<(typeof names)[number], Array<Awaited<ReturnType<typeof measure>>>> = { spillway: [], stock: [] }
for (let round = 0; round < rounds; round++) {
  for (const name of round % 2 === 0 ? names : names.toReversed()) results[name].push(await measure(name))
}

const summary = names.map((name) => ({
  name,
  microsPerRequest: spread(results[name].map((result) => result.microsPerRequest)),
  requestsPerSecond: spread(results[name].map((result) => result.requestsPerSecond))
}))
const ratio = spread(
  results.spillway.map((ours, round) => ours.microsPerRequest / results.stock[round]!.microsPerRequest)
)
const stealPercent = steal()

for (const { microsPerRequest: cpu, name, requestsPerSecond: speed } of summary) {
  console.log(
    `${name.padEnd(9)} ${cpu.median.toFixed(1)} us CPU a request (${cpu.min.toFixed(1)} to ${cpu.max.toFixed(1)}), ` +
      `${speed.median.toFixed(0)} requests/s (${speed.min.toFixed(0)} to ${speed.max.toFixed(0)})`
  )
}
console.log(
  `CPU of spillway over stock, round by round: ${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`
)
console.log(`CPU time stolen by the host meanwhile: ${stealPercent ?? "unknown"} %`)

const folder = new URL("./results/", import.meta.url)
mkdirSync(folder, { recursive: true })
const report = {
  scenario: "hello",
  rounds,
  connections,
  seconds,
  warmUpSeconds,
  machine: machine(),
  stealPercent,
  ratio,
  summary,
  results
}
writeFileSync(new URL("hello.json", folder), `${JSON.stringify(report, undefined, 2)}\n`)
