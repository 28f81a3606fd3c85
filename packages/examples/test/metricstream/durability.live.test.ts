import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { copies, storedEvents, temporaryFolder } from "./support/files.ts"
import { assertStored, startLoad } from "./support/load.ts"
import { getJson, post, problemOf, request, retryAfterOf, start } from "./support/server.ts"

const databasePath = Effect.map(temporaryFolder, (folder) => join(folder, "metricstream.db"))
const event = { name: "a", value: 1 }

/** Posts until the server takes it, for as long as it says to come back. */
const postUntilAccepted = (url: string) =>
  Effect.gen(function* () {
    for (;;) {
      const answer = yield* post(url, event)
      if (answer.status === 202) return
      problemOf(answer, 503)
      yield* Effect.sleep(100)
    }
  }).pipe(Effect.timeout("15 seconds"))

/** Posts batches until the server says that the disk is full, and returns that answer. */
const postUntilFull = (url: string, batch: ReadonlyArray<unknown>) =>
  post(url, batch).pipe(
    Effect.repeat({ until: ({ text }) => text.includes("the disk is full") }),
    Effect.tap((answer) => Effect.sync(() => problemOf(answer, 503))),
    Effect.timeout("20 seconds")
  )

describe("MetricStream", () => {
  it.live("has every acknowledged event, once, after it was killed under load", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const acknowledged: Array<number> = []
      const first = yield* start(database)
      const load = yield* startLoad(first.url, 50)
      yield* load.untilAcknowledged(500)
      yield* first.end("SIGKILL")
      yield* load.ended
      acknowledged.push(...load.acknowledged)
      assert.isAtLeast(acknowledged.length, 500)

      const second = yield* start(database)
      assertStored(database, acknowledged)
      yield* postUntilAccepted(second.url)
      assert.strictEqual(yield* second.end("SIGTERM"), 0)
      assertStored(database, acknowledged)
    })
  )

  it.live("answers what it has accepted and exits with 0 when it is told to stop under load", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const server = yield* start(database)
      const load = yield* startLoad(server.url, 50)
      yield* load.untilAcknowledged(200)
      assert.strictEqual(yield* server.end("SIGTERM"), 0)
      yield* load.ended
      assert.deepStrictEqual(
        load.refused.filter((status) => status !== 503),
        []
      )
      // The write-ahead log has been moved into the database, so that the one file can be copied.
      assert.isFalse(existsSync(`${database}-wal`))
      assertStored(database, load.acknowledged)
    })
  )

  it.live("answers 503 while the database is locked, and goes on when it is free", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const { url } = yield* start(database)
      yield* post(url, { name: "before", value: 1 })
      const other = new DatabaseSync(database)
      other.exec("BEGIN EXCLUSIVE")
      const [first, second] = yield* Effect.all([post(url, event), post(url, event)], { concurrency: "unbounded" })
      for (const answer of [first, second]) {
        assert.include(problemOf(answer, 503).detail, "locked")
        retryAfterOf(answer)
      }
      assert.strictEqual((yield* request(`${url}/readyz`)).status, 503)
      assert.strictEqual((yield* request(`${url}/livez`)).status, 200)
      assert.strictEqual((yield* getJson(`${url}/series`)).series.length, 1)
      other.exec("ROLLBACK")
      other.close()
      yield* postUntilAccepted(url)
      assert.strictEqual(storedEvents(database).filter(({ name }) => name === "a").length, 1)
      assert.strictEqual((yield* request(`${url}/readyz`).pipe(Effect.delay("1 second"))).status, 200)
    })
  )

  it.live("answers 503 while the disk is full, loses nothing acknowledged, and goes on when there is room", (context) =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryFolder, "disk")
      const mounted = yield* mountDisk(folder, "2m")
      if (!mounted)
        return context.skip("this process may not mount a file system; storage.test.ts fills a database instead")
      const ballast = join(folder, "ballast")
      writeFileSync(ballast, new Uint8Array(1 << 20))
      const database = join(folder, "metricstream.db")
      const { url } = yield* start(database)
      const load = yield* startLoad(url, 20)
      yield* load.untilAcknowledged(20)
      retryAfterOf(yield* postUntilFull(url, copies(10, event)))
      yield* load.stop
      yield* load.ended
      assert.deepStrictEqual([...new Set(load.refused)], [503])
      assertStored(database, load.acknowledged)
      rmSync(ballast)
      yield* postUntilAccepted(url)
      assertStored(database, load.acknowledged)
      assert.strictEqual(storedEvents(database).filter(({ name }) => name === "a").length % 10, 1)
    })
  )
})

describe("MetricStream whose disk is smaller than its bounds", () => {
  it.live("takes events again by itself when old ones have become old enough to go", (context) =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryFolder, "disk")
      if (!(yield* mountDisk(folder, "64m"))) return context.skip("this process may not mount a file system")
      writeFileSync(join(folder, "ballast"), new Uint8Array(36 << 20))
      const environment = { METRICSTREAM_RETENTION: "5 seconds", METRICSTREAM_RATE_LIMIT: "10000000" }
      const { url } = yield* start(join(folder, "metricstream.db"), environment)
      const batch = copies(3000, { ...event, tags: { padding: "x".repeat(250) } })
      yield* postUntilFull(url, batch)
      assert.strictEqual((yield* request(`${url}/readyz`)).status, 503)
      yield* postUntilAccepted(url)
    })
  )
})

/** Mounts a file system of a size, if this process may. */
const mountDisk = (folder: string, size: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      mkdirSync(folder)
      return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]).status === 0
    }),
    (mounted) => Effect.sync(() => mounted && spawnSync("umount", ["--lazy", folder]))
  )
