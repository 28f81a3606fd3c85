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
  /** Up to `limit` series in the order of their names, from the first after `after`, whose names contain `match` in any case of letters. */
  readonly list: (after: string, limit: number, recent: number, match?: string) => Array<Summary>
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

/**
 * For how long one statement reads, in milliseconds. It holds a snapshot of the database, and while there is one the write-ahead log can only
 * grow: see `../storage/space.ts`.
 */
const snapshotMillis = 100

/** The place of an event in its series. */
type Position = readonly [timestamp: number, sequence: number]

/** Opens a database that exists, for reading. */
export const openReader = (path: string): Reader => {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 1000 })
  const selectSeries = db.prepare(
    `SELECT id, name, count, last_value AS lastValue, last_timestamp AS lastTimestamp
     FROM series WHERE name > ? AND instr(lower(name), lower(?)) > 0 ORDER BY name LIMIT ?`
  )
  const selectRecent = db.prepare(
    "SELECT value FROM events WHERE series_id = ? ORDER BY timestamp DESC, sequence DESC LIMIT ?"
  )
  const selectId = db.prepare("SELECT id FROM series WHERE name = ?")
  const selectRange = db.prepare(
    `SELECT timestamp, value, sequence FROM events
     WHERE series_id = ? AND (timestamp, sequence) > (?, ?) AND timestamp < ? ORDER BY timestamp, sequence`
  )
  selectRecent.setReturnArrays(true)
  selectRange.setReturnArrays(true)

  const recentOf = (id: number, count: number): Float64Array<ArrayBuffer> => {
    const rows = count === 0 ? [] : (selectRecent.all(id, count) as unknown as Array<[number]>)
    return Float64Array.from(rows, ([value]) => value).toReversed()
  }

  /** The events of a range, in several snapshots if that takes long: what is stored meanwhile may be among them. */
  function* eventsOf(series: number, { from, to }: Range): Iterable<readonly [timestamp: number, value: number]> {
    // Sequences begin with 1.
    let next: Position | undefined = [from, 0]
    while (next !== undefined) next = yield* eventsAfter(series, next, to)
  }

  /** The events of one snapshot, and where it ended before the range did. */
  function* eventsAfter(series: number, [timestamp, sequence]: Position, to: number) {
    const start = performance.now()
    let count = 0
    const rows = selectRange.iterate(series, timestamp, sequence, to) as unknown as Iterable<[number, number, number]>
    for (const row of rows) {
      yield row as unknown as readonly [number, number]
      if (++count % stopInterval === 0 && performance.now() - start > snapshotMillis)
        return [row[0], row[2]] as Position
    }
    return undefined
  }

  return {
    list: (after, limit, recent, match = "") => {
      const rows = selectSeries.all(after, match, limit) as unknown as Array<
        Omit<Summary, "recent"> & { readonly id: number }
      >
      return rows.map(({ id, ...summary }) => ({ ...summary, recent: recentOf(id, recent) }))
    },
    aggregate: (name, range, wanted, maxEvents, stop) => {
      const row = selectId.get(name) as { readonly id: number } | undefined
      if (row === undefined) throw new SeriesUnknown(name)
      return aggregate(bounded(eventsOf(row.id, range), maxEvents, stop), range, wanted)
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
