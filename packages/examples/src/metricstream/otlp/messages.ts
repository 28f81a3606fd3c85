/**
 * What `POST /v1/metrics` is sent: the messages of opentelemetry-proto 1.x, `opentelemetry/proto/collector/metrics/v1` and what it
 * refers to. Fields that make no difference to what is stored (descriptions, exemplars, schema URLs) are unknown fields here, which
 * are ignored as the specification demands.
 */
import { many, message, nested, optional, scalar, scalars } from "./message.ts"
import type { Integer, Message, Type } from "./message.ts"

/** The value of an attribute: at most one of its fields, or nothing. */
export interface AnyValue {
  readonly stringValue: string | undefined
  readonly boolValue: boolean | undefined
  readonly intValue: Integer | undefined
  readonly doubleValue: number | undefined
  readonly arrayValue: { readonly values: ReadonlyArray<AnyValue> } | undefined
  readonly kvlistValue: { readonly values: ReadonlyArray<KeyValue> } | undefined
  /** Base64. */
  readonly bytesValue: string | undefined
}

/** An attribute. */
export interface KeyValue {
  readonly key: string
  readonly value: AnyValue | undefined
}

const AnyValue: Message<AnyValue> = message<AnyValue>({
  stringValue: optional(1, "string"),
  boolValue: optional(2, "bool"),
  intValue: optional(3, "int64"),
  doubleValue: optional(4, "double"),
  arrayValue: nested(5, () => ArrayValue),
  kvlistValue: nested(6, () => KeyValueList),
  bytesValue: optional(7, "bytes")
})
const KeyValue: Message<KeyValue> = message<KeyValue>({
  key: scalar(1, "string"),
  value: nested(2, () => AnyValue)
})
const ArrayValue = message<{ readonly values: ReadonlyArray<AnyValue> }>({ values: many(1, () => AnyValue) })
const KeyValueList = message<{ readonly values: ReadonlyArray<KeyValue> }>({ values: many(1, () => KeyValue) })

/** The bit of `flags` that says that a point has no value: its stream has ended. */
export const noRecordedValue = 1

/** `aggregationTemporality`: whether a point counts since the point before it, or since the start of its stream. */
export const temporality = { delta: 1, cumulative: 2 } as const

const NumberDataPoint = message({
  attributes: many(7, () => KeyValue),
  startTimeUnixNano: scalar(2, "fixed64"),
  timeUnixNano: scalar(3, "fixed64"),
  asDouble: optional(4, "double"),
  asInt: optional(6, "sfixed64"),
  flags: scalar(8, "uint32")
})
export type NumberDataPoint = Type<typeof NumberDataPoint>

const HistogramDataPoint = message({
  attributes: many(9, () => KeyValue),
  startTimeUnixNano: scalar(2, "fixed64"),
  timeUnixNano: scalar(3, "fixed64"),
  count: scalar(4, "fixed64"),
  sum: optional(5, "double"),
  bucketCounts: scalars(6, "fixed64"),
  explicitBounds: scalars(7, "double"),
  flags: scalar(10, "uint32"),
  min: optional(11, "double"),
  max: optional(12, "double")
})
export type HistogramDataPoint = Type<typeof HistogramDataPoint>

const Buckets = message({ offset: scalar(1, "sint32"), bucketCounts: scalars(2, "uint64") })
export type Buckets = Type<typeof Buckets>

const ExponentialHistogramDataPoint = message({
  attributes: many(1, () => KeyValue),
  startTimeUnixNano: scalar(2, "fixed64"),
  timeUnixNano: scalar(3, "fixed64"),
  count: scalar(4, "fixed64"),
  sum: optional(5, "double"),
  scale: scalar(6, "sint32"),
  zeroCount: scalar(7, "fixed64"),
  positive: nested(8, () => Buckets),
  negative: nested(9, () => Buckets),
  flags: scalar(10, "uint32"),
  min: optional(12, "double"),
  max: optional(13, "double"),
  zeroThreshold: scalar(14, "double")
})
export type ExponentialHistogramDataPoint = Type<typeof ExponentialHistogramDataPoint>

const ValueAtQuantile = message({ quantile: scalar(1, "double"), value: scalar(2, "double") })

const SummaryDataPoint = message({
  attributes: many(7, () => KeyValue),
  startTimeUnixNano: scalar(2, "fixed64"),
  timeUnixNano: scalar(3, "fixed64"),
  count: scalar(4, "fixed64"),
  sum: scalar(5, "double"),
  quantileValues: many(6, () => ValueAtQuantile),
  flags: scalar(8, "uint32")
})
export type SummaryDataPoint = Type<typeof SummaryDataPoint>

const Gauge = message({ dataPoints: many(1, () => NumberDataPoint) })
const Sum = message({
  dataPoints: many(1, () => NumberDataPoint),
  aggregationTemporality: scalar(2, "enum"),
  isMonotonic: scalar(3, "bool")
})
const Histogram = message({
  dataPoints: many(1, () => HistogramDataPoint),
  aggregationTemporality: scalar(2, "enum")
})
const ExponentialHistogram = message({
  dataPoints: many(1, () => ExponentialHistogramDataPoint),
  aggregationTemporality: scalar(2, "enum")
})
const Summary = message({ dataPoints: many(1, () => SummaryDataPoint) })

const Metric = message({
  name: scalar(1, "string"),
  unit: scalar(3, "string"),
  gauge: nested(5, () => Gauge),
  sum: nested(7, () => Sum),
  histogram: nested(9, () => Histogram),
  exponentialHistogram: nested(10, () => ExponentialHistogram),
  summary: nested(11, () => Summary)
})
export type Metric = Type<typeof Metric>

const Scope = message({
  name: scalar(1, "string"),
  version: scalar(2, "string"),
  attributes: many(3, () => KeyValue)
})
export type Scope = Type<typeof Scope>

const ScopeMetrics = message({ scope: nested(1, () => Scope), metrics: many(2, () => Metric) })
const Resource = message({ attributes: many(1, () => KeyValue) })
const ResourceMetrics = message({ resource: nested(1, () => Resource), scopeMetrics: many(2, () => ScopeMetrics) })

/** The body of a request. */
export const ExportMetricsServiceRequest = message({ resourceMetrics: many(1, () => ResourceMetrics) })
export type ExportMetricsServiceRequest = Type<typeof ExportMetricsServiceRequest>
