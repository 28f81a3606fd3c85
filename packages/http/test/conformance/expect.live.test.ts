/** `Expect: 100-continue`, RFC 9110 section 10.1.1. */
import { JsonBody, Problem } from "@spillway/http"
import { HttpAnswer, RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch, Schema } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { soon, start, until } from "../fixture.ts"
import { assertRefused, exchange, makeEcho, parseAll, problemStatus, saysClose } from "./wire.ts"

const expecting = (length: number, ...fields: ReadonlyArray<string>): string =>
  ["POST / HTTP/1.1", "Host: a", "Expect: 100-continue", `Content-Length: ${length}`, ...fields, "", ""].join("\r\n")

const continues = "HTTP/1.1 100 Continue\r\n\r\n"
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

describe("Server, asked for 100 Continue,", () => {
  it.live("sends it when the handler wants the body, and not before", () =>
    Effect.gen(function* () {
      const wanted = Latch.makeUnsafe(false)
      const server = yield* start(
        HttpServer.serve(
          Effect.gen(function* () {
            yield* wanted.await
            const request = yield* HttpServerRequest.HttpServerRequest
            return HttpServerResponse.text(yield* request.text)
          })
        )
      )
      const client = yield* RawClient.connect(server)
      yield* client.write(expecting(5, "Connection: close"))
      yield* until(server, ({ running }) => running === 1)
      // Another request makes the round trip meanwhile.
      const other = yield* RawClient.connect(server)
      yield* other.write("GET / HTTP/9.9\r\n\r\n")
      yield* soon(other.ended)
      assert.strictEqual(yield* client.received, "")
      yield* wanted.open
      assert.strictEqual(yield* soon(client.receivedUntil("\r\n\r\n")), continues)
      yield* client.write("hello")
      const { answers, interim } = parseAll(yield* receivedAtEnd(client), "closed")
      assert.deepStrictEqual([answers.map(HttpAnswer.text), interim], [["hello"], [100]])
    })
  )

  it.live("sends it when JsonBody wants the body", () =>
    Effect.gen(function* () {
      const server = yield* start(
        HttpServer.serve(Effect.map(JsonBody.decode(Schema.Json), (value) => HttpServerResponse.jsonUnsafe(value)))
      )
      const client = yield* RawClient.connect(server)
      yield* client.write(expecting(3, "Connection: close", "Content-Type: application/json"))
      assert.strictEqual(yield* soon(client.receivedUntil("\r\n\r\n")), continues)
      yield* client.write("[1]")
      const { answers } = parseAll(yield* receivedAtEnd(client), "closed")
      assert.deepStrictEqual(answers.map(HttpAnswer.text), ["[1]"])
    })
  )

  it.live("sends it once to each of two requests of a connection", () =>
    Effect.gen(function* () {
      const { app } = makeEcho()
      const client = yield* RawClient.connect(yield* start(app))
      yield* client.write(expecting(5))
      yield* soon(client.receivedUntil(continues))
      yield* client.write("hello")
      yield* soon(client.receivedUntil("\nhello"))
      yield* client.write(expecting(5, "Connection: close"))
      yield* soon(client.receivedUntil(`\nhello${continues}`))
      yield* client.write("world")
      const { answers, interim } = parseAll(yield* receivedAtEnd(client), "closed")
      assert.deepStrictEqual(answers.map(HttpAnswer.text), ["POST /\nhello", "POST /\nworld"])
      assert.deepStrictEqual(interim, [100, 100])
    })
  )

  const early: ReadonlyArray<
    readonly [
      name: string,
      handler: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>,
      status: number,
      contentType: string
    ]
  > = [
    ["401 of the handler", Effect.succeed(HttpServerResponse.empty({ status: 401 })), 401, "application/json"],
    ["200 of the handler", Effect.succeed(HttpServerResponse.text("enough")), 200, "application/json"],
    ["failure of the handler", Effect.fail(Problem.make({ status: 409 })), 409, "application/json"],
    [
      "413 of JsonBody",
      Effect.as(JsonBody.decode(Schema.Json, { maxSize: 10 }), HttpServerResponse.empty()),
      413,
      "application/json"
    ],
    ["415 of JsonBody", Effect.as(JsonBody.decode(Schema.Json), HttpServerResponse.empty()), 415, "text/plain"]
  ]
  for (const [name, handler, status, contentType] of early) {
    it.live(`sends no 100 before the early ${name}, and takes no body for a request`, () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(handler))
        const client = yield* RawClient.connect(server)
        yield* client.write(expecting(smuggled.length, `Content-Type: ${contentType}`))
        yield* soon(client.receivedUntil("\r\n\r\n"))
        // The client may send the body all the same.
        yield* client.write(smuggled)
        yield* client.end
        const { answers, interim, statuses } = parseAll(yield* receivedAtEnd(client), "closed")
        assert.deepStrictEqual([interim, statuses], [[], [status]])
        // The client need not send the body now, so nobody knows what comes next.
        assert.isTrue(saysClose(answers[0]!))
        yield* until(server, ({ connections }) => Object.values(connections).every((count) => count === 0))
      })
    )
  }

  it.live("sends no 100 before the 503 of the door", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.never), { maxConcurrent: 1, maxQueued: 0 })
      const first = yield* RawClient.connect(server)
      yield* first.write(expecting(5))
      yield* until(server, ({ running }) => running === 1)
      assertRefused(yield* exchange(server, expecting(5)), [503])
      assert.strictEqual(yield* first.received, "")
    })
  )

  it.live("sends no 100 in HTTP/1.0, which does not know it", () =>
    Effect.gen(function* () {
      const { app } = makeEcho()
      const bytes = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"
      const { answers, interim } = yield* exchange(yield* start(app), bytes)
      assert.deepStrictEqual([answers.map(HttpAnswer.text), interim], [["POST /\nhello"], []])
    })
  )

  it.live("answers a body that came without waiting", () =>
    Effect.gen(function* () {
      const { app } = makeEcho()
      const { answers } = yield* exchange(yield* start(app), `${expecting(5, "Connection: close")}hello`)
      assert.deepStrictEqual(answers.map(HttpAnswer.text), ["POST /\nhello"])
    })
  )

  for (const value of ["200-maybe", "100-continue2", "x100-continue", ": 100-continue", "100-continue, 200-maybe"]) {
    it.live(`answers 417 to the expectation ${value}, and nothing of it reaches a handler`, () =>
      Effect.gen(function* () {
        const { app, handled } = makeEcho()
        const server = yield* start(app)
        const bytes = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: ${value}\r\nContent-Length: 5\r\n\r\nhello`
        const { answers, interim, statuses } = yield* exchange(server, bytes)
        assert.deepStrictEqual([statuses, interim, handled], [[417], [], []])
        assert.strictEqual(problemStatus(answers[0]!), 417)
      })
    )
  }

  it.live("knows the expectation in any case", () =>
    Effect.gen(function* () {
      const { app } = makeEcho()
      const client = yield* RawClient.connect(yield* start(app))
      yield* client.write("POST / HTTP/1.1\r\nHost: a\r\nexpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
      yield* soon(client.receivedUntil(continues))
    })
  )
})

const receivedAtEnd = (client: RawClient.Connection) => Effect.andThen(soon(client.ended), client.received)
