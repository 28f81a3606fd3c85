import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ColumnsBuilder } from "@spillway/examples/metricstream/storage/columns"
import { openReader, SeriesUnknown, TooManyEvents } from "@spillway/examples/metricstream/query/reader"
import { describeFailure } from "@spillway/examples/metricstream/storage/failures"
import { makeWriter, openWriter } from "@spillway/examples/metricstream/storage/writer"
import { storedEvents, temporaryFolder, toColumns } from "./support/files.ts"

const databasePath = Effect.map(temporaryFolder, (folder) => join(folder, "new", "metricstream.db"))

const writerOf = (path: string) =>
  Effect.acquireRelease(
    Effect.sync(() => openWriter(path)),
    (writer) => Effect.sync(writer.close)
  )
const readerOf = (path: string) =>
  Effect.acquireRelease(
    Effect.sync(() => openReader(path)),
    (reader) => Effect.sync(reader.close)
  )

const failureOf = (action: () => void): string | undefined => {
  try {
    action()
    return "it succeeded"
  } catch (error) {
    return describeFailure(error)
  }
}

/** A database as the first version made it. */
const makeVersion1 = (path: string) => {
  const db = new DatabaseSync(path)
  db.exec(`
    CREATE TABLE series (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, count INTEGER NOT NULL,
      last_value REAL NOT NULL, last_timestamp INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE events (
      series_id INTEGER NOT NULL REFERENCES series (id), timestamp INTEGER NOT NULL, sequence INTEGER NOT NULL,
      value REAL NOT NULL, tags TEXT, PRIMARY KEY (series_id, timestamp, sequence)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO series VALUES (7, 'b', 2, 3, 3000), (4, 'a', 2, 2, 2000);
    INSERT INTO events VALUES
      (4, 1000, 1, 1, NULL), (4, 2000, 2, 2, NULL), (7, 2500, 1, 4, NULL), (7, 3000, 2, 3, '{"host":"x"}');
    PRAGMA journal_mode = WAL;
    PRAGMA user_version = 1`)
  db.close()
}

describe("writer", () => {
  it.effect("stores each event once, in the order of time, numbered in its series", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      const writer = yield* writerOf(path)
      writer.append(
        toColumns(
          [
            { name: "b", value: 1, timestamp: 2000, tags: { host: "x" } },
            { name: "a", value: 2, timestamp: 1000 },
            { name: "b", value: 3, tags: { host: "x" } }
          ],
          1500
        )
      )
      writer.append(toColumns([{ name: "b", value: 4, timestamp: 1500 }]))
      assert.deepStrictEqual(storedEvents(path), [
        { name: "a", timestamp: 1000, sequence: 1, value: 2, tags: null },
        { name: "b", timestamp: 1500, sequence: 2, value: 3, tags: '{"host":"x"}' },
        { name: "b", timestamp: 1500, sequence: 3, value: 4, tags: null },
        { name: "b", timestamp: 2000, sequence: 1, value: 1, tags: '{"host":"x"}' }
      ])
    })
  )

  it.effect("makes no more series than it may, and then stores of a group what makes none too many", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      const writer = yield* Effect.acquireRelease(
        Effect.sync(() => openWriter(path, { maxSeries: 2 })),
        ({ close }) => Effect.sync(close)
      )
      const builder = new ColumnsBuilder()
      const request = (...names: ReadonlyArray<string>) =>
        builder.add(
          names.map((name) => ({ name, value: 1 })),
          0
        )
      request("a")
      request("a", "b", "c", "c")
      request("b")
      const columns = builder.build()
      assert.deepStrictEqual(columns.names, ["a", "b", "c"])
      assert.deepStrictEqual(writer.append(columns), {
        refused: Uint32Array.of(3, 4),
        counts: Float64Array.of(1, 1, 0)
      })
      assert.deepStrictEqual(
        storedEvents(path).map(({ name, sequence }) => [name, sequence]),
        [
          ["a", 1],
          ["b", 1]
        ]
      )
      assert.deepStrictEqual(
        writer.append(
          toColumns([
            { name: "b", value: 2 },
            { name: "a", value: 2 }
          ])
        ),
        { refused: new Uint32Array(), counts: Float64Array.of(2, 2) }
      )
    })
  )

  it.effect("keeps the number of events and the latest one of each series", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      const writer = yield* writerOf(path)
      const at = (timestamp: number, value: number) => ({ name: "a", value, timestamp })
      writer.append(toColumns([at(3000, 1), at(1000, 2)]))
      assert.deepStrictEqual(writer.append(toColumns([at(2000, 3)])).counts, Float64Array.of(3))
      const reader = yield* readerOf(path)
      const summary = { name: "a", count: 3, lastValue: 1, lastTimestamp: 3000 }
      assert.deepStrictEqual(reader.list("", 10, 2), [{ ...summary, recent: Float64Array.of(3, 1) }])
      writer.append(toColumns([at(3000, 4)]))
      assert.deepStrictEqual(reader.list("", 10, 0), [
        { ...summary, count: 4, lastValue: 4, recent: new Float64Array() }
      ])
    })
  )

  it.effect("makes a commit wait for its fsync", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const db = new DatabaseSync(join(folder, "metricstream.db"))
      const writer = makeWriter(db)
      const FULL = 2
      assert.deepStrictEqual({ ...db.prepare("PRAGMA synchronous").get() }, { synchronous: FULL })
      assert.deepStrictEqual({ ...db.prepare("PRAGMA journal_mode").get() }, { journal_mode: "wal" })
      writer.close()
    })
  )

  it.effect("stores nothing of a group that finds the disk full, and goes on when there is room", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const path = join(folder, "metricstream.db")
      const db = new DatabaseSync(path)
      const writer = makeWriter(db)
      const group = (size: number) =>
        toColumns(Array.from({ length: size }, (_, index) => ({ name: "a", value: index, timestamp: 1000 })))
      writer.append(group(10))
      db.exec("PRAGMA max_page_count = 20")
      assert.strictEqual(
        failureOf(() => writer.append(group(10_000))),
        "the disk is full"
      )
      assert.strictEqual(storedEvents(path).length, 10)
      writer.append(group(10))
      db.exec("PRAGMA max_page_count = 100000")
      writer.append(group(10_000))
      assert.strictEqual(storedEvents(path).length, 10_020)
      writer.close()
    })
  )

  it.effect("stores nothing while another connection holds the lock", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      const writer = yield* writerOf(path)
      const other = new DatabaseSync(path)
      other.exec("BEGIN IMMEDIATE")
      const locked = "the database is locked by another process"
      assert.strictEqual(failureOf(writer.probe), locked)
      assert.strictEqual(
        failureOf(() => writer.append(toColumns([{ name: "a", value: 1 }]))),
        locked
      )
      other.close()
      writer.probe()
      writer.append(toColumns([{ name: "a", value: 2 }]))
      assert.deepStrictEqual(
        storedEvents(path).map(({ value }) => value),
        [2]
      )
    })
  )

  it.effect("brings a database of the first version to the present one, and lets its file shrink", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "metricstream.db")
      makeVersion1(path)
      const writer = yield* writerOf(path)
      writer.append(toColumns([{ name: "a", value: 4, timestamp: 500 }]))
      const reader = yield* readerOf(path)
      assert.deepStrictEqual(reader.list("", 10, 2), [
        { name: "a", count: 3, lastValue: 2, lastTimestamp: 2000, recent: Float64Array.of(1, 2) },
        { name: "b", count: 2, lastValue: 3, lastTimestamp: 3000, recent: Float64Array.of(4, 3) }
      ])
      const db = new DatabaseSync(path, { readOnly: true })
      assert.deepStrictEqual(
        db
          .prepare("SELECT name, stored, first_timestamp FROM series ORDER BY name")
          .all()
          .map((row) => ({ ...row })),
        [
          { name: "a", stored: 3, first_timestamp: 500 },
          { name: "b", stored: 2, first_timestamp: 2500 }
        ]
      )
      assert.deepStrictEqual({ ...db.prepare("PRAGMA auto_vacuum").get() }, { auto_vacuum: 2 })
      assert.deepStrictEqual(db.prepare("PRAGMA foreign_key_check").all(), [])
      assert.deepStrictEqual(
        storedEvents(path).map(({ sequence }) => sequence),
        [3, 1, 2, 1, 2]
      )
      db.close()
    })
  )

  it.effect("does not rebuild a large database, which reuses its space only", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "metricstream.db")
      makeVersion1(path)
      const db = new DatabaseSync(path)
      db.exec("CREATE TABLE large (bytes BLOB); INSERT INTO large VALUES (zeroblob(70000000))")
      db.close()
      const writer = yield* writerOf(path)
      const policy = { keepFrom: 0, maxBytes: Infinity, maxFileBytes: Infinity, now: 0, budget: 10 }
      new DatabaseSync(path).exec("DELETE FROM large")
      const { freeBytes, more } = writer.retain(policy)
      assert.isAbove(freeBytes, 69_000_000)
      assert.isFalse(more)
    })
  )

  it("makes the tables that the README describes", () => {
    const readme = readFileSync(new URL("../../src/metricstream/README.md", import.meta.url), "utf8")
    const db = new DatabaseSync(":memory:")
    makeWriter(db)
    for (const table of ["series", "events"]) {
      const [, described = ""] = readme.split(`| \`${table}\` | |`)
      const rows = described.split("\n\n")[0]!.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)
      assert.deepStrictEqual(
        [...rows].map(([, name, type]) => [name, type]),
        db
          .prepare(`PRAGMA table_info(${table})`)
          .all()
          .map(({ name, type }) => [name, type])
      )
      for (const key of db.prepare(`PRAGMA foreign_key_list(${table})`).all()) {
        assert.include(
          described.split("\n\n")[0],
          `| \`${key.from}\` | INTEGER | \`REFERENCES ${key.table} (${key.to})\``
        )
      }
    }
    const section = readme.split("## The database")[1]!.split("\n## ")[0]!
    const made = db.prepare("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_autoindex_%'").all()
    for (const { name } of made) assert.include(section, `\`${name}\``)
    db.close()
  })

  it.effect("refuses a database of a newer program", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const path = join(folder, "metricstream.db")
      const db = new DatabaseSync(path)
      db.exec("PRAGMA user_version = 1000")
      db.close()
      assert.throws(() => openWriter(path), /version 1000/)
    })
  )

  it("excuses a file that is damaged or no database, and locks in disorder", () => {
    const detail = (errcode: number) =>
      describeFailure(Object.assign(new Error("sqlite"), { code: "ERR_SQLITE_ERROR", errcode }))
    const SQLITE_CORRUPT_INDEX = 11 | (3 << 8)
    assert.strictEqual(detail(SQLITE_CORRUPT_INDEX), "the database is damaged")
    assert.strictEqual(detail(15), "the database's locks are in disorder")
    assert.strictEqual(detail(26), "the file is not a database")
    const SQLITE_CONSTRAINT = 19
    assert.isUndefined(detail(SQLITE_CONSTRAINT))
  })

  it.effect("excuses the damage that it finds in a file", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "text.db")
      writeFileSync(path, "this is not a database".repeat(100))
      assert.strictEqual(
        failureOf(() => openWriter(path)),
        "the file is not a database"
      )
    })
  )

  it("does not excuse an error that is a bug", () => {
    const db = new DatabaseSync(":memory:")
    assert.isUndefined(failureOf(() => db.exec("SELECT nonsense")))
    assert.isUndefined(describeFailure(new Error("the disk is full")))
    db.close()
  })
})

describe("reader", () => {
  const withEvents = Effect.gen(function* () {
    const path = yield* databasePath
    const writer = yield* writerOf(path)
    const events = Array.from({ length: 3000 }, (_, index) => ({ name: "a", value: index, timestamp: 10_000 + index }))
    writer.append(toColumns([...events, { name: "b", value: 7, timestamp: 10_500 }]))
    return yield* readerOf(path)
  })
  const never = () => false

  it.effect("aggregates the events of one series between from, included, and to, excluded", () =>
    Effect.gen(function* () {
      const reader = yield* withEvents
      const range = { from: 10_500, to: 11_500, step: 500 }
      assert.deepStrictEqual(reader.aggregate("a", range, ["count", "min", "max"], 10_000, never), [
        Float64Array.of(500, 500),
        Float64Array.of(500, 1000),
        Float64Array.of(999, 1499)
      ])
    })
  )

  it.effect("pages through the list in the order of names", () =>
    Effect.gen(function* () {
      const reader = yield* withEvents
      const names = (after: string, limit: number) => reader.list(after, limit, 0).map(({ name }) => name)
      assert.deepStrictEqual(
        [names("", 10), names("", 1), names("a", 10), names("b", 10)],
        [["a", "b"], ["a"], ["b"], []]
      )
    })
  )

  it.effect("says which series it does not know, and when there are too many events", () =>
    Effect.gen(function* () {
      const reader = yield* withEvents
      const range = { from: 10_000, to: 20_000, step: 1000 }
      assert.throws(() => reader.aggregate("c", range, ["count"], 10, never), SeriesUnknown)
      assert.throws(() => reader.aggregate("a", range, ["count"], 2999, never), TooManyEvents)
      assert.strictEqual(reader.aggregate("a", range, ["count"], 3000, never)[0]![0], 1000)
    })
  )

  it.effect("reads a long range in several snapshots, and each event once", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      const writer = yield* writerOf(path)
      const at = (timestamp: number) => ({ name: "a", value: timestamp, timestamp })
      // Many of one millisecond: a snapshot ends amid them.
      writer.append(toColumns(Array.from({ length: 5000 }, (_, index) => at(Math.floor(index / 2500)))))
      const reader = yield* readerOf(path)
      let asked = 0
      const pauseOnce = () => {
        if (asked++ !== 0) return false
        writer.append(toColumns([at(2), at(0)]))
        const until = performance.now() + 120
        while (performance.now() < until);
        return false
      }
      const range = { from: 0, to: 10, step: 1 }
      const [count] = reader.aggregate("a", range, ["count"], 10_000, pauseOnce)
      // Both were stored meanwhile, and lie ahead of what had been read.
      assert.deepStrictEqual(Array.from(count!.subarray(0, 3)), [2501, 2500, 1])
    })
  )

  it.effect("gives up soon after it is told to stop", () =>
    Effect.gen(function* () {
      const reader = yield* withEvents
      let asked = 0
      const [count] = reader.aggregate(
        "a",
        { from: 0, to: 20_000, step: 20_000 },
        ["count"],
        10_000,
        () => asked++ === 1
      )
      assert.strictEqual(count![0], 1024)
    })
  )

  it.effect("cannot write", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      yield* writerOf(path)
      const db = new DatabaseSync(path, { readOnly: true })
      assert.throws(() => db.exec("DELETE FROM series"), /readonly/)
      db.close()
    })
  )
})
