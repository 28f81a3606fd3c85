/** Requests that are unusual and valid: the server takes them for what they are. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpAnswer } from "@spillway/http/testing"
import { start } from "../fixture.ts"
import { exchange, makeEcho, saysClose } from "./wire.ts"
import type { Bytes } from "./wire.ts"

type Case = readonly [name: string, section: string, bytes: Bytes, taken: ReadonlyArray<string>]

const last = (requestLine: string, ...fields: ReadonlyArray<string>): string =>
  [requestLine, "Host: a", "Connection: close", ...fields, "", ""].join("\r\n")
const chunked = (body: string, ...fields: ReadonlyArray<string>): string =>
  last("POST / HTTP/1.1", "Transfer-Encoding: chunked", ...fields) + body

const cases: ReadonlyArray<Case> = [
  ["an empty line before the request line", "RFC 9112 2.2", `\r\n${last("GET / HTTP/1.1")}`, ["GET /\n"]],
  ["absolute form", "RFC 9112 3.2.2", last("GET http://b:80/c?d HTTP/1.1"), ["GET http://b:80/c?d\n"]],
  ["asterisk form", "RFC 9112 3.2.4", last("OPTIONS * HTTP/1.1"), ["OPTIONS *\n"]],
  ["an empty query", "RFC 9112 3.2.1", last("GET /? HTTP/1.1"), ["GET /?\n"]],
  ["an empty Host", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", ["GET /\n"]],
  ["a Host with a port", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a:8080\r\nConnection: close\r\n\r\n", ["GET /\n"]],
  ["an IPv6 Host", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n", ["GET /\n"]],
  ["HTTP/1.0 without Host", "RFC 9112 3.2", "GET / HTTP/1.0\r\n\r\n", ["GET /\n"]],
  ["field names in any case", "RFC 9110 5.1", last("POST / HTTP/1.1", "cONTENT-lENGTH: 2") + "ab", ["POST /\nab"]],
  [
    "white space around a value",
    "RFC 9112 5",
    last("POST / HTTP/1.1", "Content-Length: \t2 \t") + "ab",
    ["POST /\nab"]
  ],
  ["obs-text in a value", "RFC 9110 5.5", last("GET / HTTP/1.1", "X: \xe9\xff"), ["GET /\n"]],
  ["an empty value", "RFC 9110 5.5", last("GET / HTTP/1.1", "X:"), ["GET /\n"]],
  [
    "leading zeros of Content-Length",
    "RFC 9110 8.6",
    last("POST / HTTP/1.1", "Content-Length: 002") + "ab",
    ["POST /\nab"]
  ],
  ["a body of GET", "RFC 9110 9.3.1", last("GET / HTTP/1.1", "Content-Length: 2") + "ab", ["GET /\nab"]],
  [
    "chunk sizes of either case",
    "RFC 9112 7.1",
    chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
    ["POST /\n01234567890123456789"]
  ],
  ["zeros before a chunk size", "RFC 9112 7.1", chunked("0002\r\nab\r\n000\r\n\r\n"), ["POST /\nab"]],
  [
    "a coding in upper case",
    "RFC 9112 7",
    last("POST / HTTP/1.1", "Transfer-Encoding: CHUNKED") + "2\r\nab\r\n0\r\n\r\n",
    ["POST /\nab"]
  ],
  [
    "chunk extensions, which it ignores",
    "RFC 9112 7.1.1",
    chunked('2;a;b=c;d="e;\\"f"\r\nab\r\n0;g\r\n\r\n'),
    ["POST /\nab"]
  ],
  ["trailers", "RFC 9112 7.1.2", chunked("2\r\nab\r\n0\r\nX: y\r\n\r\n", "Trailer: X"), ["POST /\nab"]],
  [
    "a WebSocket handshake in HTTP/1.0, whose upgrade it ignores",
    "RFC 9110 7.8",
    last(
      "GET / HTTP/1.0",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    ),
    ["GET /\n"]
  ]
]

describe("Server takes", () => {
  for (const [name, section, bytes, taken] of cases) {
    it.live(`${name} (${section})`, () =>
      Effect.gen(function* () {
        const { app } = makeEcho()
        const { answers, ending, statuses } = yield* exchange(yield* start(app), bytes)
        assert.deepStrictEqual(
          statuses,
          taken.map(() => 200)
        )
        assert.deepStrictEqual(answers.map(HttpAnswer.text), taken)
        assert.isTrue(saysClose(answers.at(-1)!))
        assert.strictEqual(ending, "closed")
      })
    )
  }

  const fieldsOf = HttpServer.serve(
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      yield* request.arrayBuffer
      return HttpServerResponse.jsonUnsafe({ url: request.url, ...request.headers })
    })
  )

  // RFC 9112 section 3.2.2.
  it.live("the authority of an absolute target for the Host, whatever Host says", () =>
    Effect.gen(function* () {
      const server = yield* start(fieldsOf)
      const { answers } = yield* exchange(server, last("GET http://b:81/c?d HTTP/1.1"))
      const seen = JSON.parse(HttpAnswer.text(answers[0]!)) as Record<string, string>
      assert.deepStrictEqual([seen["url"], seen["host"]], ["/c?d", "b:81"])
    })
  )

  // RFC 9110 section 6.5.1: framing, routing and the like must not come from trailers.
  it.live("no trailer for a field", () =>
    Effect.gen(function* () {
      const server = yield* start(fieldsOf)
      const trailers =
        "Host: b\r\nConnection: keep-alive\r\nAuthorization: x\r\nContent-Type: text/b\r\nExpect: 100-continue\r\n"
      const { answers, statuses } = yield* exchange(server, chunked(`0\r\n${trailers}\r\n`))
      assert.deepStrictEqual(statuses, [200])
      const seen = JSON.parse(HttpAnswer.text(answers[0]!)) as Record<string, string>
      assert.deepStrictEqual(
        [seen["host"], seen["connection"], seen["authorization"], seen["content-type"], seen["expect"]],
        ["a", "close", undefined, undefined, undefined]
      )
    })
  )

  for (const trailer of ["Content-Length: 7", "Transfer-Encoding: gzip"]) {
    // The same section: to refuse the request is as good.
    it.live(`no trailer for the framing: ${trailer}`, () =>
      Effect.gen(function* () {
        const { app, handled } = makeEcho()
        const bytes = `${chunked(`2\r\nab\r\n0\r\n${trailer}\r\n\r\n`)}smuggled`
        const { answers, statuses } = yield* exchange(yield* start(app), bytes)
        assert.strictEqual(answers.length, 1)
        if (statuses[0] === 200) assert.strictEqual(HttpAnswer.text(answers[0]!), "POST /\nab")
        else assert.strictEqual(statuses[0], 400)
        assert.isAtMost(handled.length, 1)
      })
    )
  }

  for (const [name, first, taken] of [
    ["no body", "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "GET /1\n"],
    [
      "a body",
      "POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
      "POST /1\nab"
    ]
  ] as const) {
    // RFC 9110 section 7.8. The server may end the connection with that answer, but not lose a request.
    it.live(`a request with ${name} whose upgrade it ignores, and answers the one behind it or closes`, () =>
      Effect.gen(function* () {
        const { app } = makeEcho()
        const { answers } = yield* exchange(yield* start(app), first + last("GET /2 HTTP/1.1"))
        const expected = saysClose(answers[0]!) ? [taken] : [taken, "GET /2\n"]
        assert.deepStrictEqual(answers.map(HttpAnswer.text), expected)
      })
    )
  }

  // RFC 9110 section 5.3.
  it.live("fields of one name for a list", () =>
    Effect.gen(function* () {
      const { answers } = yield* exchange(yield* start(fieldsOf), last("GET / HTTP/1.1", "X: a", "x: b"))
      assert.strictEqual((JSON.parse(HttpAnswer.text(answers[0]!)) as Record<string, string>)["x"], "a, b")
    })
  )

  // Node drops what is over 2,000 unless told otherwise: a field that was dropped may be the one that matters.
  it.live("every field of many", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 2500 }, () => "x:")
      const server = yield* start(fieldsOf, { maxHeaders: 3000 })
      const { answers } = yield* exchange(server, last("GET / HTTP/1.1", ...many, "y: z"))
      assert.strictEqual((JSON.parse(HttpAnswer.text(answers[0]!)) as Record<string, string>)["y"], "z")
    })
  )
})
