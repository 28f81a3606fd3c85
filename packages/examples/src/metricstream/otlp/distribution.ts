/**
 * How measured values are distributed, as a histogram counts them, and the percentiles that can be estimated from that: arithmetic
 * without state.
 */

/** Counts between bounds: `counts[i]` values in `(bounds[i - 1], bounds[i]]`, the first from -∞, the last to ∞. */
export interface Explicit {
  readonly kind: "explicit"
  readonly bounds: ReadonlyArray<number>
  /** One more than the bounds. */
  readonly counts: ReadonlyArray<number>
}

/** Counts in a row of buckets: `counts[i]` in the one with the index `offset + i`. */
export interface Row {
  readonly offset: number
  readonly counts: ReadonlyArray<number>
}

/** Counts in buckets that grow with the value: index `i` is `(base ** i, base ** (i + 1)]`, where `base` is `2 ** (2 ** -scale)`. */
export interface Exponential {
  readonly kind: "exponential"
  readonly scale: number
  /** Values from `-zeroThreshold` to `zeroThreshold`. */
  readonly zeroCount: number
  readonly zeroThreshold: number
  readonly positive: Row
  /** By magnitude. */
  readonly negative: Row
}

export type Distribution = Explicit | Exponential

/** The least and the greatest value, where they are known. */
export interface Extremes {
  readonly min: number | undefined
  readonly max: number | undefined
}

/** How many numbers it holds: what it weighs in memory. */
export const weigh = (distribution: Distribution): number =>
  distribution.kind === "explicit"
    ? distribution.bounds.length + distribution.counts.length
    : distribution.positive.counts.length + distribution.negative.counts.length

/** How many values it counts: exactly below 2 ** 53, beyond that about. */
export const countOf = (distribution: Distribution): number =>
  distribution.kind === "explicit"
    ? sum(distribution.counts)
    : sum(distribution.negative.counts) + distribution.zeroCount + sum(distribution.positive.counts)

const sum = (counts: ReadonlyArray<number>): number => counts.reduce((total, count) => total + count, 0)

/**
 * What `now` counts beyond `before`, which counts a part of the same values; `undefined` if their buckets do not fit together. Of two
 * scales the coarser is taken: a stream makes its buckets coarser as its values spread.
 */
export const since = (now: Distribution, before: Distribution): Distribution | undefined => {
  if (now.kind === "explicit") {
    const fits =
      before.kind === "explicit" &&
      before.bounds.length === now.bounds.length &&
      before.bounds.every((bound, index) => bound === now.bounds[index])
    return fits ? { ...now, counts: now.counts.map((count, index) => above(count, before.counts[index])) } : undefined
  }
  if (before.kind !== "exponential" || before.zeroThreshold !== now.zeroThreshold) return undefined
  const scale = Math.min(now.scale, before.scale)
  return {
    ...now,
    scale,
    zeroCount: above(now.zeroCount, before.zeroCount),
    positive: rowSince(coarser(now.positive, now.scale - scale), coarser(before.positive, before.scale - scale)),
    negative: rowSince(coarser(now.negative, now.scale - scale), coarser(before.negative, before.scale - scale))
  }
}

/** A bucket never counts less than before, unless its sender is mistaken. */
const above = (now: number, before: number | undefined): number => Math.max(0, now - (before ?? 0))

const rowSince = ({ counts, offset }: Row, before: Row): Row => ({
  offset,
  counts: counts.map((count, index) => above(count, before.counts[offset + index - before.offset]))
})

/** The same values in buckets of which each holds `2 ** steps` of those before. */
const coarser = ({ counts, offset }: Row, steps: number): Row => {
  if (steps === 0 || counts.length === 0) return { counts, offset }
  const target = (index: number) => Math.floor(index / 2 ** steps)
  const first = target(offset)
  const merged = Array.from({ length: target(offset + counts.length - 1) - first + 1 }, () => 0)
  counts.forEach((count, index) => (merged[target(offset + index) - first]! += count))
  return { offset: first, counts: merged }
}

/** `count` values from `lower` to `upper`. */
interface Bucket {
  readonly lower: number
  readonly upper: number
  readonly count: number
}

/**
 * Estimates the values below which lie these shares, from 0 to 1 and ascending, of all values; `undefined` if it counts none, or
 * nothing is known but how many.
 *
 * As Prometheus' `histogram_quantile` does it: the values of a bucket are taken to be spread evenly over it, those of an exponential one
 * in its proportion. The first bucket begins at the least value or, if that is unknown, at 0; one without an end ends at the greatest
 * value or, if that is unknown, where it begins. No estimate is outside the extremes.
 */
export const quantiles = (
  distribution: Distribution,
  shares: ReadonlyArray<number>,
  extremes: Extremes
): ReadonlyArray<number> | undefined => {
  const buckets = (distribution.kind === "explicit" ? explicitBuckets : exponentialBuckets)(
    distribution as never,
    extremes
  )
  const filled = buckets.filter(({ count }) => count > 0)
  const total = countOf(distribution)
  if (total === 0 || filled.some(({ lower, upper }) => !Number.isFinite(lower) || !Number.isFinite(upper)))
    return undefined
  let index = 0
  let below = 0
  return shares.map((share) => {
    const rank = share * total
    while (index < filled.length - 1 && below + filled[index]!.count < rank) below += filled[index++]!.count
    const bucket = filled[index]!
    return within(extremes, interpolate(bucket, (rank - below) / bucket.count, distribution.kind === "exponential"))
  })
}

const within = ({ max, min }: Extremes, value: number): number =>
  Math.min(max ?? Infinity, Math.max(min ?? -Infinity, value))

const interpolate = ({ lower, upper }: Bucket, fraction: number, isGeometric: boolean): number => {
  const part = Math.min(1, Math.max(0, fraction))
  // Neither the ratio nor the span of two finite numbers need be finite.
  if (isGeometric && lower > 0) return lower ** (1 - part) * upper ** part
  if (isGeometric && upper < 0) return -((-lower) ** (1 - part) * (-upper) ** part)
  const span = upper - lower
  return Number.isFinite(span) ? lower + span * part : lower * (1 - part) + upper * part
}

const explicitBuckets = ({ bounds, counts }: Explicit, { max, min }: Extremes): ReadonlyArray<Bucket> => {
  const first = bounds[0]
  const start = min ?? (first === undefined || first > 0 ? 0 : first)
  return counts.map((count, index) => {
    const lower = index === 0 ? start : bounds[index - 1]!
    const upper = bounds[index] ?? max ?? (bounds.length === 0 ? NaN : lower)
    return { lower: Math.max(lower, min ?? lower), upper: Math.min(upper, max ?? upper), count }
  })
}

const exponentialBuckets = (
  { negative, positive, scale, zeroCount, zeroThreshold }: Exponential,
  { max, min }: Extremes
): ReadonlyArray<Bucket> => {
  // The bounds of the outermost buckets may be beyond what a number can be.
  const bound = (index: number) => Math.min(Number.MAX_VALUE, 2 ** (index * 2 ** -scale))
  const below = negative.counts.map((count, index) => ({
    lower: -bound(negative.offset + index + 1),
    upper: -bound(negative.offset + index),
    count
  }))
  const zero = {
    lower: below.length === 0 ? 0 : -zeroThreshold,
    upper: positive.counts.length === 0 ? 0 : zeroThreshold,
    count: zeroCount
  }
  const above = positive.counts.map((count, index) => ({
    lower: bound(positive.offset + index),
    upper: bound(positive.offset + index + 1),
    count
  }))
  return [...below.toReversed(), zero, ...above].map(({ count, lower, upper }) => ({
    lower: Math.max(lower, min ?? lower),
    upper: Math.min(upper, max ?? upper),
    count
  }))
}
