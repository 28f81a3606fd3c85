/** The same figures in `GET /metrics`, read when somebody asks. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { SharedStats } from "./stats.ts"

const gauge = (name: string, description: string, read: (stats: SharedStats) => number) => ({
  metric: Metric.gauge(`architecture_${name}`, { description }),
  read
})

const counter = (name: string, description: string, read: (stats: SharedStats) => number) => ({
  metric: Metric.counter(`architecture_${name}_total`, { description, incremental: true }),
  read
})

const gauges = [
  gauge("active_requests", "Handlers at work", (stats) => stats.total("active")),
  gauge("queued", "Connections or requests that wait for a turn", (stats) => stats.total("queued")),
  gauge("open_connections", "Open connections", (stats) => stats.total("openConnections")),
  gauge("workers", "Threads that handlers run on, or give their work to", (stats) => stats.total("workers"))
]

const counters = [
  counter("processed_requests", "Requests that their handlers answered", (stats) => stats.total("processed")),
  counter("rejected_requests", "Requests and connections that were answered 503", (stats) => stats.rejected),
  counter("interrupted_requests", "Handlers that ended because their clients went away", (stats) =>
    stats.total("interrupted")
  ),
  counter("respawns", "Threads that were started in place of others", (stats) => stats.respawns)
]

/** What is counted and measured elsewhere can not be changed here. */
const readOnly = { update: () => {}, modify: () => {} }

/** Exports them from this thread until the scope closes. They are those of all threads: to export them from several would multiply them. */
export const exported = (stats: SharedStats) =>
  Effect.acquireRelease(
    Effect.map(Effect.context<never>(), (context) => [
      ...gauges.map(({ metric, read }) =>
        Metric.registerUnsafe(metric, context, { get: () => ({ value: read(stats) }), ...readOnly })
      ),
      ...counters.map(({ metric, read }) =>
        Metric.registerUnsafe(metric, context, { get: () => ({ count: read(stats), incremental: true }), ...readOnly })
      )
    ]),
    (registrations) =>
      Effect.sync(() => {
        for (const registration of registrations) registration.remove()
      })
  )
