import { JsonBody } from "@spillway/http"
import { RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
import { get, json, router, soon, start, until } from "./fixture.ts"

const Event = Schema.Struct({ name: Schema.String, value: Schema.Finite })
const reply = (value: unknown) => HttpServerResponse.jsonUnsafe(value)

const app = router(
  Layer.mergeAll(
    HttpRouter.add("POST", "/event", Effect.map(JsonBody.decode(Event), reply)),
    HttpRouter.add("POST", "/events", Effect.map(JsonBody.decode(Schema.Array(Event)), reply)),
    HttpRouter.add(
      "POST",
      "/any",
      Effect.map(JsonBody.decode(Schema.Unknown), () => reply("taken"))
    ),
    HttpRouter.add("POST", "/lines", Effect.map(JsonBody.lines(Event, { maxLines: 3 }), reply)),
    HttpRouter.add("POST", "/small", Effect.map(JsonBody.decode(Schema.Unknown, { maxSize: 10 }), reply)),
    HttpRouter.add(
      "POST",
      "/bytes",
      Effect.map(
        JsonBody.bytes({
          mediaTypes: ["application/json", "application/x-protobuf"],
          encodings: ["gzip"],
          maxSize: 100
        }),
        ({ bytes, encoding, mediaType }) => reply({ length: bytes.length, encoding, mediaType })
      )
    ),
    HttpRouter.add("POST", "/quick", Effect.map(JsonBody.decode(Schema.Unknown, { timeout: 50 }), reply))
  )
)

const post = (contentType: string | undefined, body: string | Uint8Array<ArrayBuffer>): RequestInit => ({
  method: "POST",
  headers: contentType === undefined ? {} : { "content-type": contentType },
  // A string body would make fetch add a content type.
  body: typeof body === "string" ? new TextEncoder().encode(body) : body
})

const encoded = (encoding: string): RequestInit => ({
  ...json(good),
  headers: { "content-type": "application/json", "content-encoding": encoding }
})

const good = JSON.stringify({ name: "a", value: 1 })

describe("JsonBody", () => {
  describe("decode", () => {
    const refusals: ReadonlyArray<readonly [string, string, RequestInit, number, object]> = [
      ["no content type", "/event", post(undefined, good), 415, {}],
      ["another media type", "/event", post("text/plain", good), 415, { detail: "send the body as application/json" }],
      ["another charset", "/event", post("application/json; charset=latin1", good), 415, {}],
      ["a content encoding", "/event", encoded("gzip"), 415, { detail: "send the body without a content encoding" }],
      ["one encoding of two", "/event", encoded("identity, br"), 415, {}],
      ["no body", "/event", { method: "POST" }, 400, { detail: "the body is empty; send JSON" }],
      ["an empty body", "/event", post("application/json", ""), 400, { detail: "the body is empty; send JSON" }],
      ["no JSON", "/event", json('{"name": oops}'), 400, {}],
      ["invalid UTF-8", "/event", post("application/json", new Uint8Array([0x22, 0xff, 0x22])), 400, {}],
      ["a byte order mark", "/any", post("application/json", "\uFEFF1"), 400, {}],
      ["very deep nesting", "/any", json("[".repeat(400_000)), 400, {}],
      [
        "another shape",
        "/event",
        json({ name: "a", value: "b" }),
        422,
        { errors: [{ path: "/value", message: "Expected number" }] }
      ],
      [
        "another shape in an array",
        "/events",
        json([
          { name: "a", value: 1 },
          { name: 1, value: 1 }
        ]),
        422,
        { errors: [{ path: "/1/name", message: "Expected string" }] }
      ],
      [
        "more than the server allows",
        "/any",
        json(`"${"x".repeat(2 ** 20)}"`),
        413,
        { detail: `send at most ${2 ** 20} bytes` }
      ],
      ["more than the route allows", "/small", json("[1,2,3,4,5,6]"), 413, { detail: "send at most 10 bytes" }]
    ]
    for (const [name, path, init, status, members] of refusals) {
      it.live(`answers ${status} to ${name}`, () =>
        Effect.gen(function* () {
          const server = yield* start(app)
          const answer = yield* get(server.url(path), init)
          assert.strictEqual(answer.status, status, answer.body)
          assert.deepInclude(JSON.parse(answer.body), { status, ...members })
          assert.notInclude(answer.body, "    at ")
        })
      )
    }

    for (const contentType of ["application/json", "application/vnd.api+json", 'Application/JSON; Charset="UTF-8"']) {
      it.live(`takes ${contentType}`, () =>
        Effect.gen(function* () {
          const server = yield* start(app)
          const answer = yield* get(server.url("/event"), post(contentType, good))
          assert.deepStrictEqual([answer.status, answer.body], [200, good])
        })
      )
    }

    it.live("names the encoding that it takes, and takes it", () =>
      Effect.gen(function* () {
        const server = yield* start(app)
        const refused = yield* get(server.url("/event"), encoded("gzip"))
        assert.strictEqual(refused.headers.get("accept-encoding"), "identity")
        assert.strictEqual((yield* get(server.url("/event"), encoded("Identity"))).status, 200)
      })
    )

    describe("maxBufferedBodies", () => {
      const head = "POST /any HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
      const stalled = head + "[1,".padEnd(500)

      // How the stalled bodies end: each must give back what it holds.
      const endings: ReadonlyArray<readonly [string, (client: RawClient.Connection) => Effect.Effect<unknown>]> = [
        ["their clients are gone", (client) => client.reset],
        ["they are whole", (client) => Effect.andThen(client.write("2]".padEnd(500)), client.receivedUntil("200 OK"))],
        ["they took too long", (client) => client.receivedUntil("HTTP/1.1 408")]
      ]
      for (const [name, end] of endings) {
        it.live(`answers 503 to a body that would exceed it, until ${name}`, () =>
          Effect.gen(function* () {
            const server = yield* start(app, { maxBufferedBodies: 1000, bodyTimeout: 1500 })
            const first = [yield* RawClient.connect(server), yield* RawClient.connect(server)]
            for (const client of first) yield* client.write(stalled)
            // Both are waited for: they hold no permit any more.
            yield* Effect.sleep(200)

            const { ending, received } = yield* RawClient.exchange(server, stalled, { timeoutMillis: 1000 })
            assert.strictEqual(received.slice(0, 12), "HTTP/1.1 503")
            assert.match(received, /^retry-after: [1-3]\r$/im)
            assert.include(received.toLowerCase(), "connection: close\r\n")
            assert.strictEqual(ending, "closed")
            // A body that need not be waited for is not in the way.
            assert.strictEqual((yield* get(server.url("/any"), json("[1]"))).status, 200)

            for (const client of first) yield* soon(end(client))
            yield* until(server, ({ connections }) => connections.body === 0)
            // The whole budget is there again: a body of all of it but one byte, which is then waited for.
            const last = yield* RawClient.connect(server)
            yield* last.write(head + "[1".padEnd(999))
            yield* Effect.sleep(100)
            yield* last.write("]")
            assert.include(yield* soon(last.receivedUntil("taken")), "200 OK")
          })
        )
      }

      it.live("counts what comes after the wait began", () =>
        Effect.gen(function* () {
          const server = yield* start(app, { maxBufferedBodies: 600 })
          const client = yield* RawClient.connect(server)
          yield* client.write(stalled)
          yield* Effect.sleep(100)
          yield* client.write(" ".repeat(101))
          yield* soon(client.receivedUntil("HTTP/1.1 503"))
        })
      )

      it.live("gives back what an interrupted read held", () =>
        Effect.gen(function* () {
          const server = yield* start(app, { maxBufferedBodies: 500, requestDeadline: 300 })
          const quick = yield* RawClient.connect(server)
          yield* quick.write(stalled)
          yield* soon(quick.receivedUntil("HTTP/1.1 504"))
          const next = yield* RawClient.connect(server)
          yield* next.write(stalled)
          yield* soon(next.receivedUntil("HTTP/1.1 504"))
        })
      )
    })

    it.live("refuses a body that is too large before it is sent, when Content-Length says so", () =>
      Effect.gen(function* () {
        const server = yield* start(app)
        const head =
          "POST /small HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        const { ending, received } = yield* RawClient.exchange(server, head, { timeoutMillis: 5000 })
        assert.strictEqual(received.slice(0, 12), "HTTP/1.1 413")
        assert.strictEqual(ending, "closed")
      })
    )

    it.live("refuses a chunked body once it is too large", () =>
      Effect.gen(function* () {
        const server = yield* start(app)
        const chunk = "a\r\n1234567890\r\n"
        const head =
          "POST /small HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        const client = yield* RawClient.connect(server)
        yield* client.write(head + chunk + chunk)
        yield* soon(client.receivedUntil("HTTP/1.1 413"))
      })
    )

    for (const [path, options] of [
      ["/any", { bodyTimeout: 1000 }],
      ["/quick", {}]
    ] as const) {
      it.live(`answers 408 and closes when the body does not come in time: ${path}`, () =>
        Effect.gen(function* () {
          const server = yield* start(app, options)
          // A small body is waited for before the handler, and with it the time of the route, begins.
          const length =
            path === "/any" ? "Content-Length: 10\r\n\r\n[1" : "Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n"
          const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${length}`
          const { ending, received } = yield* RawClient.exchange(server, head, { timeoutMillis: 5000 })
          assert.strictEqual(received.slice(0, 12), "HTTP/1.1 408")
          assert.include(received.toLowerCase(), "connection: close")
          assert.strictEqual(ending, "closed")
        })
      )
    }

    it.effect("works on a server that is not ours", () =>
      Effect.gen(function* () {
        const handler = HttpEffect.toWebHandler(Effect.map(JsonBody.decode(Event), reply))
        const response = yield* Effect.promise(() => handler(new Request("http://a/", json({ name: "a", value: 1 }))))
        assert.deepStrictEqual([response.status, yield* Effect.promise(() => response.text())], [200, good])
      })
    )
  })

  describe("lines", () => {
    const lines = (body: string) => post("application/x-ndjson", body)

    it.live("decodes each line and ignores empty ones", () =>
      Effect.gen(function* () {
        const server = yield* start(app)
        const answer = yield* get(server.url("/lines"), lines(`${good}\n\r\n\n${good}\r\n`))
        assert.deepStrictEqual([answer.status, answer.body], [200, `[${good},${good}]`])
      })
    )

    const refusals: ReadonlyArray<readonly [string, RequestInit, number, object]> = [
      ["another media type", json(good), 415, { detail: "send the body as application/x-ndjson" }],
      ["no line", lines("\n\n"), 400, {}],
      ["a line that is no JSON", lines(`${good}\n\noops`), 400, { line: 3 }],
      [
        "a line of another shape",
        lines(`${good}\n{"name":"a"}`),
        422,
        { errors: [{ path: "/1/value", message: "Missing key" }] }
      ],
      ["too many lines", lines(`${good}\n`.repeat(4)), 413, { detail: "send at most 3 lines" }]
    ]
    for (const [name, init, status, members] of refusals) {
      it.live(`answers ${status} to ${name}`, () =>
        Effect.gen(function* () {
          const server = yield* start(app)
          const answer = yield* get(server.url("/lines"), init)
          assert.strictEqual(answer.status, status, answer.body)
          assert.deepInclude(JSON.parse(answer.body), { status, ...members })
        })
      )
    }
  })

  describe("bytes", () => {
    const send = (headers: Readonly<Record<string, string>>, body = good): RequestInit => ({
      method: "POST",
      headers,
      body: new TextEncoder().encode(body)
    })
    const json = { "content-type": "application/json" }

    it.live("gives the bytes as they were sent, their media type and their encoding", () =>
      Effect.gen(function* () {
        const server = yield* start(app)
        const protobuf = { "content-type": "Application/X-Protobuf; a=b" }
        for (const [init, expected] of [
          [send(json), { length: good.length, encoding: "identity", mediaType: "application/json" }],
          [
            send({ ...protobuf, "content-encoding": "identity, GZIP" }, "zip"),
            { length: 3, encoding: "gzip", mediaType: "application/x-protobuf" }
          ],
          [send(protobuf, ""), { length: 0, encoding: "identity", mediaType: "application/x-protobuf" }]
        ] as const) {
          const answer = yield* get(server.url("/bytes"), init)
          assert.deepStrictEqual([answer.status, JSON.parse(answer.body)], [200, expected])
        }
      })
    )

    const refusals: ReadonlyArray<readonly [string, RequestInit, number, string]> = [
      ["no media type", send({}), 415, "send the body as application/json, application/x-protobuf"],
      ["another media type", send({ "content-type": "application/json2" }), 415, "send the body as"],
      ["another charset", send({ "content-type": "application/json; charset=latin1" }), 415, "send the body as"],
      ["another encoding", send({ ...json, "content-encoding": "br" }), 415, "send the body encoded as identity, gzip"],
      ["two encodings", send({ ...json, "content-encoding": "gzip, gzip" }), 415, "send the body encoded as"],
      ["more than it allows", send(json, "x".repeat(101)), 413, "send at most 100 bytes"]
    ]
    for (const [name, init, status, detail] of refusals) {
      it.live(`answers ${status} to ${name}`, () =>
        Effect.gen(function* () {
          const server = yield* start(app)
          const answer = yield* get(server.url("/bytes"), init)
          assert.strictEqual(answer.status, status, answer.body)
          assert.include(JSON.parse(answer.body).detail, detail)
          const encodings = detail.includes("encoded") ? "identity, gzip" : null
          assert.strictEqual(answer.headers.get("accept-encoding"), encodings)
        })
      )
    }
  })
})
