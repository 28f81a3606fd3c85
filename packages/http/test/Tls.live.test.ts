import { HttpMetrics, Server } from "@spillway/http"
import { SilentClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Metric, Scope } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { Agent, get as getByNode } from "node:https"
import { Agent as Undici, WebSocket } from "undici"
import { connect } from "node:tls"
import type { ConnectionOptions, TLSSocket } from "node:tls"
import { getRequest, soon, until } from "./fixture.ts"
import { ca, otherTls, startSecurely, tls } from "./tlsFixture.ts"
import { echo } from "./webSocketFixture.ts"

interface Client {
  readonly socket: TLSSocket
  readonly received: () => string
  readonly receivedUntil: (text: string) => Effect.Effect<string>
  readonly closed: Effect.Effect<"closed" | "reset">
}

// Taken by the socket, and missing in the declarations.
const halfOpen = { allowHalfOpen: true }

/** A connection by hand. Does not read while `paused`. */
const open = ({ port }: { readonly port: number }, options: ConnectionOptions & { readonly paused?: boolean } = {}) =>
  Effect.gen(function* () {
    const closed = Deferred.makeUnsafe<"closed" | "reset">()
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => connect(port, "127.0.0.1", { servername: "localhost", ca, ...halfOpen, ...options })),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let received = ""
    let wasReset = false
    if (options.paused !== true) socket.on("data", (chunk) => (received += chunk.toString("latin1")))
    socket.on("error", () => {
      wasReset = true
    })
    socket.on("end", () => socket.end())
    socket.on("close", () => void Deferred.doneUnsafe(closed, Effect.succeed(wasReset ? "reset" : "closed")))
    yield* soon(
      Effect.callback<void>((resume) => {
        socket.once("secureConnect", () => resume(Effect.void))
        socket.once("close", () => resume(Effect.void))
      })
    )
    const client: Client = {
      socket,
      received: () => received,
      receivedUntil: (text) =>
        soon(
          Effect.callback<string>((resume) => {
            const check = () => received.includes(text) && resume(Effect.succeed(received))
            socket.on("data", check)
            check()
            return Effect.sync(() => socket.off("data", check))
          })
        ),
      closed: soon(Deferred.await(closed))
    }
    return client
  })

const address = HttpServer.serve(
  Effect.map(HttpServerRequest.HttpServerRequest, (request) => HttpServerResponse.text(request.originalUrl))
)

const cutForTls = Effect.map(
  Metric.value(Metric.withAttributes(HttpMetrics.cutConnections, { reason: "Tls" })),
  ({ count }) => Number(count)
)

describe("Server, with TLS", () => {
  it.live("answers node:https over a connection that is kept, and says https", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(address)
      const agent = new Agent({ keepAlive: true, ca })
      yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
      const get = Effect.callback<readonly [string, boolean]>((resume) => {
        const request = getByNode(server.url("/a"), { agent }, (response) => {
          let body = ""
          response.on("data", (chunk: Buffer) => (body += chunk.toString()))
          response.on("end", () => resume(Effect.succeed([body, request.reusedSocket])))
        })
      })
      assert.deepStrictEqual(yield* soon(get), [server.url("/a"), false])
      yield* until(server, ({ connections }) => connections.idle === 1)
      assert.deepStrictEqual(yield* soon(get), [server.url("/a"), true])
    })
  )

  it.live("speaks TLS 1.2 and 1.3, and nothing older unless told", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(address)
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const client = yield* open(server, { minVersion: version, maxVersion: version })
        assert.strictEqual(client.socket.getProtocol(), version)
      }
      const ciphers = "DEFAULT:@SECLEVEL=0"
      const old = yield* open(server, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers })
      assert.strictEqual(yield* old.closed, "reset")
      const strict = yield* startSecurely(address, { tls: { ...tls, minVersion: "TLSv1.3" } })
      assert.strictEqual(yield* (yield* open(strict, { maxVersion: "TLSv1.2" })).closed, "reset")
    })
  )

  it.live(
    "counts connections that have not finished their handshake as new, and closes them after headersTimeout",
    () =>
      Effect.gen(function* () {
        const server = yield* startSecurely(address, { headersTimeout: "1 second" })
        const silent = yield* SilentClient.connect(server, 3)
        const half = yield* SilentClient.connect(server, 3, "\u0016\u0003\u0001\u0001")
        yield* until(server, ({ connections }) => connections.new === 6)
        for (const client of [...silent, ...half]) assert.notStrictEqual(yield* soon(client.ended), undefined)
        yield* until(server, ({ connections }) => connections.new === 0)
      })
  )

  it.live("survives what is not TLS, and counts it", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(address)
      const before = yield* cutForTls
      const clients = yield* SilentClient.connect(server, 20, getRequest("/"))
      for (const client of clients) yield* soon(client.ended)
      const client = yield* open(server)
      client.socket.write(getRequest("/"))
      yield* client.receivedUntil("200 OK")
      assert.strictEqual((yield* cutForTls) - before, 20)
    })
  )

  it.live("answers 408 to half a head, 400 to bytes that are none, and a client that has closed its side", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(address, { headersTimeout: "1 second" })
      const slow = yield* open(server)
      slow.socket.write("GET / HTTP/1.1\r\nHo")
      yield* until(server, ({ connections }) => connections.head === 1)
      const garbage = yield* open(server)
      garbage.socket.write("\0\0\0\r\n\r\n")
      yield* garbage.receivedUntil("400 Bad Request")
      const halfClosed = yield* open(server)
      halfClosed.socket.end(getRequest("/"))
      yield* halfClosed.receivedUntil("200 OK")
      yield* slow.receivedUntil("408 Request Timeout")
      for (const client of [slow, garbage, halfClosed]) assert.strictEqual(yield* client.closed, "closed")
    })
  )

  it.live("interrupts the handler of a client that goes", () =>
    Effect.gen(function* () {
      const gone = yield* Deferred.make<void>()
      const server = yield* startSecurely(
        HttpServer.serve(Effect.onInterrupt(Effect.never, () => Deferred.succeed(gone, undefined)))
      )
      const client = yield* open(server)
      client.socket.write(getRequest("/"))
      yield* until(server, ({ running }) => running === 1)
      client.socket.destroy()
      yield* soon(Deferred.await(gone))
    })
  )

  it.live("resets a client that does not read, and not one that does", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(
        HttpServer.serve(Effect.succeed(HttpServerResponse.uint8Array(new Uint8Array(16_000_000)))),
        { minResponseRate: 1000, rateGrace: "1 second" }
      )
      const silent = yield* open(server, { paused: true })
      silent.socket.write(getRequest("/"))
      yield* until(server, ({ connections }) => connections.writing === 1)
      const reader = yield* open(server)
      reader.socket.write(getRequest("/", "Connection: close\r\n"))
      assert.strictEqual(yield* reader.closed, "closed")
      assert.isTrue(reader.received().length > 16_000_000)
      yield* until(server, ({ connections }) => connections.writing === 0)
      silent.socket.resume()
      assert.strictEqual(yield* silent.closed, "reset")
    })
  )

  it.live(
    "closes idle connections when it drains, and sends a response of 64 MB that was ended just before whole",
    () =>
      Effect.gen(function* () {
        const body = new Uint8Array(64_000_000).map((_, i) => i * 31)
        const server = yield* startSecurely(HttpServer.serve(Effect.succeed(HttpServerResponse.uint8Array(body))), {
          drainTimeout: "20 seconds"
        })
        yield* open(server)
        const client = yield* open(server, { paused: true })
        client.socket.write(getRequest("/"))
        yield* until(server, ({ connections }) => connections.writing === 1)
        const stopping = yield* Effect.forkChild(server.stop)
        yield* until(server, ({ connections }) => connections.new === 0)
        const hash = createHash("sha256")
        let bytes = 0
        let head: number | undefined
        client.socket.on("data", (chunk: Buffer) => {
          const from = head === undefined ? (head = chunk.indexOf("\r\n\r\n") + 4) : 0
          bytes += chunk.length - from
          hash.update(chunk.subarray(from))
        })
        assert.strictEqual(yield* client.closed, "closed")
        assert.deepStrictEqual(
          [bytes, hash.digest("hex")],
          [body.length, createHash("sha256").update(body).digest("hex")]
        )
        yield* soon(Fiber.join(stopping))
      })
  )

  it.live("carries WebSockets, which a drain closes with 1001", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(HttpServer.serve(echo))
      const dispatcher = new Undici({ connect: { ca }, allowH2: true })
      const socket = new WebSocket(`wss://localhost:${server.port}/`, { dispatcher })
      const message = yield* soon(
        Effect.callback<unknown>((resume) => {
          socket.addEventListener("open", () => socket.send("hello"))
          socket.addEventListener("message", ({ data }) => resume(Effect.succeed(data)))
          socket.addEventListener("close", ({ code }) => resume(Effect.succeed(code)))
        })
      )
      assert.strictEqual(message, "hello")
      yield* until(server, ({ connections }) => connections.upgraded === 1)
      const closed = Effect.callback<number>(
        (resume) => void socket.addEventListener("close", ({ code }) => resume(Effect.succeed(code)))
      )
      const code = yield* Effect.forkChild(closed, { startImmediately: true })
      yield* soon(server.stop)
      assert.strictEqual(yield* soon(Fiber.join(code)), 1001)
      yield* Effect.promise(() => dispatcher.destroy())
    })
  )

  it.live(
    "gives new handshakes another certificate without a restart, and keeps the old one if that is not usable",
    () =>
      Effect.gen(function* () {
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        const layer = Layer.provideMerge(address, Server.layer({ port: 0, tls, drainTimeout: 100 }))
        const context = yield* Layer.buildWithScope(layer, scope)
        const status = Context.get(context, Server.ServerStatus)
        const listening = Context.get(context, HttpServer.HttpServer).address
        if (listening._tag !== "InetAddressV4") return assert.fail("no IPv4 address")
        const { port } = listening
        const organization = Effect.map(open({ port }, { rejectUnauthorized: false }), ({ socket }) =>
          String(socket.getPeerCertificate().subject.O)
        )
        assert.strictEqual(yield* organization, "Spillway test only")
        yield* status.renewTls(otherTls)
        assert.strictEqual(yield* organization, "Spillway test only, the second")
        const missing = yield* Effect.flip(status.renewTls({ ...tls, keyFile: "/nowhere/key.pem" }))
        assert.include(String(missing.cause), "tls.keyFile can not be read")
        const notPem = yield* Effect.flip(status.renewTls({ key: "x", cert: "y" }))
        assert.include(String(notPem.cause), "tls is not usable")
        assert.strictEqual(yield* organization, "Spillway test only, the second")
        yield* status.renewTls()
        assert.strictEqual(yield* organization, "Spillway test only")
      })
  )

  it.effect("does not start with files that can not be read, or are no certificate", () =>
    Effect.gen(function* () {
      const startWith = (wrong: typeof tls) =>
        Effect.flip(Effect.scoped(Layer.build(Server.layer({ port: 0, tls: wrong }))))
      assert.include(
        String((yield* startWith({ ...tls, certFile: "/nowhere/cert.pem" })).cause),
        "tls.certFile can not be read: ENOENT"
      )
      assert.include(String((yield* startWith({ ...tls, certFile: tls.keyFile! })).cause), "tls is not usable")
    })
  )
})
