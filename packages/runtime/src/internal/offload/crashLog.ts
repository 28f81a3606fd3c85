/** Logs the deaths of workers that no caller learns of. */
import * as Effect from "effect/Effect"
import type { WorkerGone } from "./pool/threadPool.ts"
import { monotonicMillis } from "./protocol.ts"

/** At most one is logged in so many milliseconds: a worker file that cannot start is tried again and again. */
const interval = 1000

/** A function that says what is to be logged of a worker that has gone, if anything. */
export const makeCrashLog = (offload: string): ((gone: WorkerGone) => Effect.Effect<void> | undefined) => {
  let loggedAt = -Infinity
  let silenced = 0
  return ({ cause, error, exitCode, told, worker }) => {
    if (told || cause !== "crashed") return undefined
    const now = monotonicMillis()
    if (now - loggedAt < interval) {
      silenced++
      return undefined
    }
    const annotations = { offload, worker, cause, exitCode, ...(silenced > 0 && { silenced }) }
    loggedAt = now
    silenced = 0
    const details = error === undefined ? [] : [error.stack ?? `${error.name}: ${error.message}`]
    return Effect.annotateLogs(Effect.logWarning("a worker thread ended of itself", ...details), annotations)
  }
}
