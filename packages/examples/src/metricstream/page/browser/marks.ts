/** Which points of a line are marked. */

/** The width of a mark, in pixels. */
export const markWidth = 6

/**
 * The rows of values that a line would hardly show: they have no neighbours, or only as many as are narrower than a mark. `at` is where a row
 * is, in pixels.
 */
export const unseen = (values: ArrayLike<unknown>, at: (row: number) => number): Array<number> => {
  const rows: Array<number> = []
  let first = 0
  for (let row = 0; row <= values.length; row++) {
    if (typeof values[row] === "number") continue
    if (row > first && at(row - 1) - at(first) < markWidth) for (let of = first; of < row; of++) rows.push(of)
    first = row + 1
  }
  return rows
}
