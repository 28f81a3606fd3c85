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
 * Gauge `spillway_http_concurrency_limit`: the permits of the door now, which an adaptive `concurrencyLimit` changes. Read when it is
 * exported.
 *
 * @category metrics
 * @since 0.1.0
 */
export const concurrencyLimit = Metric.gauge("spillway_http_concurrency_limit", {
  description: "How many requests may be inside at once now"
})

/**
 * Gauge `spillway_http_request_cost_seconds`: for how long the event loop was busy for a request lately, everything that it does counted; 0
 * before it is known. While the loop is busy all the time 1 / cost is how many requests a second it carries. See `LoopPace`. Read when it is exported.
 *
 * @category metrics
 * @since 0.1.0
 */
export const requestCost = Metric.gauge("spillway_http_request_cost_seconds", {
  description: "For how long the event loop was busy for a request lately"
})

/**
 * Gauge `spillway_http_queue_delay_seconds`: for how long the request that has waited longest at the door waits, 0 when none does. Read
 * when it is exported.
 *
 * @category metrics
 * @since 0.1.0
 */
export const queueDelay = Metric.gauge("spillway_http_queue_delay_seconds", {
  description: "Seconds for which the request waits that has waited longest"
})

/**
 * Gauge `spillway_http_signal_value`: the smoothed value of each `signal` of the option `signals`, in its own unit, at the last sample.
 *
 * @category metrics
 * @since 0.1.0
 */
export const signalValue = Metric.gauge("spillway_http_signal_value", {
  description: "What a signal of the load says, smoothed, in its own unit"
})

/**
 * Gauge `spillway_http_signal_pressure`: what each `signal` of the option `signals` asks for, from 0 to 1: above 0 `sheddable` requests are
 * refused, above 0.5 `normal` ones too.
 *
 * @category metrics
 * @since 0.1.0
 */
export const signalPressure = Metric.gauge("spillway_http_signal_pressure", {
  description: "How much a signal of the load asks to refuse, from 0 to 1"
})

/**
 * Counter `spillway_http_refused_total`: requests answered before any handler saw them, by `reason`: at the door `QueueFull`,
 * `WaitExceeded`, `Displaced`, `Shed`, or the name of the signal that refused it; else `Starting`, `Draining`, `MalformedRequest`,
 * `HeadersTooLarge`, `TargetTooLong`, `RequestTimeout`, `ExpectationFailed`, `ConnectionLimit`, `RateLimited` by the server's own rate
 * limit, or `Failed` if a function of that threw.
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
 * Counter `spillway_http_cut_connections_total`: connections that the server ended, by `reason`: `Idle` and `Slow` to make room for
 * others, `SlowReader` because the client took less than `minResponseRate`, `Tls` because its handshake failed, `Flood` because it sent
 * more frames of control than requests can need. With HTTP/2 `SlowReader` may be one stream of a connection that lives on.
 *
 * @category metrics
 * @since 0.1.0
 */
export const cutConnections = Metric.counter("spillway_http_cut_connections_total", {
  description: "Connections that the server ended to make room or because the client was too slow",
  incremental: true
})

/**
 * Counter `spillway_http_dropped_connections_total`: connections closed as soon as they were accepted, because `maxConnections` were
 * open, or `maxConnectionsPerAddress` of its address.
 *
 * @category metrics
 * @since 0.1.0
 */
export const droppedConnections = Metric.counter("spillway_http_dropped_connections_total", {
  description: "Connections over the limit, closed unread",
  incremental: true
})

/**
 * Gauge `spillway_multiloop_up`: 1 for a loop of `MultiLoop` that answered when the metrics were collected, 0 for one that did not, by
 * `loop`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const loopUp = Metric.gauge("spillway_multiloop_up", {
  description: "Whether a loop answered when the metrics were collected"
})

/**
 * Counter `spillway_multiloop_restarts_total`: loops of `MultiLoop` that were replaced, by `loop` and `reason`: `crashed`, `blocked` or
 * `requested`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const loopRestarts = Metric.counter("spillway_multiloop_restarts_total", {
  description: "Loops that were replaced",
  incremental: true
})

/**
 * Gauge `spillway_multiloop_blocked_seconds`: how long the event loop of a loop of `MultiLoop` has not turned, by `loop`, to the precision
 * of the looks at it (0.2 to 1 second). 0 for one that turns.
 *
 * @category metrics
 * @since 0.1.0
 */
export const loopBlocked = Metric.gauge("spillway_multiloop_blocked_seconds", {
  description: "Seconds for which the event loop of a loop has not turned"
})

/**
 * Gauge `spillway_http_websockets`: WebSockets that are open, or whose handlers are still at work. Read when it is exported.
 *
 * @category metrics
 * @since 0.1.0
 */
export const webSockets = Metric.gauge("spillway_http_websockets", {
  description: "WebSockets that are open or whose handlers are at work now"
})

/**
 * Counter `spillway_http_websockets_closed_total`: WebSockets that have ended, by the `reason` that came first: `Peer` closed it, the
 * `Handler` ended it, it was `Lost` without a close frame, a message was `TooLarge`, a `ProtocolError`, `PingTimeout`, `SlowConsumer`,
 * or the server's `Drain`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const webSocketsClosed = Metric.counter("spillway_http_websockets_closed_total", {
  description: "WebSockets that have ended, by the reason that came first",
  incremental: true
})

/**
 * Counter `spillway_http_websocket_messages_total`: WebSocket messages by their `fate`: `received` from a peer, `sent` to one, or
 * `dropped` because the peer did not keep up.
 *
 * @category metrics
 * @since 0.1.0
 */
export const webSocketMessages = Metric.counter("spillway_http_websocket_messages_total", {
  description: "WebSocket messages received, sent, and dropped for peers that did not keep up",
  incremental: true
})

/**
 * Counter `spillway_http_client_retries_total`: requests of our own clients that were sent again, by `reason`: `Refused` (429 or 503),
 * `Status` (another status), `Unsent` or `Lost` (no connection, or one that ended before the answer).
 *
 * @category metrics
 * @since 0.1.0
 */
export const clientRetries = Metric.counter("spillway_http_client_retries_total", {
  description: "Requests of our own clients that were sent again",
  incremental: true
})

/**
 * Counter `spillway_http_client_retries_declined_total`: requests of our own clients that might have been sent again but were not, by
 * `reason`: `Attempts` were used up, the `Budget` was empty, the `Deadline` would have passed, or `RetryAfter` was too long.
 *
 * @category metrics
 * @since 0.1.0
 */
export const clientRetriesDeclined = Metric.counter("spillway_http_client_retries_declined_total", {
  description: "Requests of our own clients that could have been sent again but were not",
  incremental: true
})

/**
 * Counter `spillway_http_client_throttled_total`: requests that our own clients kept back because the server refused many.
 *
 * @category metrics
 * @since 0.1.0
 */
export const clientThrottled = Metric.counter("spillway_http_client_throttled_total", {
  description: "Requests that our own clients kept back",
  incremental: true
})

/**
 * Counter `spillway_http_rate_limited_total`: requests that were refused because their client had used up its quota, by `policy`. One that
 * several policies refuse counts for each.
 *
 * @category metrics
 * @since 0.1.0
 */
export const rateLimited = Metric.counter("spillway_http_rate_limited_total", {
  description: "Requests refused because their client had used up its quota",
  incremental: true
})

/**
 * Counter `spillway_http_rate_limit_store_failures_total`: questions that the store of a shared rate limit did not answer, by `reason`:
 * `TimedOut`, `Failed`, or `Away` for those that were not asked since it has not answered before.
 *
 * @category metrics
 * @since 0.1.0
 */
export const rateLimitStoreFailures = Metric.counter("spillway_http_rate_limit_store_failures_total", {
  description: "Questions that the store of a shared rate limit did not answer",
  incremental: true
})
