/** The metrics of the live page. */
import * as Metric from "effect/Metric"

/** Gauge: viewers of the live page now. Read when it is exported. */
export const viewers = Metric.gauge("metricstream_live_viewers", {
  description: "Viewers of the live page now"
})

/** Counter: points that viewers did not get, because they read so slowly that the server had forgotten them. */
export const lostPoints = Metric.counter("metricstream_live_lost_points_total", {
  description: "Points that viewers of the live page did not get because they read too slowly",
  incremental: true
})

/** Counter: viewers turned away, by `reason`: `Full`, `Draining`, or `Quota` if their client had as many as it may. */
export const refusedViewers = Metric.counter("metricstream_live_refused_viewers_total", {
  description: "Viewers of the live page that were turned away",
  incremental: true
})
