/** Reads series out of SQLite: plain blocking functions, run by the query workers. */
import { DatabaseSync } from "node:sqlite"
import { aggregate } from "./aggregation.ts"
import type { Aggregation, Range } from "./aggregation.ts"

/** A series in the list. */
export interface Summary {
  readonly name: string
  readonly count: number
  readonly lastValue: number
  readonly lastTimestamp: number
  /** Its latest values, oldest first, as many as were asked for. */
  readonly recent: Float64Array<ArrayBuffer>
}

/** There is no series of that name. */
export class SeriesUnknown extends Error {}

/** The range holds more events than one answer may be computed from. */
export class TooManyEvents extends Error {}

/** A connection that reads. */
export interface Reader {
  /** Up to `limit` series in the order of their names, from the first after `after`. */
  readonly list: (after: string, limit: number, recent: number) => Array<Summary>
  /** Aggregates a range of a series, as `aggregate` does. `stop` is asked now and then whether to give up. */
  readonly aggregate: (
    name: string,
    range: Range,
    wanted: ReadonlyArray<Aggregation>,
    maxEvents: number,
    stop: () => boolean
  ) => Array<Float64Array<ArrayBuffer>>
  readonly close: () => void
}

/** After how many events `stop` is asked. */
const stopInterval = 1024

/** Opens a database that exists, for reading. */
export const openReader = (path: string): Reader => {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 1000 })
  const selectSeries = db.prepare(
    `SELECT id, name, count, last_value AS lastValue, last_timestamp AS lastTimestamp
     FROM series WHERE name > ? ORDER BY name LIMIT ?`
  )
  const selectRecent = db.prepare(
    "SELECT value FROM events WHERE series_id = ? ORDER BY timestamp DESC, sequence DESC LIMIT ?"
  )
  const selectId = db.prepare("SELECT id FROM series WHERE name = ?")
  const selectRange = db.prepare(
    `SELECT timestamp, value FROM events WHERE series_id = ? AND timestamp >= ? AND timestamp < ?
     ORDER BY timestamp, sequence`
  )
  selectRecent.setReturnArrays(true)
  selectRange.setReturnArrays(true)

  const recentOf = (id: number, count: number): Float64Array<ArrayBuffer> => {
    const rows = count === 0 ? [] : (selectRecent.all(id, count) as unknown as Array<[number]>)
    return Float64Array.from(rows, ([value]) => value).toReversed()
  }

  return {
    list: (after, limit, recent) => {
      const rows = selectSeries.all(after, limit) as unknown as Array<Omit<Summary, "recent"> & { readonly id: number }>
      return rows.map(({ id, ...summary }) => ({ ...summary, recent: recentOf(id, recent) }))
    },
    aggregate: (name, range, wanted, maxEvents, stop) => {
      const row = selectId.get(name) as { readonly id: number } | undefined
      if (row === undefined) throw new SeriesUnknown(name)
      const events = selectRange.iterate(row.id, range.from, range.to) as unknown as Iterable<[number, number]>
      return aggregate(bounded(events, maxEvents, stop), range, wanted)
    },
    close: () => db.close()
  }
}

function* bounded<A>(items: Iterable<A>, max: number, stop: () => boolean): Iterable<A> {
  let count = 0
  for (const item of items) {
    if (count >= max) throw new TooManyEvents()
    if (count++ % stopInterval === 0 && stop()) return
    yield item
  }
}
