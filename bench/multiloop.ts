/**
 * What the second event loop brings: the same app on one and on two loops of `MultiLoop`, and on `node:cluster` with two workers, rounds
 * interleaved. The load generator (wrk) needs a core too, so on a small machine the figure to look at is CPU per request.
 */
import { execFile } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { machine, watchSteal } from "./support/machine.ts"
import { ServerProcess } from "./support/serverProcess.ts"
import { spread } from "./support/statistics.ts"

const [rounds, connections, seconds] = [Number(process.env["ROUNDS"] ?? 7), 64, Number(process.env["SECONDS"] ?? 4)]
const candidates = {
  "one loop": ["loops", "1"],
  "two loops": ["loops", "2"],
  "node:cluster, two workers": ["cluster", "2"]
} as const
type Name = keyof typeof candidates
const names = Object.keys(candidates) as ReadonlyArray<Name>

const server = fileURLToPath(new URL("servers/multiloop.ts", import.meta.url))

/** Runs wrk and returns how many answers came. Throws for an answer that is not 2xx, and for a connection that broke. */
const load = async (port: number, duration: number): Promise<number> => {
  const args = ["-t1", `-c${connections}`, `-d${duration}s`, `http://127.0.0.1:${port}/`]
  const { stdout } = await promisify(execFile)("wrk", args)
  const failures = /Non-2xx.*|Socket errors.*/.exec(stdout)?.[0]
  if (failures !== undefined) throw new Error(failures)
  return Number(/(\d+) requests in/.exec(stdout)?.[1])
}

const measure = async (name: Name) => {
  const running = await ServerProcess.start(server, candidates[name], {})
  await load(running.port, 1)
  const [cpuBefore, before] = [running.cpuSeconds(), performance.now()]
  const answers = await load(running.port, seconds)
  const [cpu, elapsed] = [running.cpuSeconds() - cpuBefore, (performance.now() - before) / 1000]
  await running.stop()
  return { microsPerRequest: (1e6 * cpu) / answers, requestsPerSecond: answers / elapsed, cores: cpu / elapsed }
}

type Sample = Awaited<ReturnType<typeof measure>>

const steal = watchSteal()
const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Array<Sample>>
for (let round = 0; round < rounds; round++) {
  for (const name of round % 2 === 0 ? names : names.toReversed()) results[name].push(await measure(name))
}

const summary = names.map((name) => {
  const of = (key: keyof Sample) => spread(results[name].map((sample) => sample[key]))
  return {
    name,
    microsPerRequest: of("microsPerRequest"),
    requestsPerSecond: of("requestsPerSecond"),
    cores: of("cores")
  }
})
/** Requests that a second of server CPU carries with two loops, over those with one. */
const perCpu = spread(
  results["one loop"].map((one, round) => one.microsPerRequest / results["two loops"][round]!.microsPerRequest)
)
const stealPercent = steal()

for (const { cores, microsPerRequest: cpu, name, requestsPerSecond: speed } of summary) {
  console.log(
    `${name.padEnd(25)} ${cpu.median.toFixed(1)} us CPU a request (${cpu.min.toFixed(1)} to ${cpu.max.toFixed(1)}), ` +
      `${speed.median.toFixed(0)} requests/s (${speed.min.toFixed(0)} to ${speed.max.toFixed(0)}), ${cores.median.toFixed(2)} cores`
  )
}
console.log(
  `two loops on two cores of server CPU carry ${(2 * perCpu.median).toFixed(2)} times one loop on one ` +
    `(${(2 * perCpu.min).toFixed(2)} to ${(2 * perCpu.max).toFixed(2)}); target: 1.8`
)
console.log(`CPU time stolen by the host meanwhile: ${stealPercent ?? "unknown"} %`)

const folder = new URL("./results/", import.meta.url)
mkdirSync(folder, { recursive: true })
const report = {
  scenario: "multiloop",
  rounds,
  connections,
  seconds,
  machine: machine(),
  stealPercent,
  perCpu,
  summary,
  results
}
writeFileSync(new URL("multiloop.json", folder), `${JSON.stringify(report, undefined, 2)}\n`)
