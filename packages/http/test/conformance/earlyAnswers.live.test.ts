/** Answers to requests whose bodies nobody reads: RFC 9112 sections 9.3 and 9.6. */
import { JsonBody } from "@spillway/http"
import { HttpAnswer, RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Server } from "@spillway/http"
import { getRequest, soon, start, until } from "../fixture.ts"
import { parseAll, saysClose } from "./wire.ts"

const large = 8 * 2 ** 20
/** Bodies are full of requests that must never be answered. */
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
const fill = (length: number): string => smuggled.repeat(Math.ceil(length / smuggled.length)).slice(0, length)

const head = (...fields: ReadonlyArray<string>): string =>
  ["POST / HTTP/1.1", "Host: a", "Content-Type: application/json", ...fields, "", ""].join("\r\n")
const withLength = (length: number): string => head(`Content-Length: ${length}`) + fill(length)
const withChunks = (length: number): string => {
  const chunk = fill(Math.min(length, 64 * 1024))
  const chunks = `${chunk.length.toString(16)}\r\n${chunk}\r\n`.repeat(Math.ceil(length / chunk.length))
  return `${head("Transfer-Encoding: chunked")}${chunks}0\r\n\r\n`
}

const bodies: Readonly<Record<string, string>> = {
  "a small body": withLength(10),
  "a body of 60 KiB": withLength(60 * 1024),
  "a body of 8 MiB": withLength(large),
  "a small chunked body": withChunks(10),
  "a chunked body of 8 MiB": withChunks(large)
}

/** Answers a POST early, and everything else by its target. */
const answering = (
  early: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>
) =>
  HttpServer.serve(
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      request.method === "POST" ? early : Effect.succeed(HttpServerResponse.text(request.url))
    )
  )

type App = ReturnType<typeof answering>
const early: ReadonlyArray<readonly [name: string, app: App, status: number, options: Partial<Server.Options>]> = [
  ["401 of a handler", answering(Effect.succeed(HttpServerResponse.text("no", { status: 401 }))), 401, {}],
  ["200 of a handler", answering(Effect.succeed(HttpServerResponse.text("yes"))), 200, {}],
  [
    "413 of JsonBody",
    answering(Effect.as(JsonBody.decode(Schema.Json, { maxSize: 5 }), HttpServerResponse.empty())),
    413,
    {}
  ],
  ["503 of the door", HttpServer.serve(Effect.never), 503, { maxConcurrent: 1, maxQueued: 0 }]
]

const startFull = Effect.fnUntraced(function* (app: App, options: Partial<Server.Options>) {
  const server = yield* start(app, options)
  if (options.maxConcurrent !== undefined) {
    const first = yield* RawClient.connect(server)
    yield* first.write(getRequest("/"))
    yield* until(server, ({ running }) => running === 1)
  }
  return server
})

/** The answers: the early one, and then either the right one to the request behind the body, or none. */
const assertRight = (received: string, ending: RawClient.Ending, status: number): void => {
  const { answers, statuses } = parseAll(received, ending)
  assert.strictEqual(statuses[0], status)
  if (saysClose(answers[0]!)) return assert.strictEqual(answers.length, 1)
  assert.strictEqual(answers.length, 2)
  // The door may be full for the second too.
  if (status !== 503) assert.strictEqual(HttpAnswer.text(answers[1]!), "/next")
}

describe("Server, answering before the body was read,", () => {
  for (const [name, app, status, options] of early) {
    for (const [kind, bytes] of Object.entries(bodies)) {
      const whole = `${bytes}${getRequest("/next", "Connection: close\r\n")}`

      it.live(`lets a client that reads while it sends ${kind} see the ${name}, and misreads nothing behind it`, () =>
        Effect.gen(function* () {
          const server = yield* startFull(app, options)
          const client = yield* RawClient.connect(server)
          const sending = yield* Effect.forkChild(client.write(Buffer.from(whole, "latin1")))
          const ending = yield* soon(client.ended)
          assertRight(yield* client.received, ending, status)
          yield* soon(Fiber.join(sending))
        })
      )

      it.live(`lets a client that sends ${kind} and then waits before it reads see the ${name}`, () =>
        Effect.gen(function* () {
          const server = yield* startFull(app, options)
          const client = yield* RawClient.connect(server)
          // In pieces, each when the kernel has taken the one before: what a client does that knows of no early answer.
          for (let from = 0; from < bytes.length; from += 256 * 1024) {
            yield* soon(client.write(Buffer.from(bytes.slice(from, from + 256 * 1024), "latin1")))
          }
          yield* client.write(getRequest("/next", "Connection: close\r\n"))
          const ending = yield* soon(client.ended)
          assertRight(yield* client.received, ending, status)
          assert.strictEqual(ending, "closed")
        })
      )
    }

    it.live(`sends the ${name} at once to a client that has sent no byte of its body yet`, () =>
      Effect.gen(function* () {
        const server = yield* startFull(app, options)
        const client = yield* RawClient.connect(server)
        yield* client.write(head(`Content-Length: ${large}`))
        assert.include(yield* soon(client.receivedUntil("\r\n\r\n")), ` ${status} `)
        // The rest of the body never comes: the connection ends, and nothing is left of it.
        yield* soon(client.ended)
        yield* until(server, ({ connections }) => connections.body + connections.writing <= 1)
      })
    )
  }
})
