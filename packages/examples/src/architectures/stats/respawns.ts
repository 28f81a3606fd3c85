/** Counts the threads of pools that took the places of others. */
import * as Offload from "@spillway/runtime/Offload"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Stats } from "./stats.ts"

/** Counts, in the clients of these offloads together, until the scope closes. */
export const countRespawns = Effect.fnUntraced(function* (offloads: ReadonlyArray<object>) {
  const stats = yield* Stats
  const count = Effect.map(Effect.forEach(offloads, Offload.stats), (all) => {
    let respawns = 0
    for (const { crashed, killed } of all) respawns += crashed + killed
    stats.set("respawns", respawns)
  })
  yield* Effect.forkScoped(Effect.repeat(count, Schedule.spaced("250 millis")))
})
