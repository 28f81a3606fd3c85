/** Writes events into SQLite: plain blocking functions, run by the storage worker. */
import { existsSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Columns } from "./columns.ts"
import { migrate } from "./schema.ts"

/** How long a transaction waits for another process's lock on the database, in milliseconds. */
export const busyTimeout = 1000

/** The one connection that writes. */
export interface Writer {
  /** Stores all events of the columns in one transaction, or none. When it returns they are on the disk. */
  readonly append: (columns: Columns) => void
  /** Throws if the database cannot be locked for writing. */
  readonly probe: () => void
  /** Moves the write-ahead log into the database and closes it. */
  readonly close: () => void
}

/** Opens a database for writing, and makes it and its folder if they are not there. */
export const openWriter = (path: string): Writer => {
  makeFolder(dirname(path))
  return makeWriter(new DatabaseSync(path, { timeout: busyTimeout }))
}

/** Makes a database ready to be written to by this connection. */
export const makeWriter = (db: DatabaseSync): Writer => {
  // FULL: a commit returns after its fsync, so what was acknowledged outlives the machine's power, not only the process.
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
  migrate(db)
  const upsertSeries = db.prepare(
    `INSERT INTO series (name, count, last_value, last_timestamp) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET
       count = count + excluded.count,
       last_value = iif(excluded.last_timestamp >= last_timestamp, excluded.last_value, last_value),
       last_timestamp = max(excluded.last_timestamp, last_timestamp)
     RETURNING id, count`
  )
  const insertEvent = db.prepare(
    "INSERT INTO events (series_id, timestamp, sequence, value, tags) VALUES (?, ?, ?, ?, ?)"
  )

  const insertAll = (columns: Columns) => {
    const { series, tagSets, tags, timestamps, values } = columns
    const totals = summarize(columns)
    const ids: Array<number> = []
    const sequences: Array<number> = []
    columns.names.forEach((name, index) => {
      const { count, last } = totals[index]!
      const row = upsertSeries.get(name, count, values[last]!, timestamps[last]!) as { id: number; count: number }
      ids.push(row.id)
      sequences.push(row.count - count)
    })
    for (let row = 0; row < values.length; row++) {
      const index = series[row]!
      insertEvent.run(ids[index]!, timestamps[row]!, ++sequences[index]!, values[row]!, tagSets[tags[row]!] ?? null)
    }
  }

  return {
    append: (columns) => transaction(db, () => insertAll(columns)),
    probe: () => transaction(db, () => {}),
    close: () => {
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      db.close()
    }
  }
}

/** Like `mkdir -p`. Node's own (24.21) never returns where `mkdir` says "no such directory" inside one that exists, as in /proc. */
const makeFolder = (path: string): void => {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  mkdirSync(path)
}

const transaction = (db: DatabaseSync, body: () => void): void => {
  db.exec("BEGIN IMMEDIATE")
  try {
    body()
    db.exec("COMMIT")
  } catch (error) {
    // Some failures, such as a full disk, have rolled it back already.
    if (db.isTransaction) db.exec("ROLLBACK")
    throw error
  }
}

/** For each name the number of its rows, and the row with its latest timestamp. */
const summarize = ({ names, series, timestamps }: Columns): ReadonlyArray<{ count: number; last: number }> => {
  const totals = names.map(() => ({ count: 0, last: 0 }))
  for (let row = 0; row < series.length; row++) {
    const total = totals[series[row]!]!
    if (total.count === 0 || timestamps[row]! >= timestamps[total.last]!) total.last = row
    total.count++
  }
  return totals
}

/** An error that `node:sqlite` throws. */
interface SqliteError extends Error {
  readonly code: "ERR_SQLITE_ERROR"
  /** SQLite's extended result code, whose low byte is the primary one. */
  readonly errcode: number
}

const isSqliteError = (error: unknown): error is SqliteError =>
  error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR"

/** Primary result codes of what is wrong with the database's surroundings or its file, not with us: sqlite.org/rescode.html. */
const failures: ReadonlyMap<number, string> = new Map([
  [5, "the database is locked by another process"],
  [6, "a table of the database is locked"],
  [8, "the database is read-only"],
  [10, "the disk failed"],
  [11, "the database is damaged"],
  [13, "the disk is full"],
  [14, "a file of the database cannot be opened"],
  [15, "the database's locks are in disorder"],
  [26, "the file is not a database"]
])

/** What to tell about a failure of the database's surroundings, and `undefined` for any other error: that is a bug. */
export const describeFailure = (error: unknown): string | undefined =>
  isSqliteError(error) ? failures.get(error.errcode & 0xff) : undefined
