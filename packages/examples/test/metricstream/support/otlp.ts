import { limits as events } from "@spillway/examples/metricstream/events"
import { Budget } from "@spillway/examples/metricstream/otlp/budget"
import { fromJson } from "@spillway/examples/metricstream/otlp/json"
import { limits } from "@spillway/examples/metricstream/otlp/limits"
import { mapRequest } from "@spillway/examples/metricstream/otlp/mapping"
import { ExportMetricsServiceRequest } from "@spillway/examples/metricstream/otlp/messages"
import { toEvents } from "@spillway/examples/metricstream/otlp/rows"
import { Streams } from "@spillway/examples/metricstream/otlp/streams"

/** A time of day in nanoseconds since 1970: so many seconds after the middle of November 2023. */
export const nanos = (seconds: number): string => `${1_700_000_000 + seconds}000000000`

/** The same in milliseconds. */
export const millis = (seconds: number): number => (1_700_000_000 + seconds) * 1000

export const makeBudget = () => new Budget(limits.depth, limits.messages, limits.values)

/** A table of streams that began at second 0. */
export const makeStreams = (options: { readonly maxNumbers?: number; readonly maxOpen?: number } = {}) =>
  new Streams({ began: BigInt(nanos(0)), maxNumbers: 1e6, maxOpen: 1e6, ...options })

export type Json = Readonly<Record<string, unknown>>

/** Attributes of texts. */
export const attributes = (texts: Readonly<Record<string, string>>) =>
  Object.entries(texts).map(([key, stringValue]) => ({ key, value: { stringValue } }))

/** A request of one scope, as JSON. */
export const requestOf = (metrics: ReadonlyArray<Json>, resource: Readonly<Record<string, string>> = {}) => ({
  resourceMetrics: [
    { resource: { attributes: attributes(resource) }, scopeMetrics: [{ scope: { name: "test" }, metrics }] }
  ]
})

/** A point from second 1 to second 10. */
export const point = (members: Json): Json => ({
  startTimeUnixNano: nanos(1),
  timeUnixNano: nanos(10),
  ...members
})

export const gauge = (name: string, ...dataPoints: ReadonlyArray<Json>) => ({ name, gauge: { dataPoints } })
export const counter = (name: string, ...dataPoints: ReadonlyArray<Json>) => ({
  name,
  sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints }
})
export const histogram = (name: string, aggregationTemporality: number, ...dataPoints: ReadonlyArray<Json>) => ({
  name,
  histogram: { aggregationTemporality, dataPoints }
})

/** Maps requests, one after the other, that are all stored. */
export const makeMapper = (streams: Streams = makeStreams()) => {
  let number = 0
  return (request: unknown) => {
    const message = fromJson(ExportMetricsServiceRequest, request, makeBudget())
    const mapped = mapRequest(message, { request: ++number, streams, events, isFromSdk: true, now: millis(1000) })
    streams.settle(number)
    return { ...mapped, events: toEvents(mapped.columns) }
  }
}

/** The series and values of a request that is mapped alone. */
export const valuesOf = (...metrics: ReadonlyArray<Json>) =>
  makeMapper()(requestOf(metrics)).events.map(({ name, value }) => [name, value] as const)
