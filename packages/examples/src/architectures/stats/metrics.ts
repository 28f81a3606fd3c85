/** The same figures in `GET /metrics`. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Metric from "effect/Metric"
import { Refresh } from "./report.ts"
import { Stats } from "./stats.ts"

const gauge = (name: string, description: string) => Metric.gauge(`architecture_${name}`, { description })

const [active, queued, openConnections, processed, rejected, interrupted, workers, respawns] = [
  gauge("active_requests", "Handlers at work now"),
  gauge("queued", "Connections or requests that wait for a turn now"),
  gauge("open_connections", "Open connections now"),
  gauge("processed_requests", "Requests that their handlers answered since the start"),
  gauge("rejected_requests", "Requests and connections that were answered 503 since the start"),
  gauge("interrupted_requests", "Handlers that ended since the start because their clients went away"),
  gauge("workers", "Threads that handlers run on, or give their work to"),
  gauge("respawns", "Threads that were started in place of others since the start")
]

const update = Effect.gen(function* () {
  yield* yield* Refresh
  const stats = yield* Stats
  yield* Metric.update(active, stats.total("active"))
  yield* Metric.update(queued, stats.total("queued"))
  yield* Metric.update(openConnections, stats.total("openConnections"))
  yield* Metric.update(processed, stats.total("processed"))
  yield* Metric.update(rejected, stats.rejected)
  yield* Metric.update(interrupted, stats.total("interrupted"))
  yield* Metric.update(workers, stats.total("workers"))
  yield* Metric.update(respawns, stats.respawns)
})

/** Brings the metrics up to date before the routes that it is provided to. */
export const middleware = HttpRouter.middleware(
  Effect.map(Effect.context<Stats>(), (context) => {
    const updated = Effect.provideContext(update, context)
    return (handler) => Effect.andThen(updated, handler)
  })
)
