/**
 * How long it takes until N callers that all want one of ten permits at once have had their turn: `Bulkhead` beside Effect's
 * `Semaphore`, in the same process, rounds interleaved. CPU time of the process, since that is what a server loses.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { Effect, Semaphore } from "effect"
import { Bulkhead } from "@spillway/runtime"
import { lineChart } from "./support/lineChart.ts"
import { machine, watchSteal } from "./support/machine.ts"
import { spread } from "./support/statistics.ts"
import type { Spread } from "./support/statistics.ts"

const permits = 10
const rounds = 5

interface Candidate {
  readonly name: string
  /** More waiters than this would take minutes. */
  readonly most: number
  readonly make: () => <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
}

const candidates: ReadonlyArray<Candidate> = [
  {
    name: "Bulkhead",
    most: 100_000,
    make: () => Bulkhead.make({ maxConcurrent: permits, maxQueued: Infinity }).withPermit
  },
  {
    name: "Bulkhead, maxWait",
    most: 100_000,
    make: () => Bulkhead.make({ maxConcurrent: permits, maxQueued: Infinity, maxWait: "1 minute" }).withPermit
  },
  { name: "Effect Semaphore", most: 16_000, make: () => Semaphore.makeUnsafe(permits).withPermits(1) },
  { name: "no limit at all", most: 100_000, make: () => (self) => self }
]

const sizes = [1000, 4000, 16_000, 50_000, 100_000]

const run = async (candidate: Candidate, waiters: number): Promise<number> => {
  const limit = candidate.make()
  const task = limit(Effect.yieldNow)
  globalThis.gc?.()
  const before = process.cpuUsage()
  await Effect.runPromise(
    Effect.forEach(Array.from({ length: waiters }), () => task, { concurrency: "unbounded", discard: true })
  )
  const { system, user } = process.cpuUsage(before)
  return (user + system) / 1000
}

const measure = async () => {
  const samples = new Map<string, Array<number>>()
  for (const candidate of candidates) await run(candidate, 1000)
  for (let round = 0; round < rounds; round++) {
    for (const size of sizes) {
      for (const candidate of candidates) {
        if (size > candidate.most || (size > 4000 && candidate.most < 100_000 && round >= 3)) continue
        const key = `${candidate.name} ${size}`
        samples.set(key, [...(samples.get(key) ?? []), await run(candidate, size)])
      }
    }
  }
  return candidates.map(({ name }) => ({
    name,
    milliseconds: sizes.flatMap((size): Array<readonly [number, Spread]> => {
      const found = samples.get(`${name} ${size}`)
      return found === undefined ? [] : [[size, spread(found)]]
    })
  }))
}

const steal = watchSteal()
const results = await measure()
const report = { scenario: "waiters", permits, rounds, machine: machine(), stealPercent: steal(), results }

for (const { milliseconds, name } of results) {
  for (const [size, { max, median, min }] of milliseconds) {
    const each = ((1000 * median) / size).toFixed(2)
    console.log(
      `${name.padEnd(18)} ${String(size).padStart(7)} waiters: ${median.toFixed(0)} ms CPU (${min.toFixed(0)} to ${max.toFixed(0)}), ${each} us each`
    )
  }
}
console.log(`CPU time stolen by the host meanwhile: ${report.stealPercent ?? "unknown"} %`)

const folder = new URL("./results/", import.meta.url)
mkdirSync(folder, { recursive: true })
writeFileSync(new URL("waiters.json", folder), `${JSON.stringify(report, undefined, 2)}\n`)
writeFileSync(
  new URL("waiters.svg", folder),
  lineChart({
    title: `CPU time until all waiters of ${permits} permits have had their turn`,
    x: "waiters",
    y: "milliseconds of CPU",
    series: results.map(({ milliseconds, name }) => ({
      name,
      points: milliseconds.map(([size, { median }]) => [size, median] as const)
    }))
  })
)
