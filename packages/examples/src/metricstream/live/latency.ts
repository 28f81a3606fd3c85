/** Percentiles of what a histogram counted between two looks at it. */

/** Counts by bucket, not added up: one for each boundary, and one for what is above the last. */
export type Counts = ReadonlyArray<number>

/**
 * Estimates a percentile from counts: linear within its bucket, as Prometheus' `histogram_quantile` does, and the last boundary for what lies
 * above it. Of a single observation it is that one, which is the `sum`. `null` if nothing was counted.
 */
export const percentile = (
  counts: Counts,
  sum: number,
  boundaries: ReadonlyArray<number>,
  share: number
): number | null => {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  if (total === 1) return sum
  const rank = share * total
  let below = 0
  for (const [index, boundary] of boundaries.entries()) {
    const count = counts[index]!
    if (count > 0 && below + count >= rank) {
      const start = index === 0 ? 0 : boundaries[index - 1]!
      return start + (boundary - start) * ((rank - below) / count)
    }
    below += count
  }
  return boundaries.at(-1)!
}

/** What was counted since: `before` is empty at the first look. */
export const difference = (now: Counts, before: Counts): Counts =>
  now.map((count, index) => Math.max(0, count - (before[index] ?? 0)))
