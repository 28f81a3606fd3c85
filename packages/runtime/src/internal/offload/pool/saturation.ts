import { saturationOf } from "../../saturation.ts"
import type { Bounds } from "../../saturation.ts"
import { monotonicMillis } from "../protocol.ts"
import type { ThreadPool } from "./threadPool.ts"

/** How near a pool is to refusing, from 0 to 1. */
export const poolSaturation = (pool: ThreadPool, bounds: Bounds): number => {
  const { crew, queue, queued, running } = pool
  return saturationOf(queue, { running, queued, capacity: crew.capacity }, bounds, monotonicMillis())
}
