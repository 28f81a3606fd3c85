/**
 * A histogram of latencies in constant memory: buckets whose width grows with the value, as in HdrHistogram (Gil Tene), so that a quantile
 * is right to within 1/128 (0.8 %) whether it is a microsecond or an hour.
 *
 * Each power of two is cut into 128 buckets of the same width. HdrHistogram lets the precision be chosen and grows; here both are fixed:
 * 13 KiB, microseconds to 71 minutes.
 *
 * @since 0.1.0
 */

/**
 * The quantiles of some latencies, in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Summary {
  /** How many latencies there are. */
  readonly count: number
  /** The median. */
  readonly p50: number
  /** 90 % are not above it. */
  readonly p90: number
  /** 99 % are not above it. */
  readonly p99: number
  /** 99.9 % are not above it. */
  readonly p999: number
  /** The greatest, exactly. */
  readonly max: number
}

/**
 * A histogram that takes latencies in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface LatencyHistogram {
  /** Adds a latency. What is below 0 counts as 0; what is above 71 minutes keeps its place only in `max`. */
  readonly record: (millis: number) => void
  /** How many latencies were added. */
  readonly count: () => number
  /**
   * The latency that a fraction `q` of them, from 0 to 1, is not above: never too low, and at most 0.8 % or a microsecond too high. `NaN` if
   * there are none.
   */
  readonly quantile: (q: number) => number
  /** The usual quantiles; `undefined` if there are no latencies. */
  readonly summary: () => Summary | undefined
}

/** Each power of two from 256 has so many buckets; below, each microsecond has its own. */
const perOctave = 128
const maxMicros = 2 ** 32 - 1
const size = (32 - 7 + 1) * perOctave

const bucketOf = (micros: number): number => {
  const shift = Math.max(0, 24 - Math.clz32(micros))
  return shift * perOctave + (micros >>> shift)
}

/** The greatest value of a bucket. */
const upperEdge = (bucket: number): number => {
  const shift = Math.max(0, Math.floor(bucket / perOctave) - 1)
  return (bucket - shift * perOctave + 1) * 2 ** shift - 1
}

/**
 * Creates an empty histogram.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): LatencyHistogram => {
  const buckets = new Uint32Array(size)
  let count = 0
  let max = 0

  const quantile = (q: number): number => {
    if (count === 0) return NaN
    let rank = Math.min(count, Math.max(1, Math.ceil(q * count)))
    for (let bucket = 0; bucket < size; bucket++) {
      rank -= buckets[bucket]!
      if (rank <= 0) return Math.min(max, upperEdge(bucket)) / 1000
    }
    return max / 1000
  }

  return {
    record: (millis) => {
      const micros = Math.max(0, Math.round(millis * 1000))
      buckets[bucketOf(Math.min(maxMicros, micros))]!++
      count++
      if (micros > max) max = micros
    },
    count: () => count,
    quantile,
    summary: () => {
      if (count === 0) return undefined
      const [p50, p90, p99, p999] = [quantile(0.5), quantile(0.9), quantile(0.99), quantile(0.999)]
      return { count, p50, p90, p99, p999, max: max / 1000 }
    }
  }
}
