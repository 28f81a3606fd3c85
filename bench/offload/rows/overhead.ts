/**
 * Row 3: what the pool adds to a task of 1 ms, on 8 workers. The task sleeps in `Atomics.wait`: it holds its thread for a millisecond and
 * leaves the core free, since on fewer cores than workers a computing task would mostly measure how the threads share the cores.
 */
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { interleave, withPool } from "../interleave.ts"
import type { Samples } from "../interleave.ts"
import { meetAll } from "../meet.ts"
import type { Candidate, Pool, Request } from "../pool.ts"
import { measured, rounds, warmUp } from "../settings.ts"
import { bareMessages } from "../candidates/bareMessages.ts"
import { effectRpc } from "../candidates/effectRpc.ts"
import { ours } from "../candidates/ours.ts"
import { piscina } from "../candidates/piscina.ts"
import { poolifier } from "../candidates/poolifier.ts"
import { tinypool } from "../candidates/tinypool.ts"
import { workerpoolDefault } from "../candidates/workerpool.ts"

const pools: ReadonlyArray<Candidate> = [ours, bareMessages, piscina, tinypool, workerpoolDefault, poolifier, effectRpc]
const workers = 8
const millis = 1
/** With as many callers as workers each task is a round trip; with twice as many a pool may have the next one at hand. */
const callerCounts = [workers, 2 * workers]

export interface OverheadReport {
  readonly workers: number
  readonly callerCounts: ReadonlyArray<number>
  readonly stealPercent: number | undefined
  /** What the task takes on as many threads that run it in a loop, without any pool: a sample for each round. */
  readonly aloneMillis: ReadonlyArray<number>
  /** Microseconds for each task over `aloneMillis` of the same round, by the number of callers. */
  readonly results: ReadonlyArray<Samples<ReadonlyArray<number>>>
}

const measureCallers = async (pool: Pool, callers: number): Promise<number> => {
  const from = performance.now() + warmUp
  const until = from + measured
  const request: Request = { task: "sleep", payload: { millis } }
  let [start, end, done] = [0, 0, 0]
  const next = () => {
    const now = performance.now()
    if (end > 0) return undefined
    if (now >= until) {
      end = now
      return undefined
    }
    if (start > 0) done++
    else if (now >= from) start = now
    return request
  }
  await pool.run(Array.from({ length: callers }, () => ({ next })))
  return ((end - start) * workers) / done
}

/** Without any pool: as many threads, each in a loop of its own. */
const measureAlone = async (): Promise<number> => {
  const all = Array.from({ length: workers }, () => new Worker(new URL("../workers/alone.worker.ts", import.meta.url)))
  await Promise.all(all.map((thread) => once(thread, "online")))
  const answers = all.map(async (thread) => {
    thread.postMessage({ forMillis: warmUp + measured, millis })
    const [each] = await once(thread, "message")
    return each as number
  })
  const each = await Promise.all(answers)
  await Promise.all(all.map((thread) => thread.terminate()))
  return each.reduce((sum, one) => sum + one, 0) / workers
}

const measurePool = (pool: Candidate) => () =>
  withPool(pool, workers, async (pool) => {
    await meetAll(pool, workers)
    const millisPerTask: Array<number> = []
    for (const callers of callerCounts) millisPerTask.push(await measureCallers(pool, callers))
    return millisPerTask
  })

export const overheadRow = async (): Promise<OverheadReport> => {
  const alone = { name: "alone", measure: async () => [await measureAlone()] }
  const candidates = [alone, ...pools.map((pool) => ({ name: pool.name, measure: measurePool(pool) }))]
  const { results, stealPercent } = await interleave(candidates, rounds, ({ measure }) => measure())
  const [baseline, ...others] = results
  const aloneMillis = baseline!.rounds.map(([each]) => each!)
  return {
    workers,
    callerCounts,
    stealPercent,
    aloneMillis,
    results: others.map(({ name, rounds }) => ({
      name,
      rounds: rounds.map((perTask, round) => perTask.map((each) => 1000 * (each - aloneMillis[round]!)))
    }))
  }
}
