/** Writes events into SQLite: plain blocking functions, run by the storage worker. */
import { existsSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { admit } from "./admission.ts"
import type { Columns } from "./columns.ts"
import { checkDisk } from "./disk.ts"
import { makeRetainer } from "./retainer.ts"
import type { Retainer } from "./retainer.ts"
import { migrate } from "./schema.ts"
import { busyTimeout, transaction } from "./transaction.ts"

/** What became of a group. */
export interface Appended {
  /** Of the requests of which nothing was stored, in ascending order, the rows whose series are too many. */
  readonly refused: Uint32Array<ArrayBuffer>
  /** For each name of the columns how many events its series has now, or 0 if none of its rows was stored. */
  readonly counts: Float64Array<ArrayBuffer>
}

/** The one connection that writes. */
export interface Writer extends Retainer {
  /**
   * Stores in one transaction the events of all requests, except for requests that would make more series than there may be: of these
   * it stores nothing. When it returns, the others are on the disk.
   */
  readonly append: (columns: Columns) => Appended
  /** Throws if the database cannot be locked for writing, or the disk has no room for events. */
  readonly probe: () => void
  /** Moves the write-ahead log into the database and closes it. */
  readonly close: () => void
}

export interface Options {
  /**
   * How many series there may be. An integer from 1, or `Infinity`. Those that are there already stay, and take events, however many.
   *
   * @default Infinity
   */
  readonly maxSeries?: number | undefined
}

/** Opens a database for writing, and makes it and its folder if they are not there. */
export const openWriter = (path: string, options: Options = {}): Writer => {
  makeFolder(dirname(path))
  return makeWriter(new DatabaseSync(path, { timeout: busyTimeout }), options)
}

/** There is room for fewer new series than a group has. */
class TooManySeries extends Error {
  readonly room: number
  constructor(room: number) {
    super()
    this.room = room
  }
}

/** Makes a database ready to be written to by this connection. */
export const makeWriter = (db: DatabaseSync, { maxSeries = Infinity }: Options = {}): Writer => {
  // Events are only ever stored under a series that was just written: to look for it again for each of them would find nothing.
  db.exec("PRAGMA foreign_keys = OFF")
  migrate(db)
  const file = db.location()
  const retainer = makeRetainer(db)
  const checkRoom = () => {
    if (file !== null) checkDisk(dirname(file), () => retainer.sizes().freeBytes)
  }
  const append = makeAppender(db, maxSeries)
  return {
    append: (columns) => {
      checkRoom()
      return append(columns)
    },
    probe: () => {
      checkRoom()
      transaction(db, () => {})
    },
    close: () => {
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      db.close()
    },
    ...retainer
  }
}

/** Stores groups, each in a transaction. */
const makeAppender = (db: DatabaseSync, maxSeries: number): Writer["append"] => {
  const none = new Uint32Array()
  const insertRows = makeInserter(db, maxSeries)
  const isKnown = db.prepare("SELECT 1 FROM series WHERE name = ?")

  /** The same, when there is not room for all. */
  const appendAdmitted = (columns: Columns, room: number) =>
    transaction(db, () => {
      const admitted = admit(columns, (name) => isKnown.get(name) !== undefined, room)
      return { refused: admitted.refused, counts: insertRows(admitted.columns) }
    })

  return (columns) => {
    try {
      return { refused: none, counts: transaction(db, () => insertRows(columns)) }
    } catch (error) {
      if (error instanceof TooManySeries) return appendAdmitted(columns, error.room)
      throw error
    }
  }
}

/** A series as events are added to it. */
interface Series {
  readonly id: number
  /** How many events it has had, these included. */
  readonly stored: number
  /** How many of them are there. */
  readonly count: number
  /** The timestamp of its earliest event so far. */
  readonly first: number
}

/**
 * Writes rows within a transaction, and says how many events the series of each name has then. Throws `TooManySeries`, to undo the
 * transaction, if they need more series than there may be.
 */
const makeInserter = (db: DatabaseSync, maxSeries: number) => {
  const writeSeries = makeSeriesWriter(db, maxSeries)
  const insertEvent = db.prepare(
    "INSERT INTO events (series_id, timestamp, sequence, value, tags) VALUES (?, ?, ?, ?, ?)"
  )
  return (columns: Columns): Appended["counts"] => {
    const { series, tagSets, tags, timestamps, values } = columns
    const totals = summarize(columns)
    const rows = writeSeries(columns, totals)
    const sequences = rows.map((row, index) => (row === undefined ? 0 : row.stored - totals[index]!.count))
    for (let row = 0; row < values.length; row++) {
      const index = series[row]!
      const { id } = rows[index]!
      insertEvent.run(id, timestamps[row]!, ++sequences[index]!, values[row]!, tagSets[tags[row]!] ?? null)
    }
    return Float64Array.from(rows, (row) => row?.count ?? 0)
  }
}

/** The statements that write series. Each returns what is then known of it. */
const seriesStatements = {
  update: `UPDATE series SET
       stored = stored + ?2,
       count = count + ?2,
       last_value = iif(?4 >= last_timestamp, ?3, last_value),
       last_timestamp = max(?4, last_timestamp)
     WHERE name = ?1 RETURNING id, stored, count, first_timestamp AS first`,
  insert: `INSERT INTO series (name, stored, count, last_value, last_timestamp, first_timestamp) VALUES (?1, ?2, ?2, ?3, ?4, ?5)
     RETURNING id, stored, count, first_timestamp AS first`
} as const

/** Writes the series of rows, and says what is then known of each name that has rows. */
const makeSeriesWriter = (db: DatabaseSync, maxSeries: number) => {
  const [update, insert] = [db.prepare(seriesStatements.update), db.prepare(seriesStatements.insert)]
  // Only now and then, so that the index by that column is not written each time.
  const updateFirst = db.prepare("UPDATE series SET first_timestamp = ? WHERE id = ?")
  const checkRoom = makeRoomCheck(db, maxSeries)

  return ({ names, timestamps, values }: Columns, totals: Totals): ReadonlyArray<Series | undefined> => {
    const used = [...names.keys()].filter((name) => totals[name]!.count > 0)
    const rows: Array<Series | undefined> = names.map(() => undefined)
    for (const name of used) {
      const { count, first, last } = totals[name]!
      const row = update.get(names[name]!, count, values[last]!, timestamps[last]!) as Series | undefined
      rows[name] = row
      if (row !== undefined && timestamps[first]! < row.first) updateFirst.run(timestamps[first]!, row.id)
    }
    const fresh = used.filter((name) => rows[name] === undefined)
    checkRoom(fresh.length)
    for (const name of fresh) {
      const { count, first, last } = totals[name]!
      const added = insert.get(names[name]!, count, values[last]!, timestamps[last]!, timestamps[first]!)
      rows[name] = added as unknown as Series
    }
    return rows
  }
}

/** Throws `TooManySeries` if there is no room for so many new ones. */
const makeRoomCheck = (db: DatabaseSync, maxSeries: number) => {
  const countSeries = db.prepare("SELECT count(*) AS count FROM series")
  return (fresh: number): void => {
    if (fresh === 0 || maxSeries === Infinity) return
    const room = Math.max(0, maxSeries - (countSeries.get() as { readonly count: number }).count)
    if (fresh > room) throw new TooManySeries(room)
  }
}

/** Like `mkdir -p`. Node's own (24.21) never returns where `mkdir` says "no such directory" inside one that exists, as in /proc. */
const makeFolder = (path: string): void => {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  mkdirSync(path)
}

type Totals = ReadonlyArray<{ readonly count: number; readonly first: number; readonly last: number }>

/** For each name the number of its rows, and the rows with its earliest and its latest timestamp. */
const summarize = ({ names, series, timestamps }: Columns): Totals => {
  const totals = names.map(() => ({ count: 0, first: 0, last: 0 }))
  for (let row = 0; row < series.length; row++) {
    const total = totals[series[row]!]!
    if (total.count === 0 || timestamps[row]! < timestamps[total.first]!) total.first = row
    if (total.count === 0 || timestamps[row]! >= timestamps[total.last]!) total.last = row
    total.count++
  }
  return totals
}
