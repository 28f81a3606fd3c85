/** One result of several runs that differ in their seed. */
import { quantile } from "../support/statistics.ts"
import type { PhaseResult } from "./recorder.ts"

export interface MedianResult extends PhaseResult {
  /** The least and the greatest `share` of all seeds. */
  readonly shares: readonly [least: number, most: number]
}

/** `null` stands for never, which is later than all else. */
const middle = (values: ReadonlyArray<number | null>): number | null => {
  const median = quantile(
    values.map((value) => value ?? Infinity).toSorted((a, b) => a - b),
    0.5
  )
  return median === Infinity ? null : median
}

/** Each figure is the median of its own: they need not be of the same run. */
export const medianOf = (runs: ReadonlyArray<PhaseResult>): MedianResult => {
  const of = (figure: (result: PhaseResult) => number) => middle(runs.map(figure))!
  const shares = runs.map(({ share }) => share)
  return {
    name: runs[0]!.name,
    offered: of((result) => result.offered),
    attempted: of((result) => result.attempted),
    goodput: of((result) => result.goodput),
    share: of((result) => result.share),
    shares: [Math.min(...shares), Math.max(...shares)],
    p99: middle(runs.map(({ p99 }) => p99)),
    refused: of((result) => result.refused),
    convergence: middle(runs.map(({ convergence }) => convergence)),
    limit: of((result) => result.limit)
  }
}
