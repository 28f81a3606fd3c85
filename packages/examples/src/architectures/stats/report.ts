/** What `GET /stats` answers. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Name } from "../settings.ts"
import { Stats } from "./stats.ts"

/** Brings those figures up to date that are sampled, not counted. */
export const Refresh = Context.Reference<Effect.Effect<void>>("architectures/Refresh", {
  defaultValue: () => Effect.void
})

export const report = (architecture: Name) =>
  Effect.gen(function* () {
    yield* yield* Refresh
    const stats = yield* Stats
    return HttpServerResponse.jsonUnsafe(
      {
        architecture,
        pid: process.pid,
        workers: stats.total("workers"),
        active: stats.total("active"),
        maxActive: stats.maxActive,
        queued: stats.total("queued"),
        processed: stats.total("processed"),
        rejected: stats.rejected,
        interrupted: stats.total("interrupted"),
        respawns: stats.respawns,
        openConnections: stats.total("openConnections"),
        eventLoopDelayP99Ms: stats.greatest("eventLoopDelayMicros") / 1000
      },
      { headers: { "cache-control": "no-store" } }
    )
  })
