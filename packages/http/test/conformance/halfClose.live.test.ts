/** Clients that close one side of their connection, or both: RFC 9112 sections 9.5 and 9.6. */
import { JsonBody } from "@spillway/http"
import { HttpAnswer, RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Latch, Schema, Stream } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { getRequest, soon, start, until } from "../fixture.ts"
import { assertRefused, exchange, makeEcho, parseAll } from "./wire.ts"

const isEmpty = ({ connections }: { readonly connections: Readonly<Record<string, number>> }): boolean =>
  Object.values(connections).every((count) => count === 0)

describe("Server, with a client that closes its sending side,", () => {
  it.live("answers what was asked before, and then closes", () =>
    Effect.gen(function* () {
      const { app } = makeEcho()
      const server = yield* start(app)
      for (const bytes of [getRequest("/"), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"]) {
        const { ending, statuses } = yield* exchange(server, bytes, { end: true })
        assert.deepStrictEqual([statuses, ending], [[200], "closed"])
      }
      yield* until(server, isEmpty)
    })
  )

  it.live("answers a request whose handler is still at work", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* start(HttpServer.serve(Effect.as(release.await, HttpServerResponse.text("late"))))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/"))
      yield* until(server, ({ running }) => running === 1)
      yield* client.end
      // Our end has arrived once the server has taken a connection that was made later.
      const later = yield* RawClient.connect(server)
      yield* later.write("GET / HTTP/9.9\r\n\r\n")
      yield* soon(later.ended)
      yield* release.open
      const ending = yield* soon(client.ended)
      const { answers } = parseAll(yield* client.received, ending)
      assert.deepStrictEqual([answers.map(HttpAnswer.text), ending], [["late"], "closed"])
      yield* until(server, isEmpty)
    })
  )

  it.live("answers each of several pipelined requests, the slow ones too", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        Effect.as(release.await, HttpServerResponse.text(url))
      )
      const server = yield* start(HttpServer.serve(handler))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/1") + getRequest("/2") + getRequest("/3"))
      yield* client.end
      yield* until(server, ({ pipelined, running }) => running === 1 && pipelined === 2)
      yield* release.open
      const ending = yield* soon(client.ended)
      const { answers } = parseAll(yield* client.received, ending)
      assert.deepStrictEqual(answers.map(HttpAnswer.text), ["/1", "/2", "/3"])
    })
  )

  it.live("sends a streamed response whole", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const block = new Uint8Array(64 * 1024).fill(120)
      const stream = Stream.concat(Stream.make(block), Stream.fromEffect(Effect.as(release.await, block)))
      const server = yield* start(HttpServer.serve(Effect.succeed(HttpServerResponse.stream(stream))))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/"))
      yield* client.end
      yield* soon(client.receivedUntil("xxx"))
      yield* release.open
      const ending = yield* soon(client.ended)
      const { answers } = parseAll(yield* client.received, ending)
      assert.strictEqual(answers[0]!.bodyBytes, 2 * block.length)
    })
  )

  const cut: ReadonlyArray<readonly [string, string]> = [
    ["a head", "GET / HTTP/1.1\r\nHos"],
    ["a body with a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"],
    ["a chunked body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"],
    [
      "a chunked body before its last chunk",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    ],
    ["trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n"]
  ]
  for (const [name, bytes] of cut) {
    // RFC 9112 section 8: a request that is not whole is not taken for one.
    it.live(`refuses a request cut off within ${name}`, () =>
      Effect.gen(function* () {
        const { app } = makeEcho()
        const server = yield* start(app)
        const refused = yield* exchange(server, bytes, { end: true })
        assertRefused(refused, [400, 408])
        assert.strictEqual(refused.answers.length, 1)
        yield* until(server, (stats) => isEmpty(stats) && stats.running === 0)
      })
    )
  }

  it.live("refuses JSON that is cut off", () =>
    Effect.gen(function* () {
      const app = HttpServer.serve(Effect.as(JsonBody.decode(Schema.Json), HttpServerResponse.text("taken")))
      const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n"
      assertRefused(yield* exchange(yield* start(app), `${head}[1]`, { end: true }), [400, 408])
    })
  )

  it.live("closes a connection that was idle, or on which nothing was asked", () =>
    Effect.gen(function* () {
      const { app } = makeEcho()
      const server = yield* start(app)
      const { answers, ending } = yield* exchange(server, "", { end: true })
      assert.deepStrictEqual([answers, ending], [[], "closed"])
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/"))
      yield* soon(client.receivedUntil("GET /\n"))
      yield* client.end
      assert.strictEqual(yield* soon(client.ended), "closed")
      yield* until(server, isEmpty)
    })
  )
})

describe("Server, with a client that is gone,", () => {
  for (const [name, pipelined] of [
    ["a request", 0],
    ["pipelined requests", 3]
  ] as const) {
    it.live(`interrupts the handler of ${name}`, () =>
      Effect.gen(function* () {
        const interrupted = yield* Deferred.make<void>()
        const stuck = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        const server = yield* start(HttpServer.serve(stuck))
        const client = yield* RawClient.connect(server)
        yield* client.write(getRequest("/").repeat(1 + pipelined))
        yield* until(server, (stats) => stats.running === 1 && stats.pipelined === pipelined)
        yield* client.reset
        yield* soon(Deferred.await(interrupted))
        yield* until(server, (stats) => isEmpty(stats) && stats.running === 0 && stats.pipelined === 0)
      })
    )
  }

  it.live("interrupts the handler of one that had closed its sending side before", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const stuck = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      const server = yield* start(HttpServer.serve(stuck))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/"))
      yield* client.end
      yield* until(server, ({ running }) => running === 1)
      yield* client.reset
      yield* soon(Deferred.await(interrupted))
      yield* until(server, (stats) => isEmpty(stats) && stats.running === 0)
    })
  )

  it.live("interrupts a handler that waits for the rest of the body", () =>
    Effect.gen(function* () {
      const began = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const reading = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        yield* Deferred.succeed(began, undefined)
        return HttpServerResponse.text(yield* request.text)
      })
      const server = yield* start(HttpServer.serve(Effect.ensuring(reading, Deferred.succeed(ended, undefined))))
      const client = yield* RawClient.connect(server)
      yield* client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
      yield* soon(Deferred.await(began))
      yield* client.reset
      yield* soon(Deferred.await(ended))
      yield* until(server, (stats) => isEmpty(stats) && stats.running === 0)
    })
  )
})
