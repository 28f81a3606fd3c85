import type { Bounds } from "../../AdaptiveLimitOptions.ts"

export interface Range {
  readonly min: number
  readonly max: number
  readonly initial: number
  /** The nearest number within the range. */
  readonly clamp: (limit: number) => number
}

export const defaultMax = 1024

const defaultInitial = 20

/** Throws for what is not `ok`; `wanted` says what would have been. */
export const check = (ok: boolean, name: string, wanted: string, got: unknown): void => {
  if (!ok) throw new RangeError(`AdaptiveLimit.${name} must be ${wanted}, got ${String(got)}`)
}

export const checkCount = (name: string, count: number, least = 1): void =>
  check(Number.isInteger(count) && count >= least, name, `an integer >= ${least}`, count)

export const checkFactor = (name: string, factor: number): void =>
  check(factor > 0 && factor < 1, name, "a number > 0 and < 1", factor)

export const range = (
  of: string,
  { initial, max = defaultMax, min = 1 }: Bounds,
  preferred: number = defaultInitial
): Range => {
  checkCount(`${of}: min`, min)
  checkCount(`${of}: max`, max, min)
  const clamp = (limit: number) => Math.min(Math.max(limit, min), max)
  const first = initial ?? clamp(preferred)
  check(
    Number.isInteger(first) && first >= min && first <= max,
    `${of}: initial`,
    `an integer in ${min}..${max}`,
    first
  )
  return { min, max, initial: first, clamp }
}

/** Whether so few requests were in flight that nothing can be said about a higher limit (Netflix's rule). */
export const isIdle = (limit: number, maxInFlight: number): boolean => maxInFlight * 2 < limit
