/** What can be asked of the events of a series, bucket by bucket: plain arithmetic, without a database. */

/** The values of the events in one bucket of time. */
export interface Bucket {
  /** In the order of time. */
  readonly values: Float64Array
  /** The length of the bucket. */
  readonly seconds: number
  /** The values in ascending order. */
  readonly sorted: () => Float64Array
}

/**
 * The aggregations by name. What an empty bucket does not have is `NaN`.
 *
 * Percentiles are exact, by nearest rank: the smallest value that at least that share of the values does not exceed. `rate` is events
 * per second.
 */
export const aggregations = {
  count: ({ values }: Bucket) => values.length,
  sum: ({ values }: Bucket) => sum(values),
  min: ({ values }: Bucket) => least(values),
  max: ({ values }: Bucket) => greatest(values),
  avg: ({ values }: Bucket) => sum(values) / values.length,
  p50: (bucket: Bucket) => percentile(bucket, 50),
  p90: (bucket: Bucket) => percentile(bucket, 90),
  p99: (bucket: Bucket) => percentile(bucket, 99),
  rate: ({ seconds, values }: Bucket) => values.length / seconds
} as const

export type Aggregation = keyof typeof aggregations

export const aggregationNames = Object.keys(aggregations) as Array<Aggregation>

const sum = (values: Float64Array): number => {
  let total = 0
  for (const value of values) total += value
  return total
}

const least = (values: Float64Array): number => {
  let result = Infinity
  for (const value of values) if (value < result) result = value
  return values.length === 0 ? NaN : result
}

const greatest = (values: Float64Array): number => {
  let result = -Infinity
  for (const value of values) if (value > result) result = value
  return values.length === 0 ? NaN : result
}

const percentile = ({ sorted, values }: Bucket, percent: number): number =>
  values.length === 0 ? NaN : sorted()[Math.ceil((percent * values.length) / 100) - 1]!

/** Which events, cut into which buckets: `[from, from + step)`, `[from + step, …)`, the last one ending at `to`. */
export interface Range {
  /** The first millisecond. */
  readonly from: number
  /** The first millisecond that is no longer in it. */
  readonly to: number
  /** Milliseconds of a bucket. */
  readonly step: number
}

/** The number of buckets of a range. */
export const bucketCount = ({ from, step, to }: Range): number => Math.ceil((to - from) / step)

/**
 * Aggregates events, given in the order of time, all of them in the range. Returns a column for each wanted aggregation, with an entry
 * for each bucket. Holds the values of one bucket at a time.
 */
export const aggregate = (
  events: Iterable<readonly [timestamp: number, value: number]>,
  range: Range,
  wanted: ReadonlyArray<Aggregation>
): Array<Float64Array<ArrayBuffer>> => {
  const { from, step, to } = range
  const count = bucketCount(range)
  const columns = wanted.map(() => new Float64Array(count))
  let values = new Float64Array(1024)
  let length = 0
  let index = 0

  const finishBucket = () => {
    const start = from + index * step
    const bucket = makeBucket(values.subarray(0, length), (Math.min(start + step, to) - start) / 1000)
    wanted.forEach((name, column) => (columns[column]![index] = aggregations[name](bucket)))
    length = 0
    index++
  }

  for (const [timestamp, value] of events) {
    while (timestamp >= from + (index + 1) * step) finishBucket()
    if (length === values.length) values = grow(values)
    values[length++] = value
  }
  while (index < count) finishBucket()
  return columns
}

const makeBucket = (values: Float64Array, seconds: number): Bucket => {
  let sorted: Float64Array | undefined
  return { values, seconds, sorted: () => (sorted ??= values.toSorted()) }
}

const grow = (values: Float64Array): Float64Array<ArrayBuffer> => {
  const larger = new Float64Array(values.length * 2)
  larger.set(values)
  return larger
}
