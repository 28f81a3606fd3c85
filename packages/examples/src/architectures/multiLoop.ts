/**
 * Several event loops in one process, each a `hybrid` server, which share the port and the threads that compute.
 *
 * A loop that crashes, or stands still for too long, is replaced, and takes only its own connections along; SIGHUP replaces all of them, one
 * after the other, and takes none.
 */
import * as MultiLoop from "@spillway/http/MultiLoop"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { availableParallelism } from "node:os"
import type { Worker } from "node:worker_threads"
import { workers } from "./settings.ts"
import { exported } from "./stats/metrics.ts"
import { share, vacate } from "./stats/stats.ts"

const entry = new URL("./multiLoop.loop.ts", import.meta.url)

/** Hears of the end of every thread, until the scope closes: one that is killed can not say itself that it does nothing any more. */
const vacating = Effect.acquireRelease(
  Effect.sync(() => {
    const watch = (thread: Worker) => {
      // Once it has ended it has none.
      const { threadId } = thread
      thread.once("exit", () => vacate(threadId))
    }
    process.on("worker", watch)
    return watch
  }),
  (watch) => Effect.sync(() => process.off("worker", watch))
)

export const program = Effect.gen(function* () {
  const loops = yield* workers(availableParallelism())
  // While a loop drains, its successor counts beside it; another one that was killed may not have ended.
  const stats = share(2 * loops + 1)
  yield* vacating
  yield* exported(stats)
  const { failed, status } = yield* MultiLoop.make({ entry, loops })
  const count = Effect.map(status, ({ loops }) => {
    let restarts = 0
    for (const loop of loops) restarts += loop.restarts
    stats.set("restarts", restarts)
  })
  return yield* Effect.raceFirst(failed, Effect.repeat(count, Schedule.spaced("250 millis")))
}).pipe(Effect.scoped)
