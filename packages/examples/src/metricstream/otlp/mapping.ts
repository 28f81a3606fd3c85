/**
 * Makes events of the data points of a request.
 *
 * | data | events |
 * |---|---|
 * | gauge | its value |
 * | sum, cumulative and monotonic | what it has grown by since the point before |
 * | sum, delta | its value: what was added in its interval |
 * | sum, cumulative, not monotonic | its value, as of a gauge |
 * | histogram, exponential or not | of its interval `.count`, `.sum`, and estimates of `.p50`, `.p90`, `.p99`; `.min` and `.max` if it is delta: cumulative ones are those since the start |
 * | summary | `.count` and `.sum` of the interval; each quantile as it is: `.p99` is 0.99, `.min` is 0, `.max` is 1 |
 *
 * An increase of nothing is no event. The sum of a counter's events in a range of time is what it counted there, over all its streams.
 * The time of an event is that of its point.
 */
import { canonical, isOfSdk, nameOf, tagsOf } from "./attributes.ts"
import type { EventLimits } from "./attributes.ts"
import { quantiles } from "./distribution.ts"
import type { Distribution, Extremes } from "./distribution.ts"
import { limits } from "./limits.ts"
import type { Integer } from "./message.ts"
import { noRecordedValue, temporality } from "./messages.ts"
import type {
  ExponentialHistogramDataPoint,
  ExportMetricsServiceRequest,
  HistogramDataPoint,
  KeyValue,
  Metric,
  NumberDataPoint,
  SummaryDataPoint
} from "./messages.ts"
import {
  explicitOf,
  exponentialOf,
  extremesOf,
  numberOf,
  quantileSuffix,
  seriesName,
  suffixLength,
  toMillis,
  toNanos
} from "./points.ts"
import { Rejections } from "./rejections.ts"
import { Rows } from "./rows.ts"
import type { Columns } from "./rows.ts"
import type { Streams, Totals } from "./streams.ts"

/** What became of a request. */
export interface Mapped {
  readonly columns: Columns
  /** Its data points, stored or not. */
  readonly points: number
  /** How many of them are not stored for they cannot be. */
  readonly rejected: number
  /** Why, for people; empty if none are rejected. */
  readonly message: string
}

export interface Context {
  /** The number of the request in `streams`. */
  readonly request: number
  readonly streams: Streams
  readonly events: EventLimits
  /** Whether its sender is the exporter of an SDK. */
  readonly isFromSdk: boolean
  /** Milliseconds since 1970: when a point without a time happened. */
  readonly now: number
}

export const mapRequest = (body: ExportMetricsServiceRequest, context: Context): Mapped => {
  context.streams.open(context.request, toNanos(context.now))
  const mapper = new Mapper(context)
  for (const { resource, scopeMetrics } of body.resourceMetrics) {
    const attributes = resource?.attributes ?? []
    const sender = canonical(attributes)
    for (const { metrics, scope } of scopeMetrics) {
      const origin = nameOf(sender, scope?.name ?? "", scope?.version ?? "", canonical(scope?.attributes ?? []))
      for (const metric of metrics) mapper.metric(metric, attributes, origin)
    }
  }
  return mapper.result
}

/** What all kinds of points have. */
interface AnyPoint {
  readonly attributes: ReadonlyArray<KeyValue>
  readonly startTimeUnixNano: Integer
  readonly timeUnixNano: Integer
  readonly flags: number
}

/** The metric that is being mapped. */
interface Current {
  readonly metric: Metric
  /** The name of its series. */
  readonly name: string
  readonly resource: ReadonlyArray<KeyValue>
  /** Names its resource and scope. */
  readonly origin: string
}

/** Adds an event to the series of a metric with this suffix. What is not finite is left out: nothing was measured. */
type Add = (suffix: string, value: number) => void

/** Why a point is rejected, and nothing if it is not. */
type Verdict = string | undefined

/** Makes the events of a point. */
type Mapping<P> = (point: P, add: Add) => Verdict

const shares = [0.5, 0.9, 0.99]
const percentiles = [".p50", ".p90", ".p99"]

const unknown: Extremes = { min: undefined, max: undefined }

const { cumulative, delta } = temporality
const isTemporality = (value: number): boolean => value === delta || value === cumulative
const badTemporality: Verdict = "its aggregation temporality is neither delta nor cumulative"

class Mapper {
  readonly #context: Context
  readonly #rows = new Rows()
  readonly #rejections = new Rejections()
  #points = 0

  constructor(context: Context) {
    this.#context = context
  }

  get result(): Mapped {
    return {
      columns: this.#rows.build(),
      points: this.#points,
      rejected: this.#rejections.count,
      message: this.#rejections.message(this.#points)
    }
  }

  metric(metric: Metric, resource: ReadonlyArray<KeyValue>, origin: string): void {
    const current: Current = { metric, name: seriesName(metric.name), resource, origin }
    const { exponentialHistogram, gauge, histogram, sum, summary } = metric
    if (gauge !== undefined) this.#all(current, gauge.dataPoints, valueOf)
    else if (sum !== undefined) this.#all(current, sum.dataPoints, this.#sumMapper(current, sum))
    else if (histogram !== undefined) {
      const kind = histogram.aggregationTemporality
      this.#all(current, histogram.dataPoints, (point, add) =>
        this.#histogram(current, point, explicitOf(point), kind, add)
      )
    } else if (exponentialHistogram !== undefined) {
      const kind = exponentialHistogram.aggregationTemporality
      this.#all(current, exponentialHistogram.dataPoints, (point, add) =>
        this.#histogram(current, point, exponentialOf(point), kind, add)
      )
    } else if (summary !== undefined) {
      this.#all(current, summary.dataPoints, (point, add) => this.#summary(current, point, add))
    }
  }

  #all<P extends AnyPoint>(current: Current, points: ReadonlyArray<P>, map: Mapping<P>): void {
    const { events, now } = this.#context
    const nameVerdict = this.#name(current)
    for (const point of points) {
      this.#points++
      // It only says that its stream has ended.
      if ((point.flags & noRecordedValue) !== 0) continue
      const timestamp = toMillis(point.timeUnixNano, now)
      const { maximum, minimum } = events.timestamp
      const verdict =
        nameVerdict ??
        (this.#points > limits.points ? `one request has at most ${limits.points} data points` : undefined) ??
        (timestamp < minimum || timestamp > maximum ? "its time is not in the years 2000 to 2100" : undefined) ??
        (this.#rows.size >= limits.events ? `one request makes at most ${limits.events} events` : undefined) ??
        this.#point(current, point, timestamp, map)
      if (verdict !== undefined) this.#rejections.add(current.metric.name, verdict)
    }
  }

  #point<P extends AnyPoint>(current: Current, point: P, timestamp: number, map: Mapping<P>) {
    const { metric, name, resource } = current
    const tags = tagsOf(resource, metric.unit, point.attributes, this.#context.events)
    return map(point, (suffix, value) => {
      if (Number.isFinite(value)) this.#rows.add(this.#points, name + suffix, value, timestamp, tags)
    })
  }

  #name({ metric, name }: Current): Verdict {
    if (metric.name === "") return "its metric has no name"
    const isOne = metric.gauge !== undefined || metric.sum !== undefined
    const longest = this.#context.events.nameLength - (isOne ? 0 : suffixLength)
    return name.length > longest ? `the name of its metric has more than ${longest} characters` : undefined
  }

  #sumMapper(
    current: Current,
    { aggregationTemporality: kind, isMonotonic }: NonNullable<Metric["sum"]>
  ): Mapping<NumberDataPoint> {
    if (!isTemporality(kind)) return () => badTemporality
    if (!isMonotonic) return kind === delta ? changeOf : valueOf
    return rising(kind === delta ? changeOf : (point, add) => this.#counter(current, point, add))
  }

  #counter(current: Current, point: NumberDataPoint, add: Add): Verdict {
    const value = numberOf(point)
    if (typeof value === "string") return value
    const added = this.#advance(current, point, { numbers: [value], distribution: undefined })
    if (added !== undefined && Number(added.numbers[0]) !== 0) add("", Number(added.numbers[0]))
    return undefined
  }

  #histogram(
    current: Current,
    point: HistogramDataPoint | ExponentialHistogramDataPoint,
    distribution: Distribution | string,
    kind: number,
    add: Add
  ): Verdict {
    if (!isTemporality(kind)) return badTemporality
    if (typeof distribution === "string") return distribution
    const totals: Totals = { numbers: [point.count, point.sum ?? NaN], distribution }
    const extremes = extremesOf(point)
    const added = kind === delta ? totals : this.#advance(current, point, totals)
    if (added !== undefined) addInterval(added, extremes, add)
    // Of a cumulative stream they are those since its start, and say nothing of this interval but its bounds.
    if (kind === delta && point.count !== 0) {
      add(".min", extremes.min ?? NaN)
      add(".max", extremes.max ?? NaN)
    }
    return undefined
  }

  #summary(current: Current, point: SummaryDataPoint, add: Add): Verdict {
    const { count, quantileValues, sum } = point
    if (quantileValues.length > limits.quantiles) return `it has more than ${limits.quantiles} quantiles`
    if (quantileValues.some(({ quantile }) => !(quantile >= 0 && quantile <= 1))) return "a quantile is not from 0 to 1"
    const added = this.#advance(current, point, { numbers: [count, sum], distribution: undefined })
    if (added !== undefined) addInterval(added, unknown, add)
    for (const { quantile, value } of quantileValues) add(quantileSuffix(quantile), value)
    return undefined
  }

  #advance({ metric, origin, resource }: Current, point: AnyPoint, totals: Totals): Totals | undefined {
    const time = point.timeUnixNano === 0 ? toNanos(this.#context.now) : point.timeUnixNano
    // A stream does not begin after its points.
    const start = point.startTimeUnixNano > time ? 0 : point.startTimeUnixNano
    const source = nameOf(origin, metric.name, metric.unit, `${start}`)
    const key = nameOf(source, canonical(point.attributes))
    const isFirstHand = this.#context.isFromSdk || isOfSdk(resource)
    return this.#context.streams.advance(this.#context.request, { key, source, start, time, isFirstHand, totals })
  }
}

const valueOf: Mapping<NumberDataPoint> = (point, add) => {
  const value = numberOf(point)
  if (typeof value === "string") return value
  add("", Number(value))
  return undefined
}

const changeOf: Mapping<NumberDataPoint> = (point, add) => {
  const value = numberOf(point)
  if (typeof value === "string") return value
  if (Number(value) !== 0) add("", Number(value))
  return undefined
}

/** What never falls is never below the zero at which it began. */
const rising =
  (map: Mapping<NumberDataPoint>): Mapping<NumberDataPoint> =>
  (point, add) =>
    (point.asDouble ?? point.asInt ?? 0) < 0 ? "it is negative, though its sum is monotonic" : map(point, add)

const addInterval = ({ distribution, numbers: [count, sum] }: Totals, extremes: Extremes, add: Add): void => {
  if (Number(count) === 0) return
  add(".count", Number(count))
  add(".sum", Number(sum))
  const estimates = distribution === undefined ? undefined : quantiles(distribution, shares, extremes)
  estimates?.forEach((estimate, index) => add(percentiles[index]!, estimate))
}
