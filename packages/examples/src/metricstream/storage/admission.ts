/** Which requests of a group may be stored when only so many new series may be made: plain arithmetic, without a database. */
import type { Columns } from "./columns.ts"

export interface Admitted {
  /** The columns without the rows of the requests that are refused. A name may have no row left. */
  readonly columns: Columns
  /** Of the refused requests, in ascending order, the rows whose series there is no room for. */
  readonly refused: Uint32Array<ArrayBuffer>
}

/**
 * Admits requests in their order, each with all its events or none, while the series that they would make are at most `room`. A request
 * that needs more makes none, so that a smaller one after it may still fit.
 */
export const admit = (columns: Columns, isKnown: (name: string) => boolean, room: number): Admitted => {
  const { names, requests, series } = columns
  const isNew = names.map((name) => !isKnown(name))
  const keep = new Uint8Array(series.length)
  const refused: Array<number> = []
  requests.forEach((from, request) => {
    const to = requests[request + 1] ?? series.length
    const made = new Set<number>()
    const excess: Array<number> = []
    for (let row = from; row < to; row++) {
      const name = series[row]!
      if (!isNew[name] || made.has(name)) continue
      if (made.size < room) made.add(name)
      else excess.push(row)
    }
    refused.push(...excess)
    if (excess.length > 0) return
    room -= made.size
    for (const name of made) isNew[name] = false
    keep.fill(1, from, to)
  })
  return { columns: only(columns, keep), refused: Uint32Array.from(refused) }
}

/** The columns without the requests that these rows, in ascending order, belong to. */
export const without = (columns: Columns, refused: Uint32Array): Columns => {
  if (refused.length === 0) return columns
  const { requests, series } = columns
  const keep = new Uint8Array(series.length).fill(1)
  let next = 0
  requests.forEach((from, request) => {
    const to = requests[request + 1] ?? series.length
    if (next < refused.length && refused[next]! < to) keep.fill(0, from, to)
    while (next < refused.length && refused[next]! < to) next++
  })
  return only(columns, keep)
}

/** The rows of which `keep` is 1. They no longer belong to requests. The names stay in their places: what is known of each goes by these. */
export const only = (columns: Columns, keep: Uint8Array): Columns => {
  const isKept = (_: number, row: number) => keep[row] === 1
  return {
    ...columns,
    requests: new Uint32Array(),
    series: columns.series.filter(isKept),
    timestamps: columns.timestamps.filter(isKept),
    values: columns.values.filter(isKept),
    tags: columns.tags.filter(isKept)
  }
}
