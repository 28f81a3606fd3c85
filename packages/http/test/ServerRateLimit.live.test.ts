import { HealthRoutes, Problem, RateLimit, ServerRateLimit } from "@spillway/http"
import type { ServerConfig } from "@spillway/http"
import { RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Logger, Metric } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { vi } from "vitest"
import { RefusalPace } from "../src/internal/refusalPace.ts"
import { get, getRequest, handshake, json, router, soon, start, until } from "./fixture.ts"
import type { Answer } from "./fixture.ts"
import { connect, startSecurely } from "./tlsFixture.ts"
import { open, echo } from "./webSocketFixture.ts"

const ok = HttpServerResponse.text("ok")

/** A quota of so many requests, none of which comes back while a test runs. */
const quota = (burst: number, name = "default") => RateLimit.make({ name, limit: 1, burst, window: "1 hour" })

const limitedTo = (burst: number, more: Partial<ServerRateLimit.Options> = {}): Partial<ServerConfig.Options> => ({
  rateLimit: { limit: quota(burst), ...more }
})

/** An app that says which requests it has seen. */
const witness = () => {
  const seen: Array<string> = []
  const handler = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => {
    seen.push(url)
    return ok
  })
  return { seen, app: HttpServer.serve(handler) }
}

const fields = ({ headers }: Answer) => [headers.get("ratelimit"), headers.get("ratelimit-policy")]

/** How often the server itself has refused a request, over all tests. */
const refusals = Effect.map(Metric.snapshot, (snapshot) => {
  const found = snapshot.find(
    ({ attributes, id }) => id === "spillway_http_refused_total" && attributes?.reason === "RateLimited"
  )
  return (found as { readonly state: { readonly count: number } } | undefined)?.state.count ?? 0
})

const body = JSON.stringify({
  "violated-policies": ["default"],
  type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
  title: "Too Many Requests",
  status: 429,
  detail: "your quota is used up; try again later"
})

/** The bytes of a refusal, whose times are left out. */
const bytesOf = (connection: string, burst: number) =>
  `HTTP/1.1 429 Too Many Requests\r\n${connection}content-type: application/problem+json\r\ncontent-length: ${body.length}\r\n` +
  `ratelimit: "default";r=0;t=N\r\nratelimit-policy: "default";q=${burst};w=${burst * 3600}\r\nretry-after: N\r\n\r\n${body}`

const withoutTimes = (text: string) => text.replaceAll(/(;t=|retry-after: )\d+/g, "$1N")

describe("ServerRateLimit", () => {
  it.live("judges nothing more of a request that is refused", () =>
    Effect.gen(function* () {
      const judged: Array<string> = []
      const { app, seen } = witness()
      const server = yield* start(app, {
        ...limitedTo(1),
        priority: ({ url }) => (judged.push(`priority of ${url}`), "normal"),
        partition: ({ url }) => (judged.push(`partition of ${url}`), undefined)
      })
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/1") + getRequest("/2"))
      assert.strictEqual((yield* soon(client.answers(2))).answers.length, 2)
      const other = yield* RawClient.connect(server)
      yield* other.write(handshake("/3"))
      yield* soon(other.receivedUntil("HTTP/1.1 429"))
      assert.deepStrictEqual([judged, seen], [["priority of /1", "partition of /1"], ["/1"]])
    })
  )

  it.live("refuses with the same bytes each time, on a connection that stays open, and no handler sees it", () =>
    Effect.gen(function* () {
      const { app, seen } = witness()
      const server = yield* start(app, limitedTo(1))
      const paced = vi.spyOn(RefusalPace.prototype, "refused")
      const before = yield* refusals
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/1"))
      const first = yield* soon(client.receivedUntil("\r\n\r\nok"))
      assert.include(first, 'ratelimit: "default";r=0;t=3600\r\nratelimit-policy: "default";q=1;w=3600\r\n')
      const refused = bytesOf("connection: keep-alive\r\nkeep-alive: timeout=65\r\n", 1)
      for (let i = 1; i <= 3; i++) {
        yield* client.write(getRequest("/2"))
        const { answers } = yield* soon(client.answers(1 + i))
        assert.strictEqual(answers.length, 1 + i)
        assert.strictEqual(withoutTimes((yield* client.received).slice(first.length)), refused.repeat(i))
      }
      yield* client.write(getRequest("/livez"))
      const { answers } = yield* soon(client.answers(5))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 429, 429, 429, 200]
      )
      assert.deepStrictEqual(seen, ["/1", "/livez"])
      assert.deepStrictEqual([yield* refusals, paced.mock.calls.length], [before + 3, 3])
    }).pipe(Effect.ensuring(Effect.sync(() => vi.restoreAllMocks())))
  )

  it.live("says how long to wait in Retry-After, never less than in the field", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), limitedTo(1))
      yield* get(server.url("/"))
      const refused = yield* get(server.url("/"))
      const seconds = Number(refused.headers.get("retry-after"))
      assert.isTrue(seconds > 3500 && seconds <= 3600)
      assert.strictEqual(refused.headers.get("ratelimit"), `"default";r=0;t=${seconds}`)
    })
  )

  it.live("answers pipelined requests in their order, and each pays when it comes", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* start(HttpServer.serve(Effect.as(release.await, ok)), limitedTo(1))
      const client = yield* RawClient.connect(server)
      const before = yield* refusals
      yield* client.write(getRequest("/1") + getRequest("/2") + getRequest("/3") + getRequest("/livez"))
      yield* soon(Effect.repeat(Effect.andThen(Effect.sleep(2), refusals), { until: (count) => count === before + 2 }))
      assert.strictEqual(yield* client.received, "")
      yield* release.open
      const { answers, malformed } = yield* soon(client.answers(4))
      assert.deepStrictEqual([malformed, answers.map(({ status }) => status)], [undefined, [200, 429, 429, 200]])
      assert.match(answers[2]!.headers["ratelimit"]!, /^"default";r=0;t=\d+$/)
    })
  )

  it.live("does not wait for a body, and keeps the connection if the rest of it is short", () =>
    Effect.gen(function* () {
      const { app, seen } = witness()
      const server = yield* start(app, limitedTo(1))
      yield* get(server.url("/"))
      const post = (more: string) => getRequest("/", more).replace("GET", "POST")

      const short = yield* RawClient.connect(server)
      yield* short.write(post("Content-Length: 5\r\n"))
      const first = yield* soon(short.answers(1))
      assert.deepStrictEqual([first.answers[0]!.status, first.answers[0]!.headers.connection], [429, "keep-alive"])
      yield* short.write(`GET /${getRequest("/livez")}`)
      assert.deepStrictEqual(
        (yield* soon(short.answers(2))).answers.map(({ status }) => status),
        [429, 200]
      )

      for (const more of ["Content-Length: 100000000\r\n", "Transfer-Encoding: chunked\r\n"]) {
        const long = yield* RawClient.connect(server)
        yield* long.write(post(more))
        const { answers } = yield* soon(long.answers(1))
        assert.deepStrictEqual([answers[0]!.status, answers[0]!.headers.connection], [429, "close"])
        assert.strictEqual(yield* soon(long.ended), "closed")
      }

      const asking = yield* RawClient.connect(server)
      yield* asking.write(post("Content-Length: 5\r\nExpect: 100-continue\r\n"))
      const { answers, interim } = yield* soon(asking.answers(1))
      assert.deepStrictEqual(
        [answers[0]!.status, answers[0]!.interim.length, interim.length, yield* soon(asking.ended)],
        [429, 0, 0, "closed"]
      )
      assert.deepStrictEqual(seen, ["/", "/livez"])
    })
  )

  it.live("refuses HEAD without a body, and HTTP/1.0 with the end of its connection", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), limitedTo(1))
      yield* get(server.url("/"))
      const head = yield* RawClient.connect(server)
      yield* head.write(getRequest("/").replace("GET", "HEAD") + getRequest("/livez"))
      const { answers } = yield* soon(head.answers(2, ["HEAD", "GET"]))
      assert.deepStrictEqual(
        answers.map(({ bodyBytes, status }) => [status, bodyBytes]),
        [
          [429, 0],
          [200, 2]
        ]
      )
      const old = yield* RawClient.exchange(server, "GET / HTTP/1.0\r\n\r\n", { timeoutMillis: 10_000 })
      assert.deepStrictEqual([old.received.slice(0, 12), old.ending], ["HTTP/1.1 429", "closed"])
    })
  )

  it.live("limits the streams of HTTP/2, and leaves their connection alone", () =>
    Effect.gen(function* () {
      const { app, seen } = witness()
      const server = yield* startSecurely(app, limitedTo(2))
      const session = yield* connect(server)
      const passed = yield* soon(session.request({ ":path": "/1" }))
      assert.deepStrictEqual([passed.status, passed.headers["ratelimit-policy"]], [200, '"default";q=2;w=7200'])
      assert.match(passed.headers["ratelimit"] as string, /^"default";r=1;t=\d+$/)
      yield* soon(session.request({ ":path": "/2" }))
      for (const payload of [undefined, "a body that nobody reads"]) {
        const refused = yield* soon(session.request({ ":path": "/3", ":method": "POST" }, payload))
        assert.deepStrictEqual([refused.status, refused.body, refused.code], [429, body, 0])
        assert.match(refused.headers["ratelimit"] as string, /^"default";r=0;t=\d+$/)
        assert.isAbove(Number(refused.headers["retry-after"]), 3500)
      }
      assert.strictEqual((yield* soon(session.request({ ":path": "/livez" }))).status, 200)
      assert.deepStrictEqual(seen, ["/1", "/2", "/livez"])
    })
  )

  it.live("limits WebSocket handshakes, and ends the connection of one that is refused", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(echo), limitedTo(2))
      const webSocket = yield* open(server.port)
      webSocket.send("still served")
      // A handshake that is answered by something else than 101 is told what is left.
      const plain = yield* get(server.url("/"))
      assert.match(fields(plain)[0]!, /^"default";r=0;t=\d+$/)
      const refused = yield* RawClient.exchange(server, handshake("/"), { timeoutMillis: 10_000 })
      assert.deepStrictEqual(
        [withoutTimes(refused.received), refused.ending],
        [bytesOf("connection: close\r\n", 2), "closed"]
      )
      assert.deepStrictEqual(yield* webSocket.received(1), ["still served"])
      const exempt = yield* open(server.port, undefined, "/livez")
      exempt.send("exempt")
      assert.deepStrictEqual(yield* exempt.received(1), ["exempt"])
      const { pipelined, running } = yield* until(server, ({ connections }) => connections.upgraded === 2)
      assert.deepStrictEqual([pipelined, running], [0, 0])
    })
  )

  it.live("tells what is left with the answer to a handshake that does not upgrade", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.fail(Problem.make({ status: 403 }))), limitedTo(2))
      const { received } = yield* RawClient.exchange(server, handshake("/"), { timeoutMillis: 10_000 })
      assert.match(received, /^HTTP\/1\.1 403 Forbidden\r\n/)
      assert.match(received, /\r\nratelimit: "default";r=1;t=\d+\r\n/i)
    })
  )

  it.live("knows a client by its address behind trusted proxies, and believes nobody else", () =>
    Effect.gen(function* () {
      const from = (address: string): RequestInit => ({ headers: { "x-forwarded-for": address } })
      const app = HttpServer.serve(Effect.succeed(ok))
      const trusting = yield* start(app, { ...limitedTo(1), trustedProxies: ["127.0.0.0/8"] })
      const asks = ["192.0.2.1", "203.0.113.9, 192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
      const answers = yield* Effect.forEach(asks, (address) => get(trusting.url("/"), from(address)))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 429, 200, 200, 429, 200]
      )
      const wary = yield* start(app, limitedTo(1))
      yield* get(wary.url("/"), from("192.0.2.1"))
      assert.strictEqual((yield* get(wary.url("/"), from("192.0.2.2"))).status, 429)

      const secure = yield* startSecurely(app, { ...limitedTo(1), trustedProxies: ["127.0.0.1", "::1"] })
      const session = yield* connect(secure)
      const streams = yield* soon(
        Effect.forEach(["192.0.2.1", "192.0.2.1", "192.0.2.2"], (address) =>
          session.request({ ":path": "/", "x-forwarded-for": address })
        )
      )
      assert.deepStrictEqual(
        streams.map(({ status }) => status),
        [200, 429, 200]
      )
    })
  )

  it.live("knows a client by its API key, at a price that it says, and lets pass what it skips", () =>
    Effect.gen(function* () {
      const options = limitedTo(4, {
        key: ServerRateLimit.byApiKey({ isKnown: new Set(["a", "b"]) }),
        cost: ({ method }) => (method === "POST" ? 3 : 1),
        skip: ({ url }) => url === "/free"
      })
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), options)
      const as = (key: string, init: RequestInit = {}) =>
        Effect.map(
          get(server.url("/"), { ...init, headers: { "x-api-key": key } }),
          (answer) => fields(answer)[0]!.split(";t=")[0]
        )
      assert.strictEqual(yield* as("a", { method: "POST" }), '"default";r=1')
      assert.strictEqual(yield* as("b"), '"default";r=3')
      assert.strictEqual(yield* as("made up"), '"default";r=3')
      assert.strictEqual(yield* as("also made up"), '"default";r=2')
      assert.strictEqual((yield* get(server.url("/"), { method: "POST" })).status, 429)
      const free = yield* get(server.url("/free"))
      assert.deepStrictEqual([free.status, ...fields(free)], [200, null, null])
    })
  )

  it.live("answers 413 to what costs more than can be saved up", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), limitedTo(2, { cost: () => 3 }))
      const refused = yield* get(server.url("/"))
      assert.deepStrictEqual([refused.status, refused.headers.get("retry-after")], [413, null])
      assert.match(fields(refused)[0]!, /^"default";r=2;t=0$/)
    })
  )

  it.live("lets health routes pass, whatever the quota", () =>
    Effect.gen(function* () {
      const app = router(Layer.mergeAll(HttpRouter.add("GET", "/", ok), HealthRoutes.layerNoChecks))
      const server = yield* start(app, limitedTo(1))
      yield* get(server.url("/"))
      assert.strictEqual((yield* get(server.url("/"))).status, 429)
      for (const path of ["/livez", "/readyz"]) {
        const answer = yield* get(server.url(path))
        assert.deepStrictEqual([answer.status, ...fields(answer)], [200, null, null])
      }
    })
  )

  it.live("remembers a bounded number of clients through a flood of addresses, and not at the cost of the others", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 10, window: "1 hour" }, { maxKeys: 50 })
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), {
        rateLimit: { limit },
        trustedProxies: ["127.0.0.1"]
      })
      const forwarded = (address: string) => getRequest("/", `X-Forwarded-For: ${address}\r\n`)
      const client = yield* RawClient.connect(server)
      yield* client.write(forwarded("192.0.2.1").repeat(10))
      yield* soon(client.answers(10))
      for (let batch = 0; batch < 20; batch++) {
        const requests = Array.from({ length: 30 }, (_, i) => forwarded(`10.${batch}.0.${i}`))
        yield* client.write(requests.join(""))
        const { answers } = yield* soon(client.answers(10 + 30 * (batch + 1)))
        assert.isTrue(answers.every(({ status }) => status === 200))
      }
      assert.strictEqual(yield* limit.size, 50)
      yield* client.write(forwarded("192.0.2.1"))
      assert.strictEqual((yield* soon(client.answers(611))).answers.at(-1)!.status, 429)
    })
  )

  it.live("sets the fields on whatever a handler ends with, before those of an inner limit", () =>
    Effect.gen(function* () {
      const inner = RateLimit.middleware(quota(2, "inner"))
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/ok", ok),
        HttpRouter.add("GET", "/fails", Effect.fail(Problem.make({ status: 409 }))),
        HttpRouter.add("GET", "/dies", Effect.die("expected")),
        HttpRouter.add("GET", "/late", Effect.never),
        HttpRouter.add("GET", "/both", ok).pipe(Layer.provide(inner.layer))
      )
      const server = yield* start(router(routes), {
        rateLimit: { limit: quota(9, "outer") },
        requestDeadline: "1 second"
      })
      const answers = yield* Effect.forEach(
        ["/ok", "/fails", "/dies", "/late", "/missing", "/both", "/both", "/both"],
        (path) => get(server.url(path))
      )
      assert.deepStrictEqual(
        answers.map((answer) => [answer.status, fields(answer)[0]!.replaceAll(/;t=\d+/g, "")]),
        [
          [200, '"outer";r=8'],
          [409, '"outer";r=7'],
          [500, '"outer";r=6'],
          [504, '"outer";r=5'],
          [404, '"outer";r=4'],
          [200, '"outer";r=3, "inner";r=1'],
          [200, '"outer";r=2, "inner";r=0'],
          [429, '"inner";r=0, "outer";r=1']
        ]
      )
      assert.strictEqual(fields(answers[0]!)[1], '"outer";q=9;w=32400')
    })
  )

  it.live("comes before the door: who is over the quota is told so, and who is not has paid for a refusal there", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* start(HttpServer.serve(Effect.as(release.await, ok)), {
        ...limitedTo(2, { key: ({ headers }) => headers["x-client"] as string }),
        maxConcurrent: 1,
        maxQueued: 0
      })
      const as = (client: string) => get(server.url("/"), { headers: { "x-client": client } })
      const inside = yield* Effect.forkChild(as("a"))
      yield* until(server, ({ running }) => running === 1)
      const statuses = yield* Effect.forEach(["b", "b", "b"], (client) =>
        Effect.map(as(client), ({ status }) => status)
      )
      assert.deepStrictEqual(statuses, [503, 503, 429])
      yield* release.open
      assert.strictEqual((yield* soon(Fiber.join(inside))).status, 200)
    })
  )

  it.live("answers 500 where one of its functions throws or makes up a cost, logs it, and lives", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const { app, seen } = witness()
      const server = yield* start(app, limitedTo(1, { cost: ({ url }) => Number(url!.slice(1)) })).pipe(
        Effect.provide(Logger.layer([logger]))
      )
      for (const path of ["/x", "/-1"]) {
        const answer = yield* get(server.url(path))
        assert.deepStrictEqual([answer.status, JSON.parse(answer.body).title], [500, "Internal Server Error"])
      }
      assert.strictEqual((yield* get(server.url("/1"), json({}))).status, 200)
      assert.deepStrictEqual(seen, ["/1"])
      assert.strictEqual(logged.filter((message) => String(message).includes("the rate limit of the server")).length, 2)
    })
  )
})
