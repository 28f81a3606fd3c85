/** Row 2: how long after a runaway task was cancelled two tasks run at the same time again, on a pool of two threads. */
import { interleave, withPool } from "../interleave.ts"
import type { Interleaved } from "../interleave.ts"
import { meetAll } from "../meet.ts"
import type { Candidate, Pool } from "../pool.ts"
import { rounds, threads, trial } from "../settings.ts"
import { makeFlags, patienceMillis } from "../tasks.ts"
import { effectRpc } from "../candidates/effectRpc.ts"
import { oursAtOnce, oursWithSpare } from "../candidates/ours.ts"
import { piscina } from "../candidates/piscina.ts"
import { poolifier } from "../candidates/poolifier.ts"
import { tinypool } from "../candidates/tinypool.ts"
import { workerpoolAtOnce, workerpoolDefault } from "../candidates/workerpool.ts"

const killing: ReadonlyArray<Candidate> = [oursAtOnce, oursWithSpare, piscina, tinypool, workerpoolAtOnce]
/** One round is enough to see it: the first waits for two timeouts of a second, the others cannot end a synchronous loop. */
const slow: ReadonlyArray<Candidate> = [workerpoolDefault, effectRpc, poolifier]

const times = trial ? 1 : 4

/** Milliseconds of each cancellation; `null` where capacity never came back in time. */
type Recoveries = ReadonlyArray<number | null>

export interface CancelReport extends Interleaved<Recoveries> {
  readonly threads: number
  readonly patienceMillis: number
}

const sleepMillis = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const recover = async (pool: Pool): Promise<number | null> => {
  const flags = makeFlags()
  const controller = new AbortController()
  pool.call({ task: "spin", payload: { flags } }, controller.signal).catch(() => {})
  const begun = Atomics.waitAsync(flags, 0, 0, patienceMillis)
  if (begun.async) await begun.value
  if (Atomics.load(flags, 0) !== 1) throw new Error("the runaway task did not begin")
  const start = performance.now()
  controller.abort()
  return (await meetAll(pool, threads)) ? performance.now() - start : null
}

const measure = (candidate: Candidate, repeats: number): Promise<Recoveries> =>
  withPool(candidate, threads, async (pool) => {
    if (!(await meetAll(pool, threads)))
      throw new Error(`${candidate.name}: its ${threads} threads do not run tasks at the same time`)
    const recoveries: Array<number | null> = []
    for (let i = 0; i < repeats; i++) {
      // What has to be replaced behind the scenes, as our spare, has its time.
      await sleepMillis(300)
      recoveries.push(await recover(pool))
    }
    return recoveries
  })

export const cancelRow = async (): Promise<CancelReport> => {
  const { results, stealPercent } = await interleave(killing, rounds, (candidate) => measure(candidate, times))
  const once = await interleave(slow, 1, (candidate) => measure(candidate, 1))
  return { threads, patienceMillis, stealPercent, results: [...results, ...once.results] }
}
