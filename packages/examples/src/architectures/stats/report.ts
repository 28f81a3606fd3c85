/** What `GET /stats` answers, and how figures are brought up to date that are sampled, not counted. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Name } from "../settings.ts"
import { Stats } from "./stats.ts"

/** Brings the sampled figures up to date. */
export const Refresh = Context.Reference<Effect.Effect<void>>("architectures/Refresh", {
  defaultValue: () => Effect.void
})

/** Brings them up to date before the routes that it is provided to. */
export const refreshing = HttpRouter.middleware((handler) => Effect.andThen(Effect.flatten(Refresh), handler))

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
