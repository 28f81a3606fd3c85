import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { statSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { storedEvents, temporaryFolder } from "./support/files.ts"
import { getJson, post, problemOf, request, start } from "./support/server.ts"

const databasePath = Effect.map(temporaryFolder, (folder) => join(folder, "metricstream.db"))
const second = 1000

const until = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  condition.pipe(Effect.delay(20), Effect.repeat({ until: (holds) => holds }), Effect.timeout("20 seconds"))

const namesAt = (url: string) =>
  Effect.map(
    getJson(`${url}/series`),
    ({ series }) => series.map(({ name }: { readonly name: string }) => name) as Array<string>
  )

/** How large the file of a database is, with what of it is still in the log. */
const bytesOf = (path: string) => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const [pages, size] = ["page_count", "page_size"].map((name) => db.prepare(`PRAGMA ${name}`).get()![name] as number)
    return pages! * size!
  } finally {
    db.close()
  }
}

/** The value of a metric in `/metrics`. */
const metric = (url: string, line: string) =>
  Effect.map(request(`${url}/metrics`), ({ text }) =>
    Number(
      text
        .split("\n")
        .find((candidate) => candidate.startsWith(`${line} `))
        ?.slice(line.length) ?? NaN
    )
  )

/** Posts batches whose values count on from `from`, until there have been `count`. Returns the number of the next. */
const postBatches = Effect.fnUntraced(function* (url: string, from: number, count: number, size = 2000) {
  for (let batch = 0; batch < count; batch++) {
    const first = from + batch * size
    const events = Array.from({ length: size }, (_, index) => ({ name: `s${index % 5}`, value: first + index }))
    assert.strictEqual((yield* post(url, events)).status, 202)
  }
  return from + count * size
})

/** What must hold of every database: a series has the count and the first time of its events. */
const assertConsistent = (path: string) => {
  const db = new DatabaseSync(path, { readOnly: true })
  const wrong = db
    .prepare(
      `SELECT * FROM series WHERE count <> (SELECT count(*) FROM events WHERE series_id = id)
       OR first_timestamp IS NOT (SELECT min(timestamp) FROM events WHERE series_id = id)`
    )
    .all()
  const orphans = db.prepare("SELECT 1 FROM events WHERE series_id NOT IN (SELECT id FROM series) LIMIT 1").all()
  db.close()
  assert.deepStrictEqual([wrong, orphans], [[], []])
}

describe("MetricStream that keeps its bounds", () => {
  it.live(
    "forgets events that are too old, and their series with the last of them, and refuses those that come too late",
    () =>
      Effect.gen(function* () {
        const database = yield* databasePath
        const { url } = yield* start(database, { METRICSTREAM_RETENTION: "5 seconds" })
        assert.strictEqual((yield* post(url, { name: "brief", value: 1 })).status, 202)
        const now = Date.now()
        const soon = { name: "long", value: 1, timestamp: now + 60 * second }
        assert.strictEqual((yield* post(url, [soon, { name: "long", value: 2 }])).status, 202)
        assert.deepStrictEqual(yield* namesAt(url), ["brief", "long"])
        yield* until(Effect.map(namesAt(url), (names) => names.join() === "long"))
        assert.deepStrictEqual((yield* getJson(`${url}/series`)).series[0].count, 1)
        assert.strictEqual(yield* metric(url, 'metricstream_retention_deleted_events_total{reason="age"}'), 2)
        const late = [
          { name: "a", value: 1 },
          { name: "a", value: 2, timestamp: now - 10 * second }
        ]
        const problem = problemOf(yield* post(url, late), 422)
        assert.deepStrictEqual(problem.errors, [
          { path: "/1/timestamp", message: "events are kept for 5s; this one is older" }
        ])
        const alone = problemOf(yield* post(url, { name: "a", value: 2, timestamp: now + 25 * 3600 * second }), 422)
        assert.strictEqual(alone.errors[0].path, "/timestamp")
        assert.strictEqual(yield* metric(url, 'metricstream_events_refused_total{reason="TooOld"}'), 2)
        assertConsistent(database)
      })
  )

  it.live("stays within its size under load, keeps the newest events, and goes on after it was killed at it", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const environment = { METRICSTREAM_MAX_SIZE: "1 MiB", METRICSTREAM_RATE_LIMIT: "10000000" }
      const first = yield* start(database, environment)
      let next = yield* postBatches(first.url, 0, 60)
      yield* until(
        Effect.map(metric(first.url, 'metricstream_retention_deleted_events_total{reason="size"}'), (n) => n > 0)
      )
      yield* first.end("SIGKILL")
      assertConsistent(database)

      const second = yield* start(database, environment)
      next = yield* postBatches(second.url, next, 60)
      // Between two looks it may be larger by what is stored meanwhile. Now nothing is: the next one brings it back.
      yield* until(Effect.sync(() => bytesOf(database) <= 2 ** 20))
      const used = yield* metric(second.url, 'metricstream_database_size_bytes{state="used"}')
      assert.isAtLeast(used, 1)
      assert.strictEqual(yield* second.end("SIGTERM"), 0)
      assertConsistent(database)
      const values = storedEvents(database).map(({ value }) => value)
      assert.isTrue(values.includes(next - 1))
      // The oldest have gone: what is left are the last ones, up to the slice that was at work.
      assert.isAbove(values.length, 10_000)
      assert.isBelow(values.filter((value) => value < next - 1.5 * values.length).length, values.length / 10)
      assert.isAtMost(statSync(database).size, 2 ** 20)
    })
  )

  it.live("makes no more series than it may, and takes events of those that there are", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const first = yield* start(database, { METRICSTREAM_MAX_SERIES: "2" })
      assert.strictEqual((yield* post(first.url, [{ name: "a", value: 1 }])).status, 202)
      const mixed = [
        { name: "a", value: 2 },
        { name: "b", value: 3 },
        { name: "c", value: 4 }
      ]
      const message = "there are 2 series already, as many as may be (METRICSTREAM_MAX_SERIES): this would be a new one"
      assert.deepStrictEqual(problemOf(yield* post(first.url, mixed), 422).errors, [{ path: "/2/name", message }])
      assert.deepStrictEqual(yield* namesAt(first.url), ["a"])
      assert.strictEqual((yield* post(first.url, mixed.slice(0, 2))).status, 202)
      yield* first.end("SIGTERM")

      const second = yield* start(database, { METRICSTREAM_MAX_SERIES: "2" })
      const names = Array.from({ length: 50 }, (_, index) => `invented.${index}`)
      const answers = yield* Effect.forEach(
        [...names, "a", "b"],
        (name) =>
          Effect.map(post(second.url, { name, value: 1 }), ({ status }) => status).pipe(
            // A server that has only just started may be asked for too much at once.
            Effect.repeat({ until: (status) => status !== 503 })
          ),
        { concurrency: 10 }
      )
      assert.deepStrictEqual(answers, [...names.map(() => 422), 202, 202])
      assert.deepStrictEqual(yield* namesAt(second.url), ["a", "b"])
      yield* until(Effect.map(metric(second.url, "metricstream_series"), (series) => series === 2))
      assert.strictEqual(yield* metric(second.url, 'metricstream_events_refused_total{reason="SeriesLimit"}'), 50)
      assertConsistent(database)
    })
  )
})
