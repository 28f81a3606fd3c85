/**
 * Which thread a task waits for: the ways to balance of `thread-pool`, on a mix of many short tasks and few long ones. A task here holds its
 * thread without computing, as one that waits for a database does, so that the cores do not decide. Rounds are interleaved; each measurement
 * starts a new server, and the load comes from another process.
 */
import { execFile } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { balancings } from "@spillway/examples/architectures/balancing/balancing"
import type { Name } from "@spillway/examples/architectures/balancing/balancing"
import type { Mix, MixReport } from "./balancing/load.ts"
import { machine, watchSteal } from "./support/machine.ts"
import { ServerProcess } from "./support/serverProcess.ts"
import { spread } from "./support/statistics.ts"

const [rounds, workers] = [Number(process.env["ROUNDS"] ?? 5), 8]
const mix = { seconds: Number(process.env["SECONDS"] ?? 8), short: 10, long: 400, share: 0.05 }
/** The share of their time that the threads are held for. */
const utilization = 0.7
const meanSeconds = (mix.short * (1 - mix.share) + mix.long * mix.share) / 1000
const rate = Math.round((utilization * workers) / meanSeconds)

const server = fileURLToPath(new URL("../packages/examples/src/architectures/main.ts", import.meta.url))
const generator = fileURLToPath(new URL("balancing/load.ts", import.meta.url))

const load = async (options: Mix): Promise<MixReport> => {
  const { stdout } = await promisify(execFile)(process.execPath, [generator, JSON.stringify(options)])
  return JSON.parse(stdout) as MixReport
}

const measure = async (name: Name, seed: number): Promise<MixReport> => {
  const env = { PORT: "0", ARCHITECTURE_WORKERS: String(workers), ARCHITECTURE_BALANCING: name }
  const running = await ServerProcess.start(server, ["thread-pool"], env)
  const target = { host: "127.0.0.1", port: running.port, rate, seed, ...mix }
  await load({ ...target, seconds: 1 })
  const report = await load(target)
  await running.stop()
  return report
}

const steal = watchSteal()
const results = Object.fromEntries(balancings.map((name) => [name, []])) as unknown as Record<Name, Array<MixReport>>
for (let round = 0; round < rounds; round++) {
  for (const name of round % 2 === 0 ? balancings : balancings.toReversed()) {
    const report = await measure(name, round + 1)
    results[name].push(report)
    console.log(`round ${round + 1}, ${name}: short p99 ${report.short.p99.toFixed(0)} ms, ${report.failed} failed`)
  }
}

const summary = balancings.map((name) => {
  const of = (value: (report: MixReport) => number) => spread(results[name].map(value))
  return {
    name,
    shortP50: of(({ short }) => short.p50),
    shortP99: of(({ short }) => short.p99),
    longP99: of(({ long }) => long.p99),
    failed: of(({ failed }) => failed)
  }
})

const folder = new URL("./results/", import.meta.url)
mkdirSync(folder, { recursive: true })
const report = {
  scenario: "balancing",
  rounds,
  workers,
  rate,
  utilization,
  ...mix,
  machine: machine(),
  stealPercent: steal(),
  summary
}
writeFileSync(new URL("balancing.json", folder), `${JSON.stringify({ ...report, results }, undefined, 2)}\n`)
