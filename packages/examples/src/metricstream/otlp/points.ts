/** What points say, checked and in our terms. */
import { countOf } from "./distribution.ts"
import type { Distribution, Extremes, Row } from "./distribution.ts"
import { limits } from "./limits.ts"
import type { Integer } from "./message.ts"
import type { Buckets, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint } from "./messages.ts"

/**
 * The series of a metric. The names of OpenTelemetry's instruments fit as they are; in others each character that does not fit becomes
 * an underscore.
 */
export const seriesName = (name: string): string => {
  const fitting = name.replaceAll(/[^A-Za-z0-9_.\-/:]/gu, "_")
  return /^[A-Za-z_]/.test(fitting) ? fitting : `_${fitting}`
}

/** The suffix of a quantile's series: `.p99` of 0.99, `.min` of 0, `.max` of 1. */
export const quantileSuffix = (quantile: number): string =>
  quantile === 0 ? ".min" : quantile === 1 ? ".max" : `.p${Number((quantile * 100).toPrecision(6))}`

/** The longest of our suffixes. */
export const suffixLength = 16

/** Whole milliseconds of nanoseconds since 1970; `now` if they are 0, which is unknown. */
export const toMillis = (nanos: Integer, now: number): number =>
  nanos === 0 ? now : typeof nanos === "bigint" ? Number(nanos / 1_000_000n) : Math.floor(nanos / 1e6)

export const toNanos = (millis: number): bigint => BigInt(millis) * 1_000_000n

/** The value of a point; a text says why it has none. */
export const numberOf = ({ asDouble, asInt }: NumberDataPoint): Integer | string => {
  const value = asDouble ?? asInt
  if (value === undefined) return "it has no value"
  return typeof value === "bigint" || Number.isFinite(value) ? value : "its value is not a finite number"
}

/** The least and the greatest value that a point says. */
export const extremesOf = ({
  max,
  min
}: {
  readonly min: number | undefined
  readonly max: number | undefined
}): Extremes =>
  max !== undefined && min !== undefined && max < min
    ? { min: undefined, max: undefined }
    : { min: finite(min), max: finite(max) }

const finite = (value: number | undefined) => (value !== undefined && Number.isFinite(value) ? value : undefined)

/** The most that a sum of so many doubles is rounded by, in proportion: of counts below 2 ** 41 that is less than one. */
const rounding = limits.buckets * Number.EPSILON

/** `opentelemetry/proto/metrics/v1` demands that they agree: of two that do not, nobody knows which is right. */
const counting = (count: number, distribution: Distribution): Distribution | string =>
  Math.abs(countOf(distribution) - count) <= count * rounding ? distribution : "its count is not the sum of its buckets"

const tooMany = `it has more than ${limits.buckets} buckets`

/** The distribution of a histogram; a text says why it has none. */
export const explicitOf = ({ bucketCounts, count, explicitBounds }: HistogramDataPoint): Distribution | string => {
  if (bucketCounts.length > limits.buckets) return tooMany
  // Without buckets all values are in one.
  if (bucketCounts.length === 0 && explicitBounds.length === 0) {
    return { kind: "explicit", bounds: [], counts: [Number(count)] }
  }
  if (bucketCounts.length !== explicitBounds.length + 1) return "it does not have one bucket more than bounds"
  if (explicitBounds.some((bound, index) => !(bound > (explicitBounds[index - 1] ?? -Infinity)))) {
    return "its bounds do not ascend"
  }
  // A bound of infinity, as Prometheus has it, is none.
  const bounds = explicitBounds.filter(Number.isFinite)
  const counts = bucketCounts.map(Number)
  const overflow = counts.splice(bounds.length).reduce((sum, each) => sum + each, 0)
  return counting(Number(count), { kind: "explicit", bounds, counts: [...counts, overflow] })
}

/** What the data model allows, and SDKs use. */
const scales = { minimum: -10, maximum: 20 }

/** The distribution of an exponential histogram; a text says why it has none. */
export const exponentialOf = (point: ExponentialHistogramDataPoint): Distribution | string => {
  const { count, negative, positive, scale, zeroCount, zeroThreshold } = point
  if ((positive?.bucketCounts.length ?? 0) + (negative?.bucketCounts.length ?? 0) > limits.buckets) return tooMany
  if (scale < scales.minimum || scale > scales.maximum) {
    return `its scale is not from ${scales.minimum} to ${scales.maximum}`
  }
  if (!(zeroThreshold >= 0 && Number.isFinite(zeroThreshold))) return "its zero threshold is not a finite number from 0"
  return counting(Number(count), {
    kind: "exponential",
    scale,
    zeroCount: Number(zeroCount),
    zeroThreshold,
    positive: rowOf(positive),
    negative: rowOf(negative)
  })
}

const rowOf = (buckets: Buckets | undefined): Row => ({
  offset: buckets?.offset ?? 0,
  counts: buckets?.bucketCounts.map(Number) ?? []
})
