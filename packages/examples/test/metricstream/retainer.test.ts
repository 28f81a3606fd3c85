import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { statSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { openReader } from "@spillway/examples/metricstream/query/reader"
import { defaults, makeRetainer, statements } from "@spillway/examples/metricstream/storage/retainer"
import type { Limits, Policy, Retained } from "@spillway/examples/metricstream/storage/retainer"
import { makeWriter } from "@spillway/examples/metricstream/storage/writer"
import { storedEvents, temporaryFolder, toColumns } from "./support/files.ts"

const now = 1_000_000
const keepAll: Policy = { keepFrom: -Infinity, maxBytes: Infinity, maxFileBytes: Infinity, now, budget: 0 }

/** A database that its writer and its retainer share a connection to. */
const openDatabase = Effect.fnUntraced(function* (limits: Partial<Limits> = {}) {
  const path = join(yield* temporaryFolder, "metricstream.db")
  const db = new DatabaseSync(path)
  const writer = yield* Effect.acquireRelease(
    Effect.sync(() => makeWriter(db)),
    ({ close }) => Effect.sync(close)
  )
  const { retain } = makeRetainer(db, { ...defaults, ...limits })
  /** Calls until there is nothing more to do. Returns what each call has done. */
  const retainAll = (policy: Partial<Policy>) => {
    const calls: Array<Retained> = [retain({ ...keepAll, ...policy })]
    while (calls.at(-1)!.more) {
      assert.isBelow(calls.length, 10_000, "it does not come to an end")
      calls.push(retain({ ...keepAll, ...policy }))
    }
    return calls
  }
  const append = (events: ReadonlyArray<readonly [name: string, timestamp: number]>) =>
    writer.append(toColumns(events.map(([name, timestamp], value) => ({ name, timestamp, value }))))
  return { path, db, append, retain, retainAll }
})

const sum = (calls: ReadonlyArray<Retained>, what: "aged" | "crowded") =>
  calls.reduce((total, call) => total + call[what], 0)

/** Events of several series, one each `step` milliseconds. */
const steady = (names: ReadonlyArray<string>, count: number, from: number, step: number) =>
  Array.from({ length: count }, (_, index) => [names[index % names.length]!, from + index * step] as const)

describe("retainer", () => {
  it.effect("deletes what is too old, and the series that have nothing left", () =>
    Effect.gen(function* () {
      const { append, path, retainAll } = yield* openDatabase()
      append([
        ["gone", 1],
        ["gone", 99],
        ["a", 50],
        ["a", 100],
        ["b", 200]
      ])
      const calls = retainAll({ keepFrom: 100 })
      assert.strictEqual(sum(calls, "aged"), 3)
      assert.strictEqual(calls.at(-1)!.series, 2)
      assert.deepStrictEqual(
        storedEvents(path).map(({ name, timestamp }) => [name, timestamp]),
        [
          ["a", 100],
          ["b", 200]
        ]
      )
      const reader = openReader(path)
      assert.deepStrictEqual(
        reader.list("", 10, 0).map(({ count, name }) => [name, count]),
        [
          ["a", 1],
          ["b", 1]
        ]
      )
      reader.close()
      assert.deepStrictEqual(
        retainAll({ keepFrom: 100 }).map(({ aged, more }) => [aged, more]),
        [[0, false]]
      )
      const { counts } = append([
        ["a", 300],
        ["gone", 300]
      ])
      assert.deepStrictEqual(counts, Float64Array.of(2, 1))
    })
  )

  const Sample = Schema.Tuple([
    Schema.Literals(["a", "b", "c"]),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
  ])
  it.effect.prop(
    "leaves exactly what is young enough, with true counts and first times, whatever came in which order",
    {
      groups: Schema.Array(Schema.Array(Sample)),
      keepFrom: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 35 })),
      batch: Schema.Literals([1, 2, 1000])
    },
    ({ batch, groups, keepFrom }) =>
      Effect.gen(function* () {
        const { append, db, path, retain, retainAll } = yield* openDatabase({ batch })
        const all = groups.flat()
        // Deleting goes on between the groups.
        for (const group of groups) {
          append(group)
          retain({ ...keepAll, keepFrom })
        }
        retainAll({ keepFrom })
        const expected = all.filter(([, timestamp]) => timestamp >= keepFrom)
        const key = ([name, timestamp]: readonly [string, number]) => `${name} ${String(timestamp).padStart(2, "0")}`
        assert.deepStrictEqual(
          storedEvents(path).map(({ name, timestamp }) => key([name, timestamp])),
          expected.map(key).toSorted()
        )
        const series = db.prepare("SELECT name, count, first_timestamp AS first FROM series ORDER BY name").all()
        const times = Map.groupBy(expected, ([name]) => name)
        assert.deepStrictEqual(
          series.map((row) => ({ ...row })),
          [...times]
            .map(([name, own]) => ({ name, count: own.length, first: Math.min(...own.map(([, time]) => time)) }))
            .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        )
      }).pipe(Effect.scoped)
  )

  it.effect("deletes the oldest events of all series until the database uses few enough bytes", () =>
    Effect.gen(function* () {
      const { append, path, retain, retainAll } = yield* openDatabase()
      append(steady(["a", "b", "c"], 30_000, 0, 10))
      const { usedBytes } = retain(keepAll)
      const maxBytes = usedBytes / 2
      const calls = retainAll({ maxBytes, now: 300_000 })
      const last = calls.at(-1)!
      assert.isAtMost(last.usedBytes, maxBytes)
      // Not much more than had to go: a batch, and pages that are not full.
      assert.isAbove(last.usedBytes, 0.9 * maxBytes)
      const times = storedEvents(path).map(({ timestamp }) => timestamp)
      assert.strictEqual(times.length, 30_000 - sum(calls, "crowded"))
      // Everything after the slice that was at work last is there.
      const oldest = Math.min(...times)
      const slice = 300_000 / 100
      assert.strictEqual(times.filter((time) => time >= oldest + slice).length, (300_000 - oldest - slice) / 10)
    })
  )

  it.effect("keeps the bulk of the events however far back a few of them lie", () =>
    Effect.gen(function* () {
      const { append, path, retain, retainAll } = yield* openDatabase()
      append([...steady(["ancient"], 20, 0, 10), ...steady(["a", "b"], 20_000, 900_000, 1)])
      const { usedBytes } = retain(keepAll)
      retainAll({ maxBytes: 0.95 * usedBytes })
      const names = storedEvents(path).map(({ name }) => name)
      assert.notInclude(names, "ancient")
      assert.isAbove(names.length, 17_000)
    })
  )

  it.effect("deletes a little with each call, also of events that share a millisecond", () =>
    Effect.gen(function* () {
      const { append, retain } = yield* openDatabase({ batch: 100 })
      append(steady(["a"], 1000, 5, 0))
      for (let call = 1; call <= 9; call++) {
        const { aged, more } = retain({ ...keepAll, keepFrom: 6 })
        assert.deepStrictEqual([aged, more], [100, true])
      }
      const { aged, more, series } = retain({ ...keepAll, keepFrom: 6 })
      assert.deepStrictEqual([aged, more, series], [100, false, 0])
    })
  )

  it.effect("gives a series that comes back a number of its own", () =>
    Effect.gen(function* () {
      const { append, db, retainAll } = yield* openDatabase()
      const idOf = (name: string) => db.prepare("SELECT id FROM series WHERE name = ?").get(name)!["id"]
      append([["a", 1]])
      const first = idOf("a")
      retainAll({ keepFrom: 10 })
      append([["b", 20]])
      append([["a", 20]])
      assert.strictEqual(new Set([first, idOf("a"), idOf("b")]).size, 3)
    })
  )

  it.effect("uses freed space again, and gives back what is more than that needs", () =>
    Effect.gen(function* () {
      const { append, db, path, retain, retainAll } = yield* openDatabase({ slack: { share: 0.25, pages: 50 } })
      append(steady(["a", "b"], 50_000, 0, 1))
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      const before = statSync(path).size
      const last = retainAll({ keepFrom: 40_000 }).at(-1)!
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      const after = statSync(path).size
      assert.isBelow(after, before / 2)
      assert.strictEqual(last.usedBytes + last.freeBytes, after)
      assert.isAtLeast(last.freeBytes, 50 * 4096)
      append(steady(["a", "b"], 5000, 50_000, 1))
      const { freeBytes, usedBytes } = retain(keepAll)
      assert.strictEqual(usedBytes + freeBytes, after)
    })
  )

  it.effect("gives back all free space that the file has beyond its size, however little that is", () =>
    Effect.gen(function* () {
      const { append, db, path, retain, retainAll } = yield* openDatabase()
      append(steady(["a", "b"], 50_000, 0, 1))
      const { usedBytes } = retain(keepAll)
      // The events go, but for few: that much may stay free without a limit.
      const { freeBytes } = retainAll({ keepFrom: 30_000 }).at(-1)!
      assert.isAbove(freeBytes, usedBytes / 2)
      const maxFileBytes = usedBytes - freeBytes / 2
      const last = retainAll({ keepFrom: 30_000, maxFileBytes }).at(-1)!
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      const { size } = statSync(path)
      assert.strictEqual(last.usedBytes + last.freeBytes, size)
      assert.isAtMost(size, maxFileBytes)
      assert.isAbove(size, maxFileBytes - 4096)
      // What is in use it cannot give back.
      assert.strictEqual(retainAll({ keepFrom: 30_000, maxFileBytes: 0 }).at(-1)!.freeBytes, 0)
    })
  )

  it.effect("empties a log that readers have made long as soon as they are done", () =>
    Effect.gen(function* () {
      const { append, path, retain } = yield* openDatabase({ wal: { bytes: 2 ** 20, wait: 20, pause: 0 } })
      append([["a", 0]])
      const reader = new DatabaseSync(path, { readOnly: true })
      reader.exec("BEGIN; SELECT count(*) FROM events")
      reader.prepare("SELECT count(*) FROM events").get()
      for (let round = 0; round < 20; round++) append(steady(["a"], 2000, 0, 1))
      assert.isAbove(retain(keepAll).walBytes, 2 ** 20)
      reader.exec("COMMIT")
      assert.strictEqual(retain(keepAll).walBytes, 0)
      reader.close()
    })
  )

  it.effect("finds everything by an index", () =>
    Effect.gen(function* () {
      const { db } = yield* openDatabase()
      for (const sql of Object.values(statements)) {
        const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all()
        const details = plan.map(({ detail }) => String(detail))
        for (const detail of details) {
          assert.match(detail, /^SEARCH (events|series) USING|^SCAN series USING COVERING INDEX series_by_first/, sql)
        }
      }
      assert.deepStrictEqual(
        db
          .prepare(`EXPLAIN QUERY PLAN ${statements.deleteEvents}`)
          .all()
          .map(({ detail }) => detail),
        ["SEARCH events USING PRIMARY KEY (series_id=? AND (timestamp,sequence)<(?,?))"]
      )
    })
  )
})
