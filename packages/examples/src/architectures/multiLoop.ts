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
import { workers } from "./settings.ts"
import { exported } from "./stats/metrics.ts"
import { share } from "./stats/stats.ts"

const entry = new URL("./multiLoop.loop.ts", import.meta.url)

export const program = Effect.gen(function* () {
  const loops = yield* workers(availableParallelism())
  // While a loop drains, its successor counts beside it.
  const stats = share(2 * loops)
  yield* exported(stats)
  const { failed, status } = yield* MultiLoop.make({ entry, loops })
  const count = Effect.map(status, ({ loops }) => {
    let restarts = 0
    for (const loop of loops) restarts += loop.restarts
    stats.set("restarts", restarts)
  })
  return yield* Effect.raceFirst(failed, Effect.repeat(count, Schedule.spaced("250 millis")))
}).pipe(Effect.scoped)
