/** Several requests of one connection at once: RFC 9112 section 9.3.2. */
import { HttpAnswer, RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Latch } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { soon, start, until } from "../fixture.ts"
import { exchange, parseAll, problemStatus, saysClose } from "./wire.ts"

const get = (target: string, ...fields: ReadonlyArray<string>): string =>
  [`GET ${target} HTTP/1.1`, "Host: a", ...fields, "", ""].join("\r\n")
const post = (target: string, body: string): string =>
  [`POST ${target} HTTP/1.1`, "Host: a", `Content-Length: ${body.length}`, "", body].join("\r\n")

/** An app whose paths say what it does: `/slow` waits for the latch, `/fail` dies, `/unread` leaves the body; others echo. */
const makeApp = Effect.gen(function* () {
  const release = Latch.makeUnsafe(false)
  const began = yield* Deferred.make<void>()
  const order: Array<string> = []
  const handler = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { method, url } = request
    order.push(url)
    if (url === "/slow") {
      yield* Deferred.succeed(began, undefined)
      yield* release.await
    }
    if (url === "/fail") return yield* Effect.die(new Error("no luck"))
    if (url === "/unread") return HttpServerResponse.text("unread", { status: 401 })
    return HttpServerResponse.text(`${method} ${url}\n${yield* request.text}`)
  })
  return { app: HttpServer.serve(handler), release, began: soon(Deferred.await(began)), order }
})

const last = "Connection: close"
const texts = (answers: ReadonlyArray<HttpAnswer.Answer>) => answers.map(HttpAnswer.text)

describe("Server, with pipelined requests,", () => {
  it.live("answers in the order of the requests, whatever their kind", () =>
    Effect.gen(function* () {
      const { app } = yield* makeApp
      const chunked = "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      const bytes = get("/1") + post("/2", "two") + chunked + get("/4").replace("GET", "HEAD") + get("/5", last)
      const { answers } = yield* exchange(yield* start(app), bytes, { methods: ["GET", "POST", "POST", "HEAD", "GET"] })
      assert.deepStrictEqual(texts(answers), ["GET /1\n", "POST /2\ntwo", "POST /3\nabc", "", "GET /5\n"])
    })
  )

  it.live("answers in order when they come byte by byte", () =>
    Effect.gen(function* () {
      const { app } = yield* makeApp
      const client = yield* RawClient.connect(yield* start(app))
      for (const byte of get("/1") + post("/2", "two") + get("/3", last)) yield* client.write(byte)
      yield* soon(client.ended)
      const { answers } = parseAll(yield* client.received, "closed")
      assert.deepStrictEqual(texts(answers), ["GET /1\n", "POST /2\ntwo", "GET /3\n"])
    })
  )

  it.live("answers in order when the first is slow", () =>
    Effect.gen(function* () {
      const { app, began, release } = yield* makeApp
      const server = yield* start(app)
      const client = yield* RawClient.connect(server)
      yield* client.write(get("/slow") + get("/2") + post("/3", "three") + get("/4", last))
      yield* began
      yield* until(server, ({ pipelined }) => pipelined > 0)
      assert.strictEqual(yield* client.received, "")
      yield* release.open
      yield* soon(client.ended)
      const { answers } = parseAll(yield* client.received, "closed")
      assert.deepStrictEqual(texts(answers), ["GET /slow\n", "GET /2\n", "POST /3\nthree", "GET /4\n"])
    })
  )

  it.live("does not begin a request before those in front of it are answered", () =>
    Effect.gen(function* () {
      const { app, began, order, release } = yield* makeApp
      const server = yield* start(app)
      const client = yield* RawClient.connect(server)
      yield* client.write(get("/slow") + get("/2", last))
      yield* began
      yield* until(server, ({ pipelined }) => pipelined === 1)
      assert.deepStrictEqual(order, ["/slow"])
      yield* release.open
      yield* soon(client.ended)
      assert.deepStrictEqual(order, ["/slow", "/2"])
    })
  )

  it.live("answers those behind one that fails, or that is refused without its body", () =>
    Effect.gen(function* () {
      const { app } = yield* makeApp
      const bytes = get("/1") + get("/fail") + post("/unread", "abc") + get("/4", last)
      const { answers, statuses } = yield* exchange(yield* start(app), bytes)
      assert.deepStrictEqual(statuses, [200, 500, 401, 200])
      assert.strictEqual(HttpAnswer.text(answers[3]!), "GET /4\n")
    })
  )

  const broken: ReadonlyArray<readonly [string, string]> = [
    ["bytes that are not HTTP", "\x01\x02\r\n\r\n"],
    ["a request without Host", "GET /2 HTTP/1.1\r\n\r\n"],
    ["a request with two lengths", "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    ["a request with a bad chunk", "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
    ["a request with a bad coding", "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\nx\r\n"],
    ["a request of HTTP/0.9", "GET /2\r\n\r\n"]
  ]
  for (const first of ["/1", "/slow"]) {
    for (const [name, bytes] of broken) {
      // RFC 9112 section 9.3.2: the answers come in order; the 400 may be left out, the first answer may not.
      it.live(`answers ${first} before it refuses ${name} behind it, and closes`, () =>
        Effect.gen(function* () {
          const { app, release } = yield* makeApp
          const server = yield* start(app)
          const client = yield* RawClient.connect(server)
          yield* client.write(get(first) + bytes + get("/3"))
          if (first === "/slow") yield* until(server, ({ running }) => running === 1)
          yield* release.open
          const ending = yield* soon(client.ended)
          const { answers, statuses } = parseAll(yield* client.received, ending)
          assert.strictEqual(ending, "closed")
          assert.strictEqual(HttpAnswer.text(answers[0]!), `GET ${first}\n`)
          assert.include(["200", "200,400"], statuses.join())
          assert.isTrue(saysClose(answers.at(-1)!))
          if (answers.length === 2) assert.strictEqual(problemStatus(answers[1]!), 400)
        })
      )
    }
  }

  it.live("answers nothing behind a response that ends the connection", () =>
    Effect.gen(function* () {
      const { app, order } = yield* makeApp
      const { statuses } = yield* exchange(yield* start(app), get("/1", last) + get("/2") + get("/3"))
      assert.deepStrictEqual([statuses, order], [[200], ["/1"]])
    })
  )

  it.live("answers an early 401, and then takes no byte of a large unread body for a request", () =>
    Effect.gen(function* () {
      const { app, order } = yield* makeApp
      const body = get("/smuggled").repeat(10_000)
      const bytes = post("/unread", body) + get("/next", last)
      const { answers, statuses } = yield* exchange(yield* start(app), bytes)
      assert.strictEqual(statuses[0], 401)
      if (saysClose(answers[0]!)) assert.strictEqual(answers.length, 1)
      else assert.deepStrictEqual(texts(answers.slice(1)), ["GET /next\n"])
      assert.notInclude(order, "/smuggled")
    })
  )
})
