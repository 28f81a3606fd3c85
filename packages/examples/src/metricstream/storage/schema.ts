/**
 * The tables, and how a database comes to have them.
 *
 * ```text
 * series                                  one row for each name
 *   id              INTEGER  primary key
 *   name            TEXT     unique
 *   count           INTEGER  events ever stored
 *   last_value      REAL     of the event with the latest timestamp
 *   last_timestamp  INTEGER  milliseconds since 1970
 *
 * events                                  one row for each event, laid out in the order in which queries read them
 *   series_id       INTEGER  ┐
 *   timestamp       INTEGER  ├ primary key: the table is its own index by series and time range
 *   sequence        INTEGER  ┘ the event's number in its series, from 1; keeps events of the same millisecond apart
 *   value           REAL
 *   tags            TEXT     JSON object, or NULL
 * ```
 *
 * `count`, `last_value` and `last_timestamp` change in the transaction that stores the events, so listing series reads no events.
 */
import type { DatabaseSync } from "node:sqlite"

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
   ) STRICT, WITHOUT ROWID;`
]

/** Brings a database to the present version, each step in its own transaction. Throws for one that a newer program has made. */
export const migrate = (db: DatabaseSync): void => {
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number }
  if (version > migrations.length) {
    throw new Error(`the database has version ${version}, this program knows ${migrations.length}`)
  }
  for (let next = version; next < migrations.length; next++) {
    db.exec(`BEGIN IMMEDIATE; ${migrations[next]} PRAGMA user_version = ${next + 1}; COMMIT`)
  }
}
