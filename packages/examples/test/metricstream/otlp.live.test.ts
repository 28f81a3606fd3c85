import { connect } from "@spillway/http/testing/RawClient"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Result } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { gzipSync } from "node:zlib"
import { limits } from "@spillway/examples/metricstream/otlp/limits"
import { OtlpReader } from "@spillway/examples/metricstream/otlp/tasks"
import { storedEvents, temporaryFolder } from "./support/files.ts"
import { attributes, counter, gauge, histogram, millis, nanos, point, requestOf } from "./support/otlp.ts"
import { getJson, problemOf, request, retryAfterOf, start } from "./support/server.ts"
import type { Answer } from "./support/server.ts"

class Running extends Context.Service<
  Running,
  { readonly url: string; readonly port: number; readonly database: string }
>()("test/Running") {
  static readonly layer = Layer.effect(
    Running,
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      // Tests send what is dear to read.
      const server = yield* start(database, { METRICSTREAM_RATE_LIMIT: "1000000" })
      return { url: server.url, port: server.port, database }
    })
  )
}

type Headers = Readonly<Record<string, string>>

/** Posts a request: bytes and texts as they are, anything else as JSON. */
const send = (url: string, body: unknown, headers: Headers = { "content-type": "application/json" }) =>
  request(`${url}/v1/metrics`, {
    method: "POST",
    headers,
    body:
      typeof body === "string" || body instanceof Uint8Array
        ? (body as NonNullable<RequestInit["body"]>)
        : JSON.stringify(body)
  })

/** Asserts that a request was stored whole. */
const assertSuccess = ({ headers, status, text }: Answer) =>
  assert.deepStrictEqual([status, headers.get("content-type"), text], [200, "application/json", "{}"])

/** Asserts that a request was refused as `google.rpc.Status`, and returns that. */
const statusOf = ({ headers, status, text }: Answer, expected: number) => {
  assert.strictEqual(status, expected, text)
  assert.strictEqual(headers.get("content-type"), "application/json")
  const body = JSON.parse(text)
  assert.isString(body.message)
  assert.notInclude(text, "    at ")
  return body
}

const valuesOf = (database: string, name: string) =>
  storedEvents(database)
    .filter((event) => event.name === name)
    .map(({ value }) => value)

/** A cumulative stream that began when the test did, so after the server. */
const makeStream = (name: string) => {
  const began = BigInt(Date.now()) * 1_000_000n
  return (second: number, asInt: number) => {
    const timeUnixNano = `${began + BigInt(second) * 1_000_000_000n}`
    return requestOf([counter(name, { startTimeUnixNano: `${began}`, timeUnixNano, asInt })])
  }
}

layer(Running.layer, { excludeTestServices: true })("POST /v1/metrics", (it) => {
  it.effect("stores the points of all kinds, and says no more than that", () =>
    Effect.gen(function* () {
      const { database, url } = yield* Running
      const metric = {
        ...gauge("kinds.gauge", point({ asDouble: 1.5, attributes: attributes({ a: "b" }) })),
        unit: "s"
      }
      assertSuccess(yield* send(url, requestOf([metric], { "service.name": "shop" })))
      const [event] = storedEvents(database).filter(({ name }) => name === "kinds.gauge")
      assert.deepStrictEqual(event, {
        name: "kinds.gauge",
        timestamp: millis(10),
        sequence: 1,
        value: 1.5,
        tags: '{"service.name":"shop","unit":"s","a":"b"}'
      })
    })
  )

  it.effect("takes an empty request, also by a name with a charset, and compressed", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      assertSuccess(yield* send(url, {}))
      assertSuccess(yield* send(url, { resourceMetrics: [] }, { "content-type": "Application/JSON; charset=UTF-8" }))
      const compressed = { "content-type": "application/json", "content-encoding": "gzip" }
      assertSuccess(yield* send(url, gzipSync("{}"), compressed))
    })
  )

  it.effect("stores the points that can be stored, and counts and explains the others", () =>
    Effect.gen(function* () {
      const { database, url } = yield* Running
      const { headers, status, text } = yield* send(
        url,
        requestOf([gauge("partial", { asInt: 1 }, { asDouble: "NaN" }, { asInt: 2 })])
      )
      assert.deepStrictEqual([status, headers.get("content-type")], [200, "application/json"])
      assert.deepStrictEqual(JSON.parse(text), {
        partialSuccess: {
          rejectedDataPoints: "1",
          errorMessage:
            '1 of 3 data points were rejected: 1 because its value is not a finite number (first of "partial")'
        }
      })
      assert.deepStrictEqual(valuesOf(database, "partial"), [1, 2])
      const { text: metrics } = yield* request(`${url}/metrics`)
      assert.match(metrics, /^metricstream_otlp_points_total\{outcome="rejected"\} [1-9]/m)
      assert.match(metrics, /^metricstream_otlp_points_total\{outcome="accepted"\} [2-9]/m)
    })
  )

  it.effect("adds integers beyond those of doubles up exactly", () =>
    Effect.gen(function* () {
      const { database, url } = yield* Running
      const at = (second: number, asInt: string) => ({
        ...requestOf([counter("large", { startTimeUnixNano: nanos(1), timeUnixNano: nanos(second), asInt })])
      })
      for (const [second, asInt] of [
        [10, "9007199254740992"],
        [20, "9007199254740993"],
        [30, "9007199254740993"]
      ] as const) {
        assertSuccess(yield* send(url, at(second, asInt)))
      }
      // The stream began before the server: the first point is only where the second begins.
      assert.deepStrictEqual(valuesOf(database, "large"), [1])
    })
  )

  it.effect("stores 10,000 points of one request", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const points = Array.from({ length: 10_000 }, (_, index) =>
        point({ asInt: index, attributes: attributes({ index: String(index), host: "example.org" }) })
      )
      const body = JSON.stringify(requestOf([gauge("many", ...points)]))
      assert.isAbove(body.length, 2 ** 20)
      assertSuccess(yield* send(url, body))
      const { buckets } = yield* getJson(`${url}/series/many?from=${millis(0)}&to=${millis(20)}&step=1m&agg=count,sum`)
      assert.deepStrictEqual(buckets, [{ start: millis(0), count: 10_000, sum: 49_995_000 }])
    })
  )

  it.effect("stores a series that comes twice in one request twice, and a stream that does once", () =>
    Effect.gen(function* () {
      const { database, url } = yield* Running
      const stream = makeStream("twice.counter")(10, 5).resourceMetrics[0]!
      assertSuccess(yield* send(url, { resourceMetrics: [stream, stream] }))
      assertSuccess(yield* send(url, requestOf([gauge("twice.gauge", point({ asInt: 1 }), point({ asInt: 1 }))])))
      assert.deepStrictEqual(valuesOf(database, "twice.counter"), [5])
      assert.deepStrictEqual(valuesOf(database, "twice.gauge"), [1, 1])
    })
  )

  it.effect("names the place of what cannot be decoded", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const { code, details, message } = statusOf(yield* send(url, requestOf([gauge("a", { asInt: 1.5 })])), 400)
      const field = "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].asInt"
      assert.strictEqual(code, 3)
      assert.include(message, `${field}: expected an integer`)
      assert.strictEqual(details[0]["@type"], "type.googleapis.com/google.rpc.BadRequest")
      assert.strictEqual(details[0].fieldViolations[0].field, field)
    })
  )

  const json = { "content-type": "application/json" }
  /** So many members with short names of their own. */
  const flat = (members: number) => Array.from({ length: members }, (_, index) => `"${index.toString(36)}":0`).join()
  const good = JSON.stringify(requestOf([gauge("refused", { asInt: 1 })]))
  let deep: object = { stringValue: "x" }
  for (let level = 0; level < 1000; level++) deep = { arrayValue: { values: [deep] } }
  const refusals: ReadonlyArray<readonly [string, unknown, Headers, number]> = [
    ["JSON that is cut off", good.slice(0, -3), json, 400],
    ["no body", "", json, 400],
    ["an array", "[]", json, 400],
    ["invalid UTF-8", Uint8Array.of(0x22, 0xff, 0x22), json, 400],
    ["very deep nesting", `{"resourceMetrics":${"[".repeat(900_000)}`, json, 400],
    [
      "attributes a thousand levels deep",
      requestOf([gauge("refused", { attributes: [{ key: "a", value: deep }] })]),
      json,
      400
    ],
    ["what is said to be gzip", good, { ...json, "content-encoding": "gzip" }, 400],
    ["gzip that is cut off", gzipSync(good).subarray(0, 50), { ...json, "content-encoding": "gzip" }, 400],
    [
      "gzip of more than the limit",
      gzipSync(" ".repeat(limits.bodySize + 1)),
      { ...json, "content-encoding": "gzip" },
      413
    ],
    ["too many objects", `{"resourceMetrics":[${"{},".repeat(limits.messages)}{}]}`, json, 413],
    ["an object of too many members", () => `{"unknown":{${flat(limits.values)}}}`, json, 413],
    ["a list of too many elements", () => `{"unknown":[${"0,".repeat(limits.values)}0]}`, json, 413],
    ["another media type", good, { "content-type": "text/plain" }, 415],
    ["no media type", new TextEncoder().encode(good), {}, 415],
    ["another charset", good, { "content-type": "application/json; charset=latin1" }, 415],
    ["another content encoding", good, { ...json, "content-encoding": "br" }, 415],
    ["an encoding over another", good, { ...json, "content-encoding": "gzip, gzip" }, 415]
  ]
  for (const [name, body, headers, expected] of refusals) {
    it.effect(`answers ${expected} to ${name}`, () =>
      Effect.gen(function* () {
        const { database, url } = yield* Running
        const answer = yield* send(url, typeof body === "function" ? body() : body, headers)
        statusOf(answer, expected)
        assert.strictEqual(answer.headers.has("accept"), expected === 415 && !("content-encoding" in headers))
        assert.deepStrictEqual(valuesOf(database, "refused"), [])
      })
    )
  }

  it.effect("answers 413 to a body that says it is too large, before it is read", () =>
    Effect.gen(function* () {
      const { port } = yield* Running
      const client = yield* connect({ host: "127.0.0.1", port })
      const length = limits.bodySize + 1
      yield* client.write(
        `POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`
      )
      assert.include(yield* client.receivedUntil('"message":'), "HTTP/1.1 413 ")
    })
  )

  it.effect("answers in Protocol Buffers to Protocol Buffers", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const type = { "content-type": "application/x-protobuf" }
      const empty = yield* send(url, new Uint8Array(), type)
      assert.deepStrictEqual(
        [empty.status, empty.headers.get("content-type"), empty.text],
        [200, "application/x-protobuf", ""]
      )
      const bad = yield* send(url, Uint8Array.of(0x0a, 0x05), type)
      assert.deepStrictEqual([bad.status, bad.headers.get("content-type")], [400, "application/x-protobuf"])
      assert.include(bad.text, "the body is not Protocol Buffers at byte 2")
    })
  )

  it.effect("answers 405 to another method", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const answer = yield* request(`${url}/v1/metrics`)
      problemOf(answer, 405)
      assert.strictEqual(answer.headers.get("allow"), "POST, OPTIONS")
    })
  )
})

describe("POST /v1/metrics", () => {
  const databasePath = Effect.map(temporaryFolder, (folder) => join(folder, "metricstream.db"))

  it.live("takes a token of the client's quota for each event, and says when to come back", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const { url } = yield* start(database, { METRICSTREAM_RATE_LIMIT: "5" })
      const points = (count: number) =>
        requestOf([gauge("quota", ...Array.from({ length: count }, (_, asInt) => ({ asInt })))])
      // Two points, of which each makes seven events.
      const whole = point({ count: 2, sum: 3, min: 1, max: 2, bucketCounts: [1, 1], explicitBounds: [1] })
      statusOf(yield* send(url, requestOf([histogram("quota", 1, whole, whole)])), 413)
      const hopeless = yield* send(url, points(11))
      statusOf(hopeless, 413)
      assert.isFalse(hopeless.headers.has("retry-after"))
      assertSuccess(yield* send(url, points(10)))
      const refused = yield* send(url, points(10))
      assert.strictEqual(statusOf(refused, 429).code, 8)
      assert.isAtMost(retryAfterOf(refused), 2)
      assert.strictEqual(storedEvents(database).length, 10)
    })
  )

  it.live("charges for what it was to read a body, stored or not, and lets a client that owes wait", () =>
    Effect.gen(function* () {
      const { url } = yield* start(yield* databasePath)
      const dataPoint = '{"asInt":"1","attributes":[{"key":"a","value":{"stringValue":"b"}}]},'
      const bad = `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[${dataPoint.repeat(200_000)}{"asInt":1.5}]}}]}]}]}`
      statusOf(yield* send(url, gzipSync(bad), { "content-type": "application/json", "content-encoding": "gzip" }), 400)
      const refused = yield* send(url, {})
      assert.strictEqual(statusOf(refused, 429).code, 8)
      assert.isAtMost(retryAfterOf(refused), 3)
    })
  )

  it.live("takes a token for a request without events", () =>
    Effect.gen(function* () {
      const { url } = yield* start(yield* databasePath, { METRICSTREAM_RATE_LIMIT: "1" })
      const answers = yield* Effect.forEach(Array.from({ length: 8 }), () => send(url, {}), { concurrency: 8 })
      const [taken, refused] = [
        answers.filter(({ status }) => status === 200),
        answers.filter(({ status }) => status === 429)
      ]
      assert.isAtLeast(taken.length, 2)
      assert.isAtLeast(refused.length, 1)
      assert.strictEqual(taken.length + refused.length, 8)
    })
  )

  it.live("answers others while it reads a large request", () =>
    Effect.gen(function* () {
      const { url } = yield* start(yield* databasePath, { METRICSTREAM_RATE_LIMIT: "1000000" })
      const bounds = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000]
      const points = Array.from({ length: 40_000 }, (_, index) =>
        point({
          count: 1,
          bucketCounts: [...bounds, 1],
          explicitBounds: bounds,
          attributes: attributes({ a: `${index}` })
        })
      )
      const body = gzipSync(JSON.stringify(requestOf([histogram("large", 2, ...points)])))
      assert.isBelow(body.length, 2 ** 20)
      const large = yield* Effect.forkChild(
        send(url, body, { "content-type": "application/json", "content-encoding": "gzip" }),
        { startImmediately: true }
      )
      let others = 0
      while (large.pollUnsafe() === undefined) {
        assert.strictEqual((yield* request(`${url}/livez`)).status, 200)
        others++
      }
      assert.strictEqual((yield* Fiber.join(large)).status, 200)
      // To parse it takes more than 100 ms; an answer less than 1 ms.
      assert.isAtLeast(others, 10)
    })
  )

  it.live("does not read the body of a client without a token", () =>
    Effect.gen(function* () {
      const { url } = yield* start(yield* databasePath, { METRICSTREAM_RATE_LIMIT: "1" })
      const statuses: Array<number> = []
      // A token comes each second: if a request took as long, try again.
      for (let attempt = 0; attempt < 10 && !statuses.includes(429); attempt++) {
        yield* Effect.forEach([1, 2, 3], () => send(url, {}), { concurrency: 3 })
        statuses.push((yield* send(url, "{")).status)
      }
      assert.include(statuses, 429)
    })
  )

  it.live("answers 503 while the database is locked, and counts what was refused once it is sent again", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const { url } = yield* start(database)
      const at = makeStream("locked")
      assertSuccess(yield* send(url, at(1, 5)))
      const db = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(database)),
        (db) => Effect.sync(() => db.close())
      )
      db.exec("BEGIN IMMEDIATE")
      const refused = yield* send(url, at(2, 8))
      assert.strictEqual(statusOf(refused, 503).code, 14)
      assert.strictEqual(retryAfterOf(refused), 5)
      // This client does not wait for its answer.
      const gone = yield* Effect.forkChild(send(url, at(3, 9)), { startImmediately: true })
      yield* Fiber.interrupt(gone)
      db.exec("ROLLBACK")
      assertSuccess(yield* send(url, at(2, 8)))
      assertSuccess(yield* send(url, at(4, 12)))
      assert.strictEqual(
        valuesOf(database, "locked").reduce((sum, value) => sum + value, 0),
        12
      )
    })
  )

  it.live("counts the points as rejected for which there is no series any more", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const { url } = yield* start(database, { METRICSTREAM_MAX_SERIES: "2" })
      const body = requestOf([
        gauge("first", { asInt: 1 }),
        histogram("second", 1, point({ count: 1, sum: 1 })),
        gauge("third", { asInt: 3 })
      ])
      const { partialSuccess } = JSON.parse((yield* send(url, body)).text)
      assert.strictEqual(partialSuccess.rejectedDataPoints, "2")
      assert.include(partialSuccess.errorMessage, "METRICSTREAM_MAX_SERIES")
      assert.deepStrictEqual([...new Set(storedEvents(database).map(({ name }) => name))], ["first"])
    })
  )

  it.live("goes on, and forgets nothing, after a request of more points than it has memory for", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const { url } = yield* start(database, { METRICSTREAM_RATE_LIMIT: "1000000" })
      const at = makeStream("kept")
      assertSuccess(yield* send(url, at(1, 5)))
      // What it would remember of 900,000 empty points is more than the worker may have.
      const body = JSON.stringify(requestOf([histogram("empty", 2)])).replace(
        '"dataPoints":[',
        `"dataPoints":[${"{},".repeat(899_999)}{}`
      )
      const { partialSuccess } = JSON.parse((yield* send(url, body)).text)
      assert.strictEqual(partialSuccess.rejectedDataPoints, String(900_000 - limits.points))
      assert.include(partialSuccess.errorMessage, `one request has at most ${limits.points} data points`)
      assertSuccess(yield* send(url, at(2, 8)))
      assert.deepStrictEqual(valuesOf(database, "kept"), [5, 3])
    })
  )

  it.live("does not let more than 8 requests wait to be read, of whatever size", () =>
    Effect.gen(function* () {
      const reader = yield* Effect.provideContext(OtlpReader, yield* Layer.build(OtlpReader.layer))
      const read = (request: number, body: string) =>
        reader.read({
          request,
          body: new TextEncoder().encode(body),
          encoding: "identity",
          format: "json",
          isFromSdk: true,
          now: millis(10),
          outcomes: []
        })
      // The first takes longer to be read than all the others to come.
      const bodies = [
        JSON.stringify(requestOf([histogram("empty", 2)])).replace('"dataPoints":[', `$&${"{},".repeat(899_999)}{}`)
      ]
      while (bodies.length < 20) bodies.push("{}")
      const fibers = yield* Effect.forEach(bodies, (body, index) =>
        Effect.forkChild(Effect.result(read(index + 1, body)), { startImmediately: true })
      )
      const results = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      const refused = results.filter(Result.isFailure).map(({ failure }) => failure)
      assert.isAbove(refused.length, 0)
      for (const error of refused) {
        assert(error._tag === "OffloadError" && error.reason._tag === "Saturated")
        assert.strictEqual(error.reason.queued, 8)
      }
      // One is read, and eight wait.
      assert.isAtLeast(results.length - refused.length, 9)
    })
  )

  it.live("does not count what was stored before a restart again", () =>
    Effect.gen(function* () {
      const database = yield* databasePath
      const first = yield* start(database)
      const at = makeStream("restarted")
      assertSuccess(yield* send(first.url, at(1, 5)))
      assert.strictEqual(yield* first.end("SIGTERM"), 0)
      const second = yield* start(database)
      // What came in between is lost: what was stored of it is not known any more.
      assertSuccess(yield* send(second.url, at(2, 8)))
      assertSuccess(yield* send(second.url, at(3, 9)))
      assert.deepStrictEqual(valuesOf(database, "restarted"), [5, 1])
    })
  )
})
