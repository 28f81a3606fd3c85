/**
 * Every metric of this package, with its description and unit. They live in Effect's metric registry, so any exporter of
 * `effect/observability` (Prometheus text, OTLP) carries them.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * The bucket boundaries in seconds of every time histogram of Spillway: 0.5 ms to 60 s, each about 2.2 times the last.
 *
 * @category constants
 * @since 0.1.0
 */
export const secondsBoundaries: ReadonlyArray<number> = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60
]

/**
 * Gauge `spillway_bulkhead_running`: permits that are out now, by `bulkhead`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const bulkheadRunning = Metric.gauge("spillway_bulkhead_running", {
  description: "Effects that hold a permit of the bulkhead now"
})

/**
 * Gauge `spillway_bulkhead_queued`: callers that wait now, by `bulkhead`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const bulkheadQueued = Metric.gauge("spillway_bulkhead_queued", {
  description: "Callers that wait for a permit of the bulkhead now"
})

/**
 * Counter `spillway_bulkhead_admitted_total`: permits given, by `bulkhead`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const bulkheadAdmitted = Metric.counter("spillway_bulkhead_admitted_total", {
  description: "Permits that the bulkhead has given",
  incremental: true
})

/**
 * Counter `spillway_bulkhead_refused_total`: callers turned away, by `bulkhead` and `reason` (`QueueFull`, `WaitExceeded`,
 * `Displaced` or `Shed`).
 *
 * @category metrics
 * @since 0.1.0
 */
export const bulkheadRefused = Metric.counter("spillway_bulkhead_refused_total", {
  description: "Callers that the bulkhead has turned away",
  incremental: true
})

/**
 * Histogram `spillway_bulkhead_wait_seconds`: how long admitted callers that had to wait waited, by `bulkhead`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const bulkheadWait = Metric.histogram("spillway_bulkhead_wait_seconds", {
  description: "Seconds that admitted callers of the bulkhead waited in its queue",
  boundaries: secondsBoundaries
})

/**
 * Gauge `spillway_offload_running`: tasks on a worker now, by `offload`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadRunning = Metric.gauge("spillway_offload_running", {
  description: "Tasks that occupy a worker thread now"
})

/**
 * Gauge `spillway_offload_queued`: tasks that wait now, by `offload`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadQueued = Metric.gauge("spillway_offload_queued", {
  description: "Tasks that wait for a worker thread now"
})

/**
 * Gauge `spillway_offload_workers`: worker threads that can take tasks now, by `offload`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadWorkers = Metric.gauge("spillway_offload_workers", {
  description: "Worker threads that are able to take tasks now"
})

/**
 * Counter `spillway_offload_tasks_total`: tasks that ended, by `offload`, `task` and `outcome` (`succeeded`, `failed`, `defect`,
 * `interrupted`, or the reason of an `OffloadError`).
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadTasks = Metric.counter("spillway_offload_tasks_total", {
  description: "Tasks that ended, by how they ended",
  incremental: true
})

/**
 * Histogram `spillway_offload_wait_seconds`: from the call to the start on a worker, by `offload`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadWait = Metric.histogram("spillway_offload_wait_seconds", {
  description: "Seconds from the call of a task to its start in a worker thread",
  boundaries: secondsBoundaries
})

/**
 * Histogram `spillway_offload_run_seconds`: from the start in a worker to the end there, by `offload`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadRun = Metric.histogram("spillway_offload_run_seconds", {
  description: "Seconds that tasks ran in a worker thread",
  boundaries: secondsBoundaries
})

/**
 * Counter `spillway_offload_workers_started_total`: worker threads started, the first and those that replaced others, by `offload`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadWorkersStarted = Metric.counter("spillway_offload_workers_started_total", {
  description: "Worker threads that were started",
  incremental: true
})

/**
 * Counter `spillway_offload_workers_ended_total`: workers that ended, by `offload` and `cause` (`killed`, `crashed`, `closed`).
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadWorkersEnded = Metric.counter("spillway_offload_workers_ended_total", {
  description: "Worker threads that ended, by cause",
  incremental: true
})

/**
 * Gauge `spillway_offload_spares`: started workers that wait to take the place of one that ends, by `offload`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadSpares = Metric.gauge("spillway_offload_spares", {
  description: "Started worker threads that wait to replace one that ends"
})

/**
 * Gauge `spillway_offload_utilization_ratio`: the share of the last one to two seconds that a worker's event loop was busy, from 0 to
 * 1, by `offload` and `worker` (the number of its place, from 0).
 *
 * @category metrics
 * @since 0.1.0
 */
export const offloadUtilization = Metric.gauge("spillway_offload_utilization_ratio", {
  description: "Share of the last seconds that the event loop of a worker thread was busy"
})

/**
 * Gauge `spillway_drain_in_flight`: work that `Drain` tracks now.
 *
 * @category metrics
 * @since 0.1.0
 */
export const drainInFlight = Metric.gauge("spillway_drain_in_flight", {
  description: "Tracked work that is in flight now"
})

/**
 * Gauge `nodejs_eventloop_utilization_ratio`: the share of the last window of `EventLoop` that its event loop was busy, from 0 to 1. The
 * name is OpenTelemetry's, as are those of the delays.
 *
 * @category metrics
 * @since 0.1.0
 */
export const eventLoopUtilization = Metric.gauge("nodejs_eventloop_utilization_ratio", {
  description: "Share of the last window that the event loop was busy"
})

/**
 * Gauge `nodejs_eventloop_delay_p50_seconds`: how late the event loop was in the last window of `EventLoop`, the median.
 *
 * @category metrics
 * @since 0.1.0
 */
export const eventLoopDelayP50 = Metric.gauge("nodejs_eventloop_delay_p50_seconds", {
  description: "Median delay in seconds of the event loop in the last window"
})

/**
 * Gauge `nodejs_eventloop_delay_p99_seconds`: the same, the 99th percentile.
 *
 * @category metrics
 * @since 0.1.0
 */
export const eventLoopDelayP99 = Metric.gauge("nodejs_eventloop_delay_p99_seconds", {
  description: "99th percentile of the delay in seconds of the event loop in the last window"
})

/**
 * Gauge `nodejs_eventloop_delay_max_seconds`: the same, the longest.
 *
 * @category metrics
 * @since 0.1.0
 */
export const eventLoopDelayMax = Metric.gauge("nodejs_eventloop_delay_max_seconds", {
  description: "Longest delay in seconds of the event loop in the last window"
})

/**
 * Counter `spillway_event_loop_blocks_total`: blocks of the event loop longer than the threshold of `EventLoop`, by `route` (`unknown`
 * where none is known).
 *
 * @category metrics
 * @since 0.1.0
 */
export const eventLoopBlocks = Metric.counter("spillway_event_loop_blocks_total", {
  description: "Times that the event loop was blocked for longer than the threshold",
  incremental: true
})

/**
 * Histogram `spillway_event_loop_blocked_seconds`: how long those blocks were.
 *
 * @category metrics
 * @since 0.1.0
 */
export const eventLoopBlocked = Metric.histogram("spillway_event_loop_blocked_seconds", {
  description: "Seconds for which the event loop was blocked, each time longer than the threshold",
  boundaries: secondsBoundaries
})
