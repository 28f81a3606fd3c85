/** What a response looks like on the wire: bodies that must not be there, HTTP/1.0, methods. */
import { HttpAnswer } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { MethodNotAllowed } from "@spillway/http"
import { router, start } from "../fixture.ts"
import { answering, exchange, problemStatus, saysClose } from "./wire.ts"

const request = (method: string, path: string, version = "1.1", ...fields: ReadonlyArray<string>): string =>
  [`${method} ${path} HTTP/${version}`, "Host: a", ...fields, "", ""].join("\r\n")
const last = (method: string, path: string, version = "1.1"): string =>
  request(method, path, version, "Connection: close")

const streamed = HttpServerResponse.stream(
  Stream.make(new TextEncoder().encode("one"), new TextEncoder().encode("two"))
)

const resources = router(
  Layer.mergeAll(
    HttpRouter.add("GET", "/text", HttpServerResponse.text("hello", { headers: { "x-a": "b" } })),
    HttpRouter.add("GET", "/stream", streamed),
    HttpRouter.add("GET", "/empty", HttpServerResponse.empty()),
    HttpRouter.add("GET", "/not-modified", HttpServerResponse.empty({ status: 304, headers: { etag: '"a"' } })),
    HttpRouter.add("GET", "/bad-empty", HttpServerResponse.text("must not be sent", { status: 204 })),
    HttpRouter.add("GET", "/bad-not-modified", HttpServerResponse.text("must not be sent", { status: 304 }))
  )
)

/** The fields but for those that say when, or how the body is framed: HEAD may leave the latter out. */
const lasting = ({ headers }: HttpAnswer.Answer): Record<string, string> => {
  const { "content-length": _, date: __, "transfer-encoding": ___, ...rest } = headers
  return rest
}

describe("Server's responses", () => {
  for (const path of ["/text", "/stream", "/missing"]) {
    // RFC 9110 section 9.3.2: no content, and the fields of GET but for those that need the content to be known.
    it.live(`to HEAD have no body and the fields of GET: ${path}`, () =>
      Effect.gen(function* () {
        const server = yield* start(resources)
        const bytes = request("GET", path) + request("HEAD", path) + last("GET", "/text")
        const { answers } = yield* exchange(server, bytes, { methods: ["GET", "HEAD", "GET"] })
        assert.strictEqual(answers.length, 3)
        const [get, head] = answers as [HttpAnswer.Answer, HttpAnswer.Answer]
        assert.strictEqual(head.status, get.status)
        assert.deepStrictEqual(lasting(head), lasting(get))
        // What it says of the length is true.
        const length = head.headers["content-length"]
        if (length !== undefined) assert.strictEqual(length, get.headers["content-length"])
        assert.strictEqual(HttpAnswer.text(answers[2]!), "hello")
      })
    )
  }

  for (const [path, status] of [
    ["/empty", 204],
    ["/not-modified", 304],
    ["/bad-empty", 204],
    ["/bad-not-modified", 304]
  ] as const) {
    // RFC 9110 sections 15.3.5 and 15.4.5, RFC 9112 section 6.3; RFC 9110 section 8.6: no Content-Length in a 204.
    it.live(`of ${status} have no body, whatever the handler says: ${path}`, () =>
      Effect.gen(function* () {
        const server = yield* start(resources)
        const { answers, statuses } = yield* exchange(server, request("GET", path) + last("GET", "/text"))
        assert.deepStrictEqual(statuses, [status, 200])
        assert.strictEqual(answers[0]!.headers["transfer-encoding"], undefined)
        if (status === 204) assert.strictEqual(answers[0]!.headers["content-length"], undefined)
        assert.strictEqual(HttpAnswer.text(answers[1]!), "hello")
      })
    )
  }

  // RFC 9110 section 6.6.1.
  it.live("have a Date", () =>
    Effect.gen(function* () {
      const server = yield* start(resources)
      for (const bytes of [last("GET", "/text"), last("GET", "/missing")]) {
        const { answers } = yield* exchange(server, bytes)
        assert.match(answers[0]!.headers["date"]!, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
      }
    })
  )

  describe("to HTTP/1.0", () => {
    // RFC 9112 section 6.1: no Transfer-Encoding to a client of HTTP/1.0.
    it.live("are not chunked, and end with the connection", () =>
      Effect.gen(function* () {
        const { answers, ending } = yield* exchange(yield* start(resources), request("GET", "/stream", "1.0"))
        const answer = answers[0]!
        assert.deepStrictEqual([HttpAnswer.text(answer), answer.framing, ending], ["onetwo", "close", "closed"])
      })
    )

    // RFC 9112 section 9.3.
    it.live("end the connection unless it asks to keep it", () =>
      Effect.gen(function* () {
        const { answers, ending } = yield* exchange(yield* start(resources), request("GET", "/text", "1.0"))
        assert.isTrue(saysClose(answers[0]!))
        assert.strictEqual(ending, "closed")
      })
    )

    it.live("keep the connection when it asks so and the length is known", () =>
      Effect.gen(function* () {
        const bytes = request("GET", "/text", "1.0", "Connection: keep-alive") + request("GET", "/text", "1.0")
        const { answers, statuses } = yield* exchange(yield* start(resources), bytes)
        assert.deepStrictEqual(statuses, [200, 200])
        assert.strictEqual(answers[0]!.headers["connection"]?.toLowerCase(), "keep-alive")
      })
    )

    it.live("end the connection when the length is not known, though it asks to keep it", () =>
      Effect.gen(function* () {
        const bytes = request("GET", "/stream", "1.0", "Connection: keep-alive")
        const { answers, ending } = yield* exchange(yield* start(resources), bytes)
        assert.deepStrictEqual([HttpAnswer.text(answers[0]!), ending], ["onetwo", "closed"])
        assert.isFalse(answers[0]!.headers["connection"]?.toLowerCase() === "keep-alive")
      })
    )
  })

  it.live("end the connection after `Connection: close`, and answer nothing behind it (RFC 9112 9.6)", () =>
    Effect.gen(function* () {
      const { ending, statuses } = yield* exchange(
        yield* start(resources),
        last("GET", "/text") + request("GET", "/text")
      )
      assert.deepStrictEqual([statuses, ending], [[200], "closed"])
    })
  )

  it.live("end the connection when close is one of several options (RFC 9110 7.6.1)", () =>
    Effect.gen(function* () {
      const bytes = request("GET", "/text", "1.1", "Connection: x-a , CLOSE")
      const { answers, ending } = yield* exchange(yield* start(resources), bytes)
      assert.deepStrictEqual([saysClose(answers[0]!), ending], [true, "closed"])
    })
  )

  it.live("to an asterisk-form OPTIONS are the app's (RFC 9110 9.3.7)", () =>
    Effect.gen(function* () {
      const app = HttpServer.serve(
        Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) =>
          HttpServerResponse.text(`${method} ${url}`)
        )
      )
      const { answers } = yield* exchange(yield* start(app), last("OPTIONS", "*"))
      assert.strictEqual(HttpAnswer.text(answers[0]!), "OPTIONS *")
    })
  )

  it.live("to TRACE do not repeat the request unless a route does (RFC 9110 9.3.8)", () =>
    Effect.gen(function* () {
      const bytes = request("TRACE", "/text", "1.1", "Connection: close", "Cookie: secret=1")
      const { answers, statuses } = yield* exchange(yield* start(resources), bytes)
      assert.include([404, 405, 501], statuses[0])
      assert.notInclude(HttpAnswer.text(answers[0]!), "secret")
    })
  )

  it.live("to a method that the path does not allow name those that it does (RFC 9110 15.5.6)", () =>
    Effect.gen(function* () {
      const routes = [HttpRouter.route("GET", "/text", HttpServerResponse.text("hello"))]
      const server = yield* start(router(HttpRouter.addAll([...routes, ...MethodNotAllowed.routes(routes)])))
      const { answers } = yield* exchange(server, last("DELETE", "/text"))
      assert.deepStrictEqual([problemStatus(answers[0]!), answers[0]!.headers["allow"]], [405, "GET, HEAD, OPTIONS"])
    })
  )

  // RFC 9112 section 11.1, RFC 9110 section 5.5.
  it.live("are a 500 instead when a field that the handler gives would split them", () =>
    Effect.gen(function* () {
      const response = HttpServerResponse.text("a", { headers: { "x-a": "b\r\nx-injected: c" } })
      const { answers, statuses } = yield* exchange(yield* start(answering(response)), last("GET", "/"))
      assert.deepStrictEqual(statuses, [500])
      assert.isFalse("x-injected" in answers[0]!.headers)
    })
  )
})
