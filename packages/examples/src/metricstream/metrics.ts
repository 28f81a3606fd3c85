/** What MetricStream tells about itself in `/metrics`, beside the metrics of the server and of its workers. */
import { secondsBoundaries } from "@spillway/runtime/RuntimeMetrics"
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** Counter: events that are on the disk and were acknowledged. */
export const accepted = Metric.counter("metricstream_events_accepted_total", {
  description: "Events that were stored",
  incremental: true
})

/**
 * Counter: events of well-formed batches that were not stored, by `reason`: `TooOld` for the retention, `TooNew` for the clock of this machine,
 * `SeriesLimit`, `Pending` if too many events waited, `Storage` if the transaction failed. The events that share the batch of one that is refused
 * count with it, but those of an OTLP request only with one of their data point: the others are stored. Those of bodies that were not
 * understood, or over a quota, are not counted here: see `http_server_request_duration_seconds`.
 */
export const refused = Metric.counter("metricstream_events_refused_total", {
  description: "Events of well-formed batches that were not stored",
  incremental: true
})

export type RefusalReason = "TooOld" | "TooNew" | "SeriesLimit" | "Pending" | "Storage"

const refusedBy = (reason: RefusalReason) => Metric.withAttributes(refused, { reason })
const refusals: Readonly<Record<RefusalReason, Metric.Counter<number>>> = {
  TooOld: refusedBy("TooOld"),
  TooNew: refusedBy("TooNew"),
  SeriesLimit: refusedBy("SeriesLimit"),
  Pending: refusedBy("Pending"),
  Storage: refusedBy("Storage")
}

/** Counts events that are not stored. */
export const refuse = (reason: RefusalReason, events: number, context: Context.Context<never>): void =>
  refusals[reason].updateUnsafe(events, context)

/** Histogram: from when a group goes to the storage worker to when it is known to be on the disk, or not. */
export const commitDuration = Metric.histogram("metricstream_commit_duration_seconds", {
  description: "Seconds from handing a group of events to the storage to its commit",
  boundaries: secondsBoundaries
})

/** Histogram: events that were committed together. */
export const groupSize = Metric.histogram("metricstream_group_events", {
  description: "Events that were committed in one transaction",
  boundaries: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000]
})

/** Gauge: events that wait for their commit, those being committed included. Read when it is exported. */
export const pending = Metric.gauge("metricstream_pending_events", {
  description: "Events that wait for their commit"
})

/** Gauge: bytes of the database file, by `state`: `used`, or `free` to be used again. */
export const databaseSize = Metric.gauge("metricstream_database_size_bytes", {
  description: "Size of the database file in bytes, by whether it is in use"
})

/** Gauge: bytes of the write-ahead log beside the database file. */
export const logSize = Metric.gauge("metricstream_wal_size_bytes", {
  description: "Size of the write-ahead log in bytes"
})

/** Gauge: series that have events. */
export const series = Metric.gauge("metricstream_series", {
  description: "Series that have events"
})

/** Counter: events deleted to keep the database in bounds, by `reason`: `age` or `size`. */
export const deleted = Metric.counter("metricstream_retention_deleted_events_total", {
  description: "Events that were deleted because of their age or of the size of the database",
  incremental: true
})

/** Histogram: from the first to the last deletion of a pass, with the pauses between them. Passes with nothing to do are not counted. */
export const passDuration = Metric.histogram("metricstream_retention_pass_duration_seconds", {
  description: "Seconds that passes of the retention took which deleted something",
  boundaries: secondsBoundaries
})

/** Counter: times that the retention could not delete, or not measure, because the storage failed. */
export const retentionFailures = Metric.counter("metricstream_retention_failures_total", {
  description: "Times that the retention failed",
  incremental: true
})

/** Counter: times that the sampler of this machine ended and was started again. */
export const samplerRestarts = Metric.counter("metricstream_sampler_restarts_total", {
  description: "Times that the sampler of this machine ended and was started again",
  incremental: true
})

/** Registers a gauge that is read when it is exported. */
export const observe = (gauge: Metric.Gauge<number>, value: () => number, context: Context.Context<never>) =>
  Metric.registerUnsafe(gauge, context, { get: () => ({ value: value() }), update: () => {}, modify: () => {} })
