/** How near a bounded queue is to refusing. */
import type { AdmissionQueue } from "../AdmissionQueue.ts"
import type { SheddingOptions } from "../AdmissionOptions.ts"
import * as CoDel from "../CoDel.ts"

/** What is at work and waits, and how much may be at work at once. */
export interface Level {
  readonly running: number
  readonly queued: number
  readonly capacity: number
}

/** Times are in milliseconds. */
export interface Bounds {
  readonly maxQueued: number
  readonly maxWait: number
  readonly codel: SheddingOptions | undefined
}

/** The wait above which CoDel sheds, which follows the mean time of the work. */
const toleranceOf = ({ maxTarget = 0, target = CoDel.defaults.target }: SheddingOptions, meanHold: number): number =>
  2 * Math.max(target, Math.min(meanHold, maxTarget))

/** From 0 to 1. */
export const saturationOf = (
  queue: Pick<AdmissionQueue<unknown>, "meanHold" | "overloaded">,
  { capacity, queued, running }: Level,
  { codel, maxQueued, maxWait }: Bounds,
  now: number
): number => {
  if (maxQueued === 0 || maxWait === 0) return running >= capacity ? 1 : 0
  if (queued === 0) return 0
  const { meanHold = 0 } = queue
  const wait = (queued * meanHold) / Math.max(1, capacity)
  // A burst is not shed: what CoDel bears counts for nothing.
  const longest = codel !== undefined && queue.overloaded(now) ? toleranceOf(codel, meanHold) : maxWait
  return Math.min(1, Math.max(queued / maxQueued, wait / Math.min(longest, maxWait)))
}
