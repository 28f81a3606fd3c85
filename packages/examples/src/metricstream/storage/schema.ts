/**
 * The tables, and how a database comes to have them.
 *
 * ```text
 * series                                  one row for each name that has events
 *   id               INTEGER  primary key; that of a series which has gone is never given again
 *   name             TEXT     unique
 *   stored           INTEGER  events ever stored: the sequence of the latest one
 *   count            INTEGER  events that are there: those stored, less those deleted
 *   first_timestamp  INTEGER  of its earliest event; series_by_first_timestamp is its index, by which the oldest events of all are found
 *   last_value       REAL     of the event with the latest timestamp
 *   last_timestamp   INTEGER  milliseconds since 1970
 *
 * events                                  one row for each event, laid out in the order in which queries read them
 *   series_id        INTEGER  ┐ REFERENCES series (id)
 *   timestamp        INTEGER  ├ primary key: the table is its own index by series and time range
 *   sequence         INTEGER  ┘ the event's number in its series, from 1; keeps events of the same millisecond apart
 *   value            REAL
 *   tags             TEXT     JSON object, or NULL
 * ```
 *
 * `count` and the times of a series change in the transaction that stores or deletes events, so listing series reads no events, and
 * neither does finding out that nothing is old enough to be deleted. A series whose last event is deleted goes with it.
 */
import type { DatabaseSync } from "node:sqlite"
import { describeFailure, diskFull } from "./failures.ts"

/** What each version adds to the one before it. `PRAGMA user_version` counts those a database has. Append; never edit. */
const migrations: ReadonlyArray<string> = [
  `CREATE TABLE series (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     count INTEGER NOT NULL,
     last_value REAL NOT NULL,
     last_timestamp INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE events (
     series_id INTEGER NOT NULL REFERENCES series (id),
     timestamp INTEGER NOT NULL,
     sequence INTEGER NOT NULL,
     value REAL NOT NULL,
     tags TEXT,
     PRIMARY KEY (series_id, timestamp, sequence)
   ) STRICT, WITHOUT ROWID;`,
  // A table cannot be made AUTOINCREMENT afterwards: it is made anew, which for a row a series is quick.
  `CREATE TABLE new_series (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     name TEXT NOT NULL UNIQUE,
     stored INTEGER NOT NULL,
     count INTEGER NOT NULL,
     first_timestamp INTEGER NOT NULL,
     last_value REAL NOT NULL,
     last_timestamp INTEGER NOT NULL
   ) STRICT;
   INSERT INTO new_series
     SELECT id, name, count, count, coalesce((SELECT min(timestamp) FROM events WHERE series_id = id), last_timestamp),
       last_value, last_timestamp
     FROM series;
   DROP TABLE series;
   ALTER TABLE new_series RENAME TO series;
   CREATE INDEX series_by_first_timestamp ON series (first_timestamp);`
]

/** The number that a pragma of SQLite has. */
export const pragma = (db: DatabaseSync, name: string): number =>
  Number(Object.values(db.prepare(`PRAGMA ${name}`).get() as Record<string, unknown>)[0])

/** Up to this many bytes a database of an earlier version is rebuilt at its start, which takes less than a second. */
const maxRebuilt = 2 ** 26

/** The value of `PRAGMA auto_vacuum` for files that shrink when they are told to. */
export const INCREMENTAL = 2

/**
 * Lets the file give space back. That is decided when a file is made, or rebuilt: one that is too large to be rebuilt in passing, or for whose
 * copy the disk has no room, stays as it is, and only reuses its space.
 */
const letShrink = (db: DatabaseSync): void => {
  if (pragma(db, "auto_vacuum") === INCREMENTAL) return
  const pages = pragma(db, "page_count")
  if (pages * pragma(db, "page_size") > maxRebuilt) return
  db.exec(`PRAGMA auto_vacuum = ${INCREMENTAL}`)
  if (pages === 0) return
  try {
    db.exec("VACUUM")
  } catch (error) {
    if (describeFailure(error) !== diskFull) throw error
  }
}

/**
 * Brings a database to the present version, each step in its own transaction. Throws for one that a newer program has made.
 *
 * Foreign keys must not be enforced by this connection: a table that others refer to is replaced.
 */
export const migrate = (db: DatabaseSync): void => {
  const version = pragma(db, "user_version")
  if (version > migrations.length) {
    throw new Error(`the database has version ${version}, this program knows ${migrations.length}`)
  }
  letShrink(db)
  // FULL: a commit returns after its fsync, so what was acknowledged outlives the machine's power, not only the process.
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
  // What is in the log goes into the database every 4 MiB; one that readers have made longer is cut to 16 MiB afterwards.
  db.exec("PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 16777216")
  for (let next = version; next < migrations.length; next++) {
    db.exec(`BEGIN IMMEDIATE; ${migrations[next]} PRAGMA user_version = ${next + 1}; COMMIT`)
  }
}
