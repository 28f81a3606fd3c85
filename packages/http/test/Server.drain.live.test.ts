import { HealthRoutes } from "@spillway/http"
import { RawClient, SilentClient, SlowReader } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Latch, Layer, Ref, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { Agent, request } from "node:http"
import { createHash } from "node:crypto"
import { get, getRequest, handshake, router, soon, start, until } from "./fixture.ts"

const ok = HttpServerResponse.text("ok")

const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* Clock.monotonicTimeNanos
    yield* self
    return Number((yield* Clock.monotonicTimeNanos) - before) / 1e6
  })

/** Waits until the listener is closed. */
const untilRefused = (server: RawClient.Target) =>
  soon(
    Effect.repeat(Effect.exit(Effect.scoped(RawClient.connect(server))), { until: (exit) => exit._tag === "Failure" })
  )

describe("Server, draining", () => {
  it.live("sends a response of 64 MB that was ended just before to a slow reader whole", () =>
    Effect.gen(function* () {
      const body = new Uint8Array(64_000_000).map((_, i) => i * 31)
      const ended = yield* Deferred.make<void>()
      const server = yield* start(
        HttpServer.serve(Effect.as(Deferred.succeed(ended, undefined), HttpServerResponse.uint8Array(body))),
        { drainTimeout: "20 seconds" }
      )
      const reader = yield* SlowReader.request(server, getRequest("/"))
      yield* soon(Deferred.await(ended))
      yield* until(server, (stats) => stats.connections.writing === 1)
      const stopping = yield* Effect.forkChild(server.stop)
      const download = yield* soon(reader.readAll)
      assert.deepStrictEqual(
        { bytes: download.bytes, sha256: download.sha256 },
        { bytes: body.length, sha256: createHash("sha256").update(body).digest("hex") }
      )
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("exits within its bound with 100 idle, 100 half-head and 100 half-body connections", () =>
    Effect.gen(function* () {
      const server = yield* start(
        HttpServer.serve(Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.as(request.text, ok))),
        // A hundred at once, on a machine that has no time: the door would shed some.
        { drainTimeout: 500, queueTarget: Infinity }
      )
      const idle = yield* SilentClient.connect(server, 100, getRequest("/"))
      yield* Effect.forEach(idle, (client) => soon(client.receivedUntil("ok")))
      yield* SilentClient.connect(server, 100, "GET / HTTP/1.1\r\nHost")
      yield* SilentClient.connect(server, 100)
      yield* SilentClient.connect(server, 100, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
      yield* until(server, ({ connections }) => connections.head === 100 && connections.body === 100)
      const millis = yield* timed(server.stop)
      assert.isTrue(millis < 500 + 1000 + 1000, `took ${millis} ms`)
      assert.strictEqual((yield* server.stats).running, 0)
    })
  )

  it.live("closes idle connections soon, and does not wait for drainTimeout when nothing is in flight", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), { drainTimeout: "1 minute" })
      const [idle] = yield* SilentClient.connect(server, 1, getRequest("/"))
      yield* soon(idle!.receivedUntil("ok"))
      yield* SilentClient.connect(server, 1)
      yield* SilentClient.connect(server, 1, "GET")
      const millis = yield* timed(soon(server.stop))
      assert.isTrue(millis >= 200 && millis < 5000, `took ${millis} ms`)
      assert.strictEqual(yield* idle!.ended, "closed")
    })
  )

  it.live("finishes what is in flight and what waits at the door, and says Connection: close", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* start(HttpServer.serve(Effect.as(release.await, ok)), {
        maxConcurrent: 1,
        maxQueueWait: "1 minute",
        drainTimeout: "10 seconds"
      })
      const clients = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], () => get(server.url("/")), { concurrency: 3 }),
        { startImmediately: true }
      )
      yield* until(server, (stats) => stats.running === 1 && stats.queued === 2)
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      yield* untilRefused(server)
      yield* release.open
      const answers = yield* soon(Fiber.join(clients))
      assert.deepStrictEqual(
        answers.map(({ headers, status }) => [status, headers.get("connection")]),
        [1, 2, 3].map(() => [200, "close"])
      )
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("still answers a request that was on its way to an idle connection, however long that takes", () =>
    Effect.gen(function* () {
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        Effect.as(Effect.sleep(url === "/slow" ? 500 : 0), ok)
      )
      const server = yield* start(HttpServer.serve(handler), { drainTimeout: "10 seconds" })
      const [client] = yield* SilentClient.connect(server, 1, getRequest("/"))
      yield* soon(client!.receivedUntil("ok"))
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      yield* Effect.sleep(20)
      yield* client!.write(getRequest("/slow"))
      yield* soon(client!.ended)
      const received = yield* client!.received
      assert.strictEqual(received.split("HTTP/1.1 200").length, 3)
      assert.include(received, "Connection: close")
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("does not process a request behind a response that has said Connection: close", () =>
    Effect.gen(function* () {
      const begin = Latch.makeUnsafe(false)
      const release = Latch.makeUnsafe(false)
      const handled: Array<string> = []
      const parts = Stream.concat(Stream.make("begun "), Stream.fromEffect(Effect.as(release.await, "ended")))
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) => {
        handled.push(url)
        return Effect.as(begin.await, HttpServerResponse.stream(Stream.encodeText(parts)))
      })
      const server = yield* start(HttpServer.serve(handler), { drainTimeout: "10 seconds" })
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/1"))
      yield* until(server, (stats) => stats.running === 1)
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      yield* untilRefused(server)
      yield* begin.open
      assert.include(yield* soon(client.receivedUntil("begun")), "Connection: close")
      yield* client.write(getRequest("/2"))
      yield* soon(
        Effect.repeat(
          Effect.tap(server.connections, () => Effect.sleep(2)),
          { until: (all) => all.some(({ bytesReceived }) => bytesReceived === 2 * getRequest("/1").length) }
        )
      )
      yield* release.open
      yield* soon(client.ended)
      assert.deepStrictEqual(handled, ["/1"])
      assert.include(yield* client.received, "ended")
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("answers all requests that a client has pipelined", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* start(HttpServer.serve(Effect.as(release.await, ok)), { drainTimeout: "10 seconds" })
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/") + getRequest("/"))
      yield* until(server, (stats) => stats.running === 1 && stats.pipelined === 1)
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      yield* client.write(getRequest("/"))
      yield* until(server, (stats) => stats.pipelined === 2)
      yield* release.open
      yield* soon(client.ended)
      assert.strictEqual((yield* client.received).match(/HTTP\/1.1 200/g)?.length, 3)
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("finishes a WebSocket handshake that is pending", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* start(HttpServer.serve(Effect.as(release.await, ok)), { drainTimeout: "10 seconds" })
      const client = yield* RawClient.connect(server)
      yield* client.write(handshake("/"))
      yield* until(server, (stats) => stats.running === 1)
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      yield* Effect.sleep(300)
      yield* release.open
      yield* soon(client.ended)
      assert.include(yield* client.received, "HTTP/1.1 200")
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("turns readiness to 503 and goes on accepting for preStop", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(HealthRoutes.layerNoChecks, HttpRouter.add("GET", "/", ok))
      const server = yield* start(router(routes), { preStop: 500 })
      assert.strictEqual((yield* get(server.url("/readyz"))).status, 200)
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      yield* Effect.sleep(50)
      const close = { headers: { connection: "close" } }
      assert.deepStrictEqual(
        [(yield* get(server.url("/readyz"), close)).status, (yield* get(server.url("/livez"), close)).status],
        [503, 200]
      )
      // Who is told to close would connect again, to this very server, until its balancer has noticed.
      const answer = yield* get(server.url("/"))
      assert.deepStrictEqual([answer.status, answer.headers.get("connection")], [200, "keep-alive"])
      yield* soon(Fiber.join(stopping))
      assert.strictEqual((yield* Effect.exit(RawClient.connect(server)))._tag, "Failure")
    })
  )

  it.live("interrupts what is not done after drainTimeout and answers it 503", () =>
    Effect.gen(function* () {
      const interrupted = yield* Ref.make(false)
      const handler = Effect.onInterrupt(Effect.never, () => Ref.set(interrupted, true))
      const server = yield* start(HttpServer.serve(handler), { drainTimeout: 100 })
      const client = yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      const answer = yield* soon(Fiber.join(client))
      assert.deepStrictEqual(
        [answer.status, answer.headers.get("retry-after"), answer.headers.get("connection")],
        [503, "1", "close"]
      )
      assert.isTrue(yield* Ref.get(interrupted))
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("does not wait for a handler that can not be interrupted, nor for an endless stream", () =>
    Effect.gen(function* () {
      const endless = HttpServerResponse.stream(
        Stream.fromEffectRepeat(Effect.as(Effect.sleep(10), new Uint8Array(10)))
      )
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        url === "/stream" ? Effect.succeed(endless) : Effect.uninterruptible(Effect.as(Effect.sleep("8 seconds"), ok))
      )
      const server = yield* start(HttpServer.serve(handler), { drainTimeout: 100 })
      yield* SilentClient.connect(server, 1, getRequest("/stream"))
      yield* SilentClient.connect(server, 1, getRequest("/"))
      yield* until(server, ({ connections }) => connections.writing === 1 && connections.handling === 1)
      const millis = yield* timed(server.stop)
      assert.isTrue(millis < 3000, `took ${millis} ms`)
    })
  )

  it.live("interrupts the fibers of WebSockets and closes them with 1001", () =>
    Effect.gen(function* () {
      const handler = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const read = yield* Socket.readerString(yield* request.upgrade)
        yield* Effect.forever(read)
        return ok
      }).pipe(Effect.scoped, Effect.orDie)
      const server = yield* start(HttpServer.serve(handler), { drainTimeout: "1 minute" })
      const closed = yield* Deferred.make<number>()
      const opened = yield* Deferred.make<void>()
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`)
      socket.addEventListener("open", () => Deferred.doneUnsafe(opened, Effect.void))
      socket.addEventListener("close", (event) => Deferred.doneUnsafe(closed, Effect.succeed(event.code)))
      yield* soon(Deferred.await(opened))
      yield* until(server, ({ connections }) => connections.upgraded === 1)
      yield* soon(server.stop)
      assert.strictEqual(yield* soon(Deferred.await(closed)), 1001)
    })
  )

  it.live("loses nothing that it accepted under constant load", () =>
    Effect.gen(function* () {
      const handler = Effect.as(Effect.sleep(5), ok)
      // What a machine refuses that is too slow for 50 clients is not lost in a drain.
      const server = yield* start(HttpServer.serve(handler), { drainTimeout: "10 seconds", queueTarget: Infinity })
      const agent = new Agent({ keepAlive: true, maxSockets: 50 })
      // Each client sends its next request as soon as it has its answer. Only a refused connection, or a kept one that closed before
      // a byte of the answer and which node says was used before, is not a loss: those requests were not accepted.
      const one = Effect.callback<"answered" | "refused" | "lost">((resume) => {
        const outgoing = request({ port: server.port, host: "127.0.0.1", agent }, (response) => {
          let body = ""
          response.on("data", (chunk) => (body += chunk))
          response.on("end", () => resume(Effect.succeed(body === "ok" ? "answered" : "lost")))
          response.on("error", () => resume(Effect.succeed("lost")))
        })
        outgoing.on("error", (error: Error & { code?: string }) => {
          resume(Effect.succeed(error.code === "ECONNREFUSED" ? "refused" : "lost"))
        })
        outgoing.end()
      })
      const answered = Array.from({ length: 50 }, () => 0)
      const client = (n: number) =>
        Effect.gen(function* () {
          while (true) {
            const outcome = yield* one
            if (outcome !== "answered") return outcome
            answered[n]!++
          }
        })
      const clients = yield* Effect.forkChild(
        Effect.forEach(answered.keys(), (n) => client(n), { concurrency: 50 }),
        { startImmediately: true }
      )
      yield* soon(Effect.repeat(Effect.sleep(10), { until: () => answered.every((count) => count > 10) }))
      yield* soon(server.stop)
      const outcomes = yield* soon(Fiber.join(clients))
      agent.destroy()
      assert.deepStrictEqual(
        outcomes.filter((outcome) => outcome === "lost"),
        []
      )
    })
  )
})
