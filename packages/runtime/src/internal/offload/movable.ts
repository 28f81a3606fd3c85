/** What of the parts that schemas mark as transferable can be moved between threads. */
import { isMarkedAsUntransferable } from "node:worker_threads"
import type { Transferable } from "node:worker_threads"

/** Each part once. Shared memory cannot move, nor can the pool of which small `Buffer`s are parts: those are copied. */
export const movable = (parts: ReadonlyArray<unknown>): ReadonlyArray<Transferable> =>
  [...new Set(parts)].filter(
    (part) => !(part instanceof SharedArrayBuffer) && !isMarkedAsUntransferable(part as object)
  ) as Array<Transferable>
