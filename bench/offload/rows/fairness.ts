/**
 * Row 5: how long tasks of 0.1 ms take while tasks of 50 ms hold a worker, on two workers. The long ones sleep in `Atomics.wait`, so that
 * what is measured is where the pool puts the short ones and not how the threads share the cores; the short ones compute.
 */
import { quantile } from "../../support/statistics.ts"
import { interleave, withPool } from "../interleave.ts"
import type { Interleaved } from "../interleave.ts"
import { meetAll } from "../meet.ts"
import { settlesWithin } from "../pool.ts"
import type { Caller, Candidate, Pool, Request } from "../pool.ts"
import { measured, rounds, threads, warmUp } from "../settings.ts"
import { patienceMillis } from "../tasks.ts"
import { effectRpc } from "../candidates/effectRpc.ts"
import { ours } from "../candidates/ours.ts"
import { piscina } from "../candidates/piscina.ts"
import { poolifier } from "../candidates/poolifier.ts"
import { tinypool } from "../candidates/tinypool.ts"
import { workerpoolDefault } from "../candidates/workerpool.ts"

/** Ours twice: its callers may say which tasks are urgent. */
const candidates: ReadonlyArray<Candidate & { readonly priority?: "high" }> = [
  ours,
  { ...ours, name: `${ours.name}, short ones with priority high`, priority: "high" },
  piscina,
  tinypool,
  workerpoolDefault,
  poolifier,
  effectRpc
]

const short: Request = { task: "burn", payload: { millis: 0.1 } }
const long: Request = { task: "sleep", payload: { millis: 50 } }
export const shortCallers = 16
/** Short ones come at this rate whatever became of those before: callers that wait for an answer would send least when it is slowest. */
export const open = { everyMillis: 2, burst: 4, burstEveryMillis: 300 }

export interface Latency {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly longest: number
  /** Short tasks that were never answered. */
  readonly lost: number
}

export interface Waits {
  /** One caller always has a long task under way; the short ones come from callers in a loop. */
  readonly steady: Latency
  /** Several long tasks come at once, from time to time; the short ones come on a schedule. */
  readonly bursts: Latency
}

export interface FairnessReport extends Interleaved<Waits> {
  readonly threads: number
  readonly shortCallers: number
  readonly open: typeof open
}

const summary = (latencies: ReadonlyArray<number>, lost: number): Latency => {
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    count: sorted.length,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    longest: sorted.at(-1) ?? NaN,
    lost
  }
}

/** Milliseconds from the request to the answer of each short task, from the end of the warm-up to the end of the time. */
const measureSteady = async (pool: Pool, request: Request): Promise<Latency> => {
  const from = performance.now() + warmUp
  const until = from + 1.2 * measured
  const latencies: Array<number> = []
  const makeShort = (): Caller => {
    let asked = 0
    return {
      next: () => {
        const now = performance.now()
        if (asked >= from) latencies.push(now - asked)
        asked = now
        return now >= until ? undefined : request
      }
    }
  }
  const longOnes: Caller = { next: () => (performance.now() >= until ? undefined : long) }
  await pool.run([longOnes, ...Array.from({ length: shortCallers }, makeShort)])
  return summary(latencies, 0)
}

/** Milliseconds from when a short task was due to its answer. */
const measureBursts = async (pool: Pool, request: Request): Promise<Latency> => {
  const latencies: Array<number> = []
  const calls: Array<Promise<unknown>> = []
  const start = performance.now()
  const until = start + 2.4 * measured
  let nextShort = start
  let nextBurst = start + open.burstEveryMillis / 3
  let asked = 0
  const issue = async (due: number) => {
    asked++
    await pool.call(request)
    latencies.push(performance.now() - due)
  }
  for (let now = start; now < until; now = performance.now()) {
    if (now >= nextBurst) {
      for (let i = 0; i < open.burst; i++) calls.push(pool.call(long))
      nextBurst += open.burstEveryMillis
    }
    for (; nextShort <= now; nextShort += open.everyMillis) calls.push(issue(nextShort))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await settlesWithin(Promise.all(calls), patienceMillis)
  return summary(latencies, asked - latencies.length)
}

export const fairnessRow = async (): Promise<FairnessReport> => {
  const { results, stealPercent } = await interleave(candidates, rounds, (candidate) => {
    const request: Request = candidate.priority === undefined ? short : { ...short, priority: candidate.priority }
    return withPool(candidate, threads, async (pool) => {
      await meetAll(pool, threads)
      return { steady: await measureSteady(pool, request), bursts: await measureBursts(pool, request) }
    })
  })
  return { threads, shortCallers, open, stealPercent, results }
}
