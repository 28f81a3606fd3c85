import { HealthRoutes, JsonBody } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { execFile } from "node:child_process"
import * as Http2 from "node:http2"
import { promisify } from "node:util"
import { Agent, request as fetchWith } from "undici"
import { router, soon, until } from "./fixture.ts"
import { ca, certFile, connect, read, startSecurely } from "./tlsFixture.ts"

const ok = HttpServerResponse.text("ok")
const run = promisify(execFile)

const Item = Schema.Struct({ name: Schema.String })
const items = HttpRouter.add(
  "POST",
  "/items",
  Effect.map(JsonBody.decode(Item), ({ name }) => HttpServerResponse.text(name))
)
const about = HttpRouter.add(
  "GET",
  "/about",
  Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
    HttpServerResponse.jsonUnsafe({ url: request.originalUrl, host: request.headers.host })
  )
)
const app = router(Layer.mergeAll(items, about))
const json = { ":method": "POST", ":path": "/items", "content-type": "application/json" }

describe("Http2, requests", () => {
  it.live("answers node's client, undici and curl, which choose it in the handshake", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app)
      const session = yield* connect(server)
      const expected = { url: `${server.origin}/about`, host: `localhost:${server.port}` }
      const answer = yield* soon(session.request({ ":path": "/about" }))
      assert.deepStrictEqual([answer.status, answer.code, JSON.parse(answer.body)], [200, 0, expected])
      assert.strictEqual((yield* soon(session.request(json, `{"name":"x"}`))).body, "x")

      const agent = new Agent({ allowH2: true, connect: { ca } })
      const response = yield* Effect.promise(() => fetchWith(server.url("/about"), { dispatcher: agent }))
      assert.deepStrictEqual(yield* Effect.promise(() => response.body.json()), expected)
      yield* Effect.promise(() => agent.close())

      const { stdout } = yield* Effect.promise(() =>
        run("curl", ["-sS", "--cacert", certFile, "-w", " %{http_version} %{http_code}", server.url("/about")])
      )
      assert.strictEqual(stdout, `${JSON.stringify(expected)} 2 200`)
    })
  )

  it.live("is off with http2: false", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app, { http2: false })
      const { stdout } = yield* Effect.promise(() =>
        run("curl", [
          "-sS",
          "--http2",
          "--cacert",
          certFile,
          "-w",
          " %{http_version}",
          "-o",
          "/dev/null",
          server.url("/about")
        ])
      )
      assert.strictEqual(stdout, " 1.1")
    })
  )

  for (const [name, headers, status] of [
    ["a target that is too long", { ":path": `/${"x".repeat(9000)}` }, 414],
    ["too many fields", Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, "1"])), 431],
    ["fields that are too large", { "x-large": "x".repeat(17_000) }, 431],
    ["an authority that is none", { ":authority": "a:b" }, 400],
    ["a Host beside another authority", { ":authority": "a", host: "b" }, 400],
    ["an unknown scheme", { ":scheme": "ftp" }, 400],
    ["an expectation that can not be met", { expect: "more" }, 417]
  ] as const) {
    it.live(`answers ${status} to ${name}, and the connection lives on`, () =>
      Effect.gen(function* () {
        const server = yield* startSecurely(app)
        const session = yield* connect(server)
        const answer = yield* soon(session.request({ ":path": "/about", ...headers }))
        assert.deepStrictEqual([answer.status, answer.code], [status, 0])
        assert.strictEqual(JSON.parse(answer.body).status, status)
        assert.strictEqual((yield* soon(session.request({ ":path": "/about" }))).status, 200)
      })
    )
  }

  it.live("resets a stream whose fields are far too large", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app)
      const session = yield* connect(server)
      const answer = yield* soon(session.request({ ":path": "/about", "x-large": "x".repeat(40_000) }))
      assert.deepStrictEqual([answer.status, answer.code], [undefined, Http2.constants.NGHTTP2_ENHANCE_YOUR_CALM])
      assert.strictEqual((yield* soon(session.request({ ":path": "/about" }))).status, 200)
    })
  )

  it.live("answers 405 to a CONNECT", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app)
      const session = yield* connect(server)
      const answer = yield* soon(session.request({ ":method": "CONNECT", ":authority": "other:443" }))
      assert.strictEqual(answer.status, 405)
    })
  )

  it.live("sends 100 Continue when the body is read", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app)
      const session = yield* connect(server)
      const stream = session.raw.request({ ...json, expect: "100-continue" }, { endStream: false })
      const answer = yield* soon(
        Effect.callback<{ readonly body: string }>((resume) => {
          stream.on("continue", () => stream.end(`{"name":"later"}`))
          read(stream, (answer) => resume(Effect.succeed(answer)))
        })
      )
      assert.strictEqual(answer.body, "later")
    })
  )
})

describe("Http2, bodies", () => {
  it.live("answers 413 to a body that is too large by its length, and resets the stream without an error", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app, { maxBodySize: "10 bytes" })
      const session = yield* connect(server)
      const stream = session.raw.request({ ...json, "content-length": "2000000" }, { endStream: false })
      stream.write(Buffer.alloc(1_000_000))
      const answer = yield* soon(
        Effect.callback<unknown>((resume) =>
          read(stream, ({ code, status }) => resume(Effect.succeed({ code, status })))
        )
      )
      assert.deepStrictEqual(answer, { code: 0, status: 413 })
      assert.strictEqual((yield* soon(session.request({ ":path": "/about" }))).status, 200)
    })
  )

  it.live("answers 413 to a body that is too large without saying so", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app, { maxBodySize: "1 MiB" })
      const session = yield* connect(server)
      const stream = session.raw.request(json, { endStream: false })
      stream.write(Buffer.alloc(3_000_000, " "))
      const answer = yield* soon(
        Effect.callback<unknown>((resume) =>
          read(stream, ({ code, status }) => resume(Effect.succeed({ code, status })))
        )
      )
      assert.deepStrictEqual(answer, { code: 0, status: 413 })
    })
  )

  it.live("reads bodies of every size whole, in one packet or many", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app)
      const session = yield* connect(server)
      for (const size of [1, 1000, 16_384, 65_500, 65_536, 70_000, 500_000]) {
        const name = "n".repeat(size)
        const body = JSON.stringify({ name })
        const known = yield* soon(session.request({ ...json, "content-length": String(body.length) }, body))
        const unknown = yield* soon(session.request(json, body))
        assert.deepStrictEqual(
          [known.body.length, unknown.body.length, known.body === name],
          [size, size, true],
          `${size}`
        )
      }
    })
  )

  it.live("holds no permit while a small body arrives, nor while JsonBody waits for a large one", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app, { maxConcurrent: 8, maxQueued: 0 })
      const slow = yield* connect(server)
      const small = slow.raw.request({ ...json, "content-length": "12" }, { endStream: false })
      small.write(`{"nam`)
      const other = yield* connect(server)
      const large = other.raw.request({ ...json, "content-length": "100000" }, { endStream: false })
      large.write(`{"nam`)
      yield* until(server, ({ connections, running }) => connections.body === 2 && running === 0)
      const answers = yield* Effect.forkChild(
        soon(Effect.callback<string>((resume) => read(small, ({ body }) => resume(Effect.succeed(body)))))
      )
      small.end(`e":"a"}`)
      assert.strictEqual(yield* Fiber.join(answers), "a")
    })
  )

  it.live("answers 408 to a body that is too slow", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(app, { minBodyRate: 1000, rateGrace: "1 second" })
      const session = yield* connect(server)
      for (const length of ["12", "100000"]) {
        const stream = session.raw.request({ ...json, "content-length": length }, { endStream: false })
        stream.write(`{"nam`)
        const answer = yield* soon(
          Effect.callback<unknown>((resume) =>
            read(stream, ({ code, status }) => resume(Effect.succeed({ code, status })))
          )
        )
        assert.deepStrictEqual(answer, { code: 0, status: 408 })
      }
      assert.strictEqual((yield* soon(session.request({ ":path": "/about" }))).status, 200)
    })
  )
})

describe("Http2, the door", () => {
  const blocking = () => {
    const release = Latch.makeUnsafe(false)
    const routes = Layer.mergeAll(
      HttpRouter.add("GET", "/wait", Effect.as(release.await, ok)),
      about,
      HealthRoutes.layerNoChecks
    )
    return { release, app: router(routes) }
  }

  it.live("gives one connection an eighth of the permits, and the others theirs", () =>
    Effect.gen(function* () {
      const { app, release } = blocking()
      const server = yield* startSecurely(app, { maxConcurrent: 16, maxQueueWait: "10 seconds" })
      const greedy = yield* connect(server)
      const waiting = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 50 }, () => greedy.request({ ":path": "/wait" })),
          { concurrency: "unbounded" }
        )
      )
      yield* until(server, ({ pipelined, queued, running }) => running === 2 && queued === 0 && pipelined === 48)
      const other = yield* connect(server)
      assert.strictEqual((yield* soon(other.request({ ":path": "/about" }))).status, 200)
      yield* release.open
      const answers = yield* soon(Fiber.join(waiting))
      assert.isTrue(answers.every(({ body, status }) => status === 200 && body === "ok"))
    })
  )

  it.live("sheds with 503 and Retry-After, streams that waited too long too, and answers probes meanwhile", () =>
    Effect.gen(function* () {
      const { app, release } = blocking()
      const server = yield* startSecurely(app, { maxConcurrent: 1, maxQueued: 0, maxQueueWait: "500 millis" })
      const inside = yield* connect(server)
      const first = yield* Effect.forkChild(inside.request({ ":path": "/wait" }))
      yield* until(server, ({ running }) => running === 1)
      const other = yield* connect(server)
      const refused = yield* soon(other.request({ ":path": "/about" }))
      assert.deepStrictEqual(
        [refused.status, refused.code, Number(refused.headers["retry-after"]) >= 1],
        [503, 0, true]
      )
      assert.strictEqual(refused.headers["content-type"], "application/problem+json")
      assert.strictEqual((yield* soon(inside.request({ ":path": "/about" }))).status, 503)
      assert.strictEqual((yield* soon(inside.request({ ":path": "/readyz" }))).status, 200)
      yield* release.open
      assert.strictEqual((yield* soon(Fiber.join(first))).status, 200)
    })
  )

  it.live("answers 504 when the deadline passes", () =>
    Effect.gen(function* () {
      const { app } = blocking()
      const server = yield* startSecurely(app, { requestDeadline: "50 millis" })
      const session = yield* connect(server)
      assert.strictEqual((yield* soon(session.request({ ":path": "/wait" }))).status, 504)
    })
  )

  it.live("interrupts the handler when the client resets the stream, and when the connection goes", () =>
    Effect.gen(function* () {
      const interrupted = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let next = 0
      const server = yield* startSecurely(
        HttpServer.serve(
          Effect.suspend(() => {
            const mine = interrupted[next++]!
            return Effect.onInterrupt(Effect.never, () => Deferred.succeed(mine, undefined))
          })
        )
      )
      const session = yield* connect(server)
      const stream = session.raw.request({ ":path": "/" })
      stream.on("error", () => {})
      yield* until(server, ({ running }) => running === 1)
      stream.close(Http2.constants.NGHTTP2_CANCEL)
      yield* soon(Deferred.await(interrupted[0]!))
      yield* until(server, ({ running }) => running === 0)
      session.raw.request({ ":path": "/" }).on("error", () => {})
      yield* until(server, ({ running }) => running === 1)
      session.raw.destroy()
      yield* soon(Deferred.await(interrupted[1]!))
      yield* until(server, ({ connections, running }) => running === 0 && connections.handling === 0)
    })
  )
})
