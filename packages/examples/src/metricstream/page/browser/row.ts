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
 * The row may be newer than the news, which wait for up to a second: then it contains these events. Counts only grow, but for what the
 * retention deletes, which the next list shows: so the greater count is the newer one.
 */
export const merge = (row: Numbers, [, count, timestamp, value]: Change): boolean => {
  const isLatest = timestamp > row.time || (timestamp === row.time && count > row.count)
  row.count = Math.max(row.count, count)
  if (!isLatest) return false
  row.time = timestamp
  row.recent.push(value)
  if (row.recent.length > limits.recent) row.recent.shift()
  return true
}
