import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { temporaryFolder } from "./support/files.ts"
import { failToStart, getJson, request, start } from "./support/server.ts"

const databasePath = Effect.map(temporaryFolder, (folder) => join(folder, "new", "folder", "metricstream.db"))

const takenPort = Effect.acquireRelease(
  Effect.promise(
    () =>
      new Promise<ReturnType<typeof createServer>>((resolve) => {
        const server = createServer().listen(0, "127.0.0.1", () => resolve(server))
      })
  ),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => String((server.address() as AddressInfo).port)))

/** The processes that run the sampler for a server, where /proc tells. */
const samplersOf = (url: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8")
      return command.includes("sampler/main.ts") && command.includes(url)
    } catch {
      return false
    }
  })

const eventually = (condition: () => boolean) =>
  Effect.sync(condition).pipe(
    Effect.delay(20),
    Effect.repeat({ until: (holds) => holds }),
    Effect.timeout("10 seconds")
  )

describe("MetricStream at its start", () => {
  it.live("says in one line which variable is wrong, and exits with 1", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const text = join(folder, "text.db")
      writeFileSync(text, "this is not a database".repeat(100))
      const wrong = [
        ["PORT", "abc"],
        ["PORT", "65536"],
        ["PORT", yield* takenPort],
        ["HOST", "192.0.2.1"],
        ["METRICSTREAM_RATE_LIMIT", "0"],
        ["METRICSTREAM_RETENTION", "30"],
        ["METRICSTREAM_RETENTION", "10 millis"],
        ["METRICSTREAM_MAX_SIZE", "big"],
        ["METRICSTREAM_MAX_SIZE", "1 MB"],
        ["METRICSTREAM_MAX_SERIES", "Infinity"],
        ["METRICSTREAM_SAMPLER", "maybe"],
        ["METRICSTREAM_DB", text],
        ["METRICSTREAM_DB", folder],
        ["METRICSTREAM_DB", join(text, "metricstream.db")],
        ["METRICSTREAM_DB", "/proc/none/metricstream.db"],
        ["SPILLWAY_HTTP_MAX_CONNECTIONS", "many"],
        ["SPILLWAY_HTTP_DRAIN_TIMEOUT", "soon"]
      ] as const
      const attempt = Effect.fnUntraced(function* ([variable, value]: (typeof wrong)[number]) {
        const environment = { METRICSTREAM_DB: join(folder, "metricstream.db"), [variable]: value }
        const { code, errors, output } = yield* failToStart(environment)
        assert.strictEqual(code, 1, `${variable}=${value}`)
        assert.match(errors, new RegExp(`^${variable}: [^\\n]+\\n$`), `${variable}=${value}`)
        assert.strictEqual(output, "")
      })
      yield* Effect.forEach(wrong, attempt, { concurrency: 3 })
    })
  )

  it.live("prints its help and its version, and exits with 2 for an argument that it does not know", () =>
    Effect.gen(function* () {
      const help = yield* failToStart({ PORT: "abc" }, ["--help"])
      assert.deepStrictEqual([help.code, help.errors], [0, ""])
      assert.include(help.output, "--max-size")
      const version = yield* failToStart({}, ["--version"])
      assert.deepStrictEqual([version.code, version.errors], [0, ""])
      assert.match(version.output, /^MetricStream \d+\.\d+\.\d+ \(Node.js .+, SQLite .+\)\n$/)
      const wrong = yield* failToStart({}, ["--prot", "3"])
      assert.deepStrictEqual([wrong.code, wrong.output], [2, ""])
      assert.strictEqual(wrong.errors, "Unknown option '--prot'; --help lists what may be set\n")
    })
  )

  it.live("takes flags for its variables, before those of the environment", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const { port, url } = yield* start("unused.db", { PORT: "1" }, ["--port", "0", "--db", database])
      assert.notStrictEqual(port, 1)
      assert.isTrue(existsSync(database))
      assert.strictEqual((yield* request(`${url}/livez`)).status, 200)
      const wrong = yield* failToStart({}, ["--max-size", "big", "--db", database])
      assert.match(wrong.errors, /^METRICSTREAM_MAX_SIZE: [^\n]+, got "big"; the default is "1 GiB"\n$/)
    })
  )

  it.live("names the port that is taken", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const port = yield* takenPort
      const { errors } = yield* failToStart({ METRICSTREAM_DB: join(folder, "metricstream.db"), PORT: port })
      assert.strictEqual(errors, `PORT: port ${port} of 127.0.0.1 is taken by another process\n`)
    })
  )

  it.live("makes the folder of the database, and keeps its data from one run to the next", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const first = yield* start(database)
      assert.deepStrictEqual((yield* getJson(`${first.url}/series`)).series, [])
      assert.strictEqual(yield* first.end("SIGINT"), 0)
      const second = yield* start(database)
      assert.deepStrictEqual((yield* getJson(`${second.url}/series`)).series, [])
    })
  )
})

describe("sampler", () => {
  it.live("measures this machine and posts it", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const { end, url } = yield* start(database, { METRICSTREAM_SAMPLER: "on" })
      const names: Array<string> = []
      while (!names.includes("machine.memory.used_bytes")) {
        const { series } = yield* getJson(`${url}/series`)
        names.splice(0, names.length, ...series.map(({ name }: { name: string }) => name))
        yield* Effect.sleep(50)
      }
      assert.includeMembers(names, ["machine.load.1m", "machine.disk.free_bytes"])
      assert.strictEqual(yield* end("SIGTERM"), 0)
    })
  )

  it.live.skipIf(process.platform !== "linux")(
    "ends with its parent, is started again, and ends when its parent is killed",
    () =>
      Effect.gen(function* () {
        const database = yield* databasePath
        const { end, url } = yield* start(database, { METRICSTREAM_SAMPLER: "on" })
        yield* eventually(() => samplersOf(url).length === 1)
        const [first] = samplersOf(url)
        process.kill(Number(first), "SIGKILL")
        yield* eventually(() => samplersOf(url).some((pid) => pid !== first))
        assert.include((yield* request(`${url}/metrics`)).text, "metricstream_sampler_restarts_total 1\n")
        yield* end("SIGKILL")
        yield* eventually(() => samplersOf(url).length === 0)
      })
  )
})
