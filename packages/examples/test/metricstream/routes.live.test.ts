import { connect } from "@spillway/http/testing/RawClient"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { join } from "node:path"
import { limits } from "@spillway/examples/metricstream/events"
import { copies, storedEvents, temporaryFolder } from "./support/files.ts"
import { getJson, post, problemOf, request, retryAfterOf, start } from "./support/server.ts"

/** One server for all tests of this file. Each uses series of its own. */
class Running extends Context.Service<
  Running,
  { readonly url: string; readonly port: number; readonly database: string }
>()("test/Running") {
  static readonly layer = Layer.effect(
    Running,
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      const server = yield* start(database, { SPILLWAY_HTTP_BODY_TIMEOUT: "1 second" })
      return { url: server.url, port: server.port, database }
    })
  )
}

layer(Running.layer, { excludeTestServices: true })("MetricStream", (it) => {
  describe("POST /events", () => {
    it.effect("stores one event", () =>
      Effect.gen(function* () {
        const { database, url } = yield* Running
        const answer = yield* post(url, { name: "one", value: 1.5, timestamp: 1_700_000_000_000, tags: { host: "x" } })
        assert.deepStrictEqual([answer.status, answer.text], [202, '{"accepted":1}'])
        const stored = storedEvents(database).filter(({ name }) => name === "one")
        assert.deepStrictEqual(stored, [
          { name: "one", timestamp: 1_700_000_000_000, sequence: 1, value: 1.5, tags: '{"host":"x"}' }
        ])
      })
    )

    it.effect("stores an array, and lines", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        const events = Array.from({ length: 3 }, (_, value) => ({ name: "many", value }))
        assert.strictEqual((yield* post(url, events)).text, '{"accepted":3}')
        const lines = events.map((event) => `${JSON.stringify(event)}\n`).join("\n")
        assert.strictEqual((yield* post(url, lines, "application/x-ndjson")).text, '{"accepted":3}')
        const { buckets } = yield* getJson(`${url}/series/many?step=1h&agg=count,sum`)
        assert.deepStrictEqual([buckets[0].count, buckets[0].sum], [6, 6])
      })
    )

    it.effect("stores all events of a batch or none, and names the index and the field", () =>
      Effect.gen(function* () {
        const { database, url } = yield* Running
        const events = [
          { name: "atomic", value: 1 },
          { name: "atomic", value: "2" }
        ]
        const problem = problemOf(yield* post(url, events), 422)
        assert.strictEqual(problem.errors[0].path, "/1/value")
        const lines = events.map((event) => JSON.stringify(event)).join("\n")
        assert.strictEqual(problemOf(yield* post(url, lines, "application/x-ndjson"), 422).errors[0].path, "/1/value")
        assert.strictEqual(problemOf(yield* post(url, events[1]), 422).errors[0].path, "/value")
        assert.deepStrictEqual(
          storedEvents(database).filter(({ name }) => name === "atomic"),
          []
        )
      })
    )

    it.effect("answers each kind of bad body with its own problem", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        const good = { name: "bad", value: 1 }
        problemOf(yield* post(url, "{"), 400)
        problemOf(yield* post(url, ""), 400)
        assert.strictEqual(
          problemOf(yield* post(url, `${JSON.stringify(good)}\n{`, "application/x-ndjson"), 400).line,
          2
        )
        problemOf(yield* post(url, good, "text/plain"), 415)
        problemOf(yield* post(url, "5"), 422)
        problemOf(yield* post(url, { ...good, name: "<script>" }), 422)
        problemOf(yield* post(url, copies(limits.batch + 1, good)), 422)
        problemOf(yield* post(url, "x".repeat(2 ** 20 + 1)), 413)
        const tooManyLines = `${JSON.stringify(good)}\n`.repeat(limits.batch + 1)
        problemOf(yield* post(url, tooManyLines, "application/x-ndjson"), 413)
        assert.strictEqual((yield* post(url, good)).status, 202)
      })
    )

    it.effect("answers 408 to a body that does not arrive", () =>
      Effect.gen(function* () {
        const { port } = yield* Running
        const client = yield* connect({ host: "127.0.0.1", port })
        yield* client.write(
          'POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{"name":'
        )
        const answer = yield* client.receivedUntil('"status":408')
        assert.include(answer, "HTTP/1.1 408 ")
        assert.include(answer, "application/problem+json")
        yield* client.ended
      })
    )
  })

  describe("GET /series/:name", () => {
    it.effect("aggregates in buckets, with null for what an empty one does not have", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        const from = 1_700_000_000_000
        yield* post(
          url,
          [3, 1, 2].map((value, index) => ({ name: "a/b", value, timestamp: from + index * 100 }))
        )
        const answer = yield* getJson(
          `${url}/series/a%2Fb?from=${from}&to=${from + 2000}&step=1s&agg=count,sum,min,max,avg,p50,p90,p99,rate`
        )
        assert.deepStrictEqual(answer, {
          name: "a/b",
          from,
          to: from + 2000,
          step: 1000,
          buckets: [
            { start: from, count: 3, sum: 6, min: 1, max: 3, avg: 2, p50: 2, p90: 3, p99: 3, rate: 3 },
            {
              start: from + 1000,
              count: 0,
              sum: 0,
              min: null,
              max: null,
              avg: null,
              p50: null,
              p90: null,
              p99: null,
              rate: 0
            }
          ]
        })
      })
    )

    it.effect("holds the newest event in its default range", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        yield* post(url, { name: "fresh", value: 1 })
        const { buckets, step } = yield* getJson(`${url}/series/fresh?agg=count`)
        assert.deepStrictEqual([buckets.length, step, buckets.at(-1).count], [60, 60_000, 1])
      })
    )

    it.effect("takes a name of any allowed length", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        const name = "a:".repeat(limits.nameLength).slice(0, limits.nameLength)
        yield* post(url, { name, value: 1 })
        assert.strictEqual((yield* getJson(`${url}/series/${encodeURIComponent(name)}`)).name, name)
      })
    )

    it.effect("answers 404 to an unknown series and names the parameter that is wrong", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        problemOf(yield* request(`${url}/series/unknown`), 404)
        for (const [parameter, query] of [
          ["from", "from=x"],
          ["from", "from=-999999999999999d"],
          ["step", "step=999999999999999d"],
          ["to", "to=x"],
          ["step", "step=0"],
          ["step", "from=0&step=1"],
          ["agg", "agg=x"]
        ]) {
          const problem = problemOf(yield* request(`${url}/series/one?${query}`), 400)
          assert.strictEqual(problem.errors[0].parameter, parameter)
          assert.include(problem.detail, parameter)
        }
      })
    )
  })

  describe("GET /series", () => {
    it.effect("lists the series, page by page", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        const timestamp = 1_700_000_000_000
        yield* post(
          url,
          ["list.b", "list.a", "list.a"].map((name, value) => ({ name, value, timestamp: timestamp + value }))
        )
        const { next, series } = yield* getJson(`${url}/series?after=list&limit=1`)
        assert.deepStrictEqual(series, [{ name: "list.a", count: 2, lastValue: 2, lastTimestamp: timestamp + 2 }])
        const second = yield* getJson(`${url}/series?after=${next}&limit=1`)
        assert.strictEqual(second.series[0].name, "list.b")
        assert.isUndefined((yield* getJson(`${url}/series`)).next)
        assert.strictEqual(problemOf(yield* request(`${url}/series?limit=0`), 400).errors[0].parameter, "limit")
      })
    )
  })

  describe("GET /", () => {
    it.effect("shows the series", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        yield* post(url, { name: "page.speed_percent", value: 12.5 })
        const { headers, status, text } = yield* request(url)
        assert.strictEqual(status, 200)
        assert.match(headers.get("content-type")!, /^text\/html/)
        assert.include(headers.get("content-security-policy")!, "default-src 'none'")
        assert.include(text, 'data-name="page.speed_percent"')
        assert.include(text, "12.5 %")
      })
    )
  })

  it.effect("answers 404, 405 with Allow, and the probes", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      problemOf(yield* request(`${url}/nothing`), 404)
      for (const [method, path, allow] of [
        ["GET", "/events", "POST, OPTIONS"],
        ["DELETE", "/series/one", "GET, HEAD, OPTIONS"],
        ["POST", "/", "GET, HEAD, OPTIONS"]
      ] as const) {
        const answer = yield* request(`${url}${path}`, { method })
        problemOf(answer, 405)
        assert.strictEqual(answer.headers.get("allow"), allow)
      }
      assert.strictEqual((yield* request(`${url}/livez`)).status, 200)
      assert.deepStrictEqual((yield* getJson(`${url}/readyz`)).checks, { storage: "healthy" })
      assert.include((yield* request(`${url}/metrics`)).text, "spillway_")
    })
  )
})

describe("MetricStream with a small quota", () => {
  it.live("takes the batch of a client that waited as long as it was told to, and charges no refusal", () =>
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      const { url } = yield* start(database, { METRICSTREAM_RATE_LIMIT: "2" })
      const events = (count: number) => copies(count, { name: "quota", value: 1 })
      for (let tries = 0; tries < 20; tries++) {
        const hopeless = yield* post(url, events(5))
        problemOf(hopeless, 413)
        assert.isFalse(hopeless.headers.has("retry-after"))
      }
      assert.strictEqual((yield* post(url, events(4))).status, 202)
      const early = [yield* post(url, "{"), yield* post(url, events(2)), yield* post(url, events(2))]
      for (const refused of early) problemOf(refused, 429)
      assert.strictEqual(retryAfterOf(early[2]!), 1)
      yield* Effect.sleep("1 second")
      assert.strictEqual((yield* post(url, events(2))).status, 202)
    })
  )

  it.live("refuses a client that sends more events than its quota, and says when to come back", () =>
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      const { url } = yield* start(database, { METRICSTREAM_RATE_LIMIT: "5" })
      const events = (count: number) => copies(count, { name: "quota", value: 1 })
      const hopeless = yield* post(url, events(100))
      problemOf(hopeless, 413)
      assert.isFalse(hopeless.headers.has("retry-after"))
      assert.strictEqual((yield* post(url, events(9))).status, 202)
      const refused = yield* post(url, events(10))
      problemOf(refused, 429)
      assert.isAtMost(retryAfterOf(refused), 2)
      assert.strictEqual(storedEvents(database).length, 9)
    })
  )
})
