/** The numbers in a row of the list: as the server rendered them, and brought up to date by news. */
import type { Change } from "../../live/figures.ts"
import { limits } from "../limits.ts"

export interface Numbers {
  /** How many events the series has. */
  count: number
  /** The timestamp of the latest one. */
  time: number
  /** The values of the latest ones. */
  readonly recent: Array<number>
}

/**
 * Takes over news, and says whether they have a latest value that the row has not.
 *
 * The row may be newer than the news, which wait for up to a second: then it contains these events. News of a later event than its latest are
 * newer. Of others the greater count is taken for the newer one: counts only grow, but for what the retention deletes.
 */
export const merge = (row: Numbers, [, count, timestamp, value]: Change): boolean => {
  const isLatest = timestamp > row.time || (timestamp === row.time && count > row.count)
  row.count = timestamp > row.time ? count : Math.max(row.count, count)
  if (!isLatest) return false
  row.time = timestamp
  row.recent.push(value)
  if (row.recent.length > limits.recent) row.recent.shift()
  return true
}
