/**
 * A skewed mix of tasks in open loop, in a process of its own: `node load.ts '<Mix as JSON>'` prints the latencies of the short ones and of the
 * long ones, in milliseconds, and how many were not answered 200.
 */
import * as OpenLoop from "@spillway/http/testing/OpenLoop"
import * as Effect from "effect/Effect"
import { quantile } from "../support/statistics.ts"

export interface Mix {
  readonly host: string
  readonly port: number
  readonly rate: number
  readonly seconds: number
  readonly seed: number
  /** Milliseconds that a worker is held. */
  readonly short: number
  readonly long: number
  /** Which share of the tasks is long. */
  readonly share: number
}

interface Latencies {
  readonly p50: number
  readonly p99: number
}

export interface MixReport {
  readonly short: Latencies
  readonly long: Latencies
  readonly failed: number
}

/** Which tasks are long, by chance, but the same ones in each round of a seed: Mulberry32. */
const isLongBy = (seed: number, share: number) => (n: number) => {
  let state = (seed * 1_000_003 + n) | 0
  state = Math.imul(state ^ (state >>> 15), state | 1)
  state ^= state + Math.imul(state ^ (state >>> 7), state | 61)
  return ((state ^ (state >>> 14)) >>> 0) / 2 ** 32 < share
}

const summary = (latencies: ReadonlyArray<number>): Latencies => {
  const sorted = latencies.toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

const mix = JSON.parse(process.argv[2] ?? "{}") as Mix
const isLong = isLongBy(mix.seed, mix.share)
const [short, long]: [Array<number>, Array<number>] = [[], []]
let answered = 0

const { offered } = await Effect.runPromise(
  OpenLoop.run(mix, {
    rate: mix.rate,
    duration: mix.seconds * 1000,
    arrivals: "poisson",
    seed: mix.seed,
    connections: 4000,
    connection: "new",
    request: (n) => ({ path: `/sleep?ms=${isLong(n) ? mix.long : mix.short}` }),
    onAnswer: (n, status, latency) => {
      if (status !== 200) return
      answered++
      ;(isLong(n) ? long : short).push(latency)
    }
  })
)
const report: MixReport = { short: summary(short), long: summary(long), failed: offered - answered }
process.stdout.write(`${JSON.stringify(report)}\n`)
