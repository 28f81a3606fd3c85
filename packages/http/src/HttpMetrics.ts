/**
 * Every metric of this package, with its description and unit. They live in Effect's metric registry, so any exporter of
 * `effect/observability` (Prometheus text, OTLP) carries them.
 *
 * @since 0.1.0
 */
import { secondsBoundaries } from "@spillway/runtime/RuntimeMetrics"
import * as Metric from "effect/Metric"

/**
 * Histogram `http_server_request_duration_seconds`: from the arrival of the headers to the last byte of the response, by `method`,
 * `route` (the pattern, empty if none matched) and `status` (499 if the client went away first).
 *
 * **Details**
 *
 * The name is that of OpenTelemetry's semantic conventions.
 *
 * @category metrics
 * @since 0.1.0
 */
export const requestDuration = Metric.histogram("http_server_request_duration_seconds", {
  description: "Seconds from the arrival of a request's headers to the end of its response",
  boundaries: secondsBoundaries
})

/**
 * Gauge `http_server_active_requests`: requests inside the door now. Read when it is exported.
 *
 * @category metrics
 * @since 0.1.0
 */
export const activeRequests = Metric.gauge("http_server_active_requests", {
  description: "Requests whose handlers are at work now"
})

/**
 * Gauge `spillway_http_queued`: requests that wait at the door now. Read when it is exported.
 *
 * @category metrics
 * @since 0.1.0
 */
export const queued = Metric.gauge("spillway_http_queued", {
  description: "Requests that wait at the door now"
})

/**
 * Counter `spillway_http_refused_total`: requests answered before any handler saw them, by `reason`: `QueueFull`, `WaitExceeded`,
 * `Starting`, `MalformedRequest`, `HeadersTooLarge` or `RequestTimeout`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const refused = Metric.counter("spillway_http_refused_total", {
  description: "Requests that were answered before any handler saw them",
  incremental: true
})

/**
 * Gauge `spillway_http_connections`: open connections, by `state`: `new`, `head`, `body`, `handling`, `writing`, `idle` or
 * `upgraded`. Counted when it is exported.
 *
 * @category metrics
 * @since 0.1.0
 */
export const connections = Metric.gauge("spillway_http_connections", {
  description: "Open connections by what they are doing"
})

/**
 * Counter `spillway_http_dropped_connections_total`: connections closed as soon as they were accepted, because `maxConnections` were
 * open.
 *
 * @category metrics
 * @since 0.1.0
 */
export const droppedConnections = Metric.counter("spillway_http_dropped_connections_total", {
  description: "Connections over the limit, closed unread",
  incremental: true
})
