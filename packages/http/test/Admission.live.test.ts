import { HealthRoutes, JsonBody } from "@spillway/http"
import { RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { get, getRequest, handshake, router, soon, start, until } from "./fixture.ts"

const ok = HttpServerResponse.text("ok")

/** On a machine that is busy with something else a request may wait long, and would rightly be refused. */
const patient = { maxQueueWait: "1 minute", queueTarget: Infinity } as const

describe("Admission, at the door of a server", () => {
  it.live("queues the second request and refuses the third with 503 and Retry-After", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* start(HttpServer.serve(Effect.as(release.await, ok)), {
        maxConcurrent: 1,
        maxQueued: 1,
        ...patient
      })
      const first = yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      const second = yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.queued === 1)
      const third = yield* soon(get(server.url("/")))
      assert.strictEqual(third.status, 503)
      assert.match(third.headers.get("retry-after")!, /^[1-3]$/)
      assert.strictEqual(JSON.parse(third.body).status, 503)
      yield* release.open
      assert.deepStrictEqual(
        [(yield* soon(Fiber.join(first))).status, (yield* soon(Fiber.join(second))).status],
        [200, 200]
      )
    })
  )

  it.live("refuses with 503 what has waited for maxQueueWait", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.never), { maxConcurrent: 1, maxQueueWait: 100 })
      yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      const answer = yield* soon(get(server.url("/")))
      assert.strictEqual(answer.status, 503)
      assert.include(answer.body, "no turn came in time")
    })
  )

  it.live("never runs the handler of a queued client that has gone, and frees its place", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const seen: Array<string> = []
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) => {
        seen.push(url)
        return Effect.as(release.await, ok)
      })
      const server = yield* start(HttpServer.serve(handler), {
        maxConcurrent: 1,
        maxQueued: 1,
        ...patient
      })
      const first = yield* Effect.forkChild(get(server.url("/first")))
      yield* until(server, (stats) => stats.running === 1)
      // Not by fetch: on a busy machine it sends an aborted request again.
      const gone = yield* RawClient.connect(server)
      yield* gone.write(getRequest("/gone"))
      yield* until(server, (stats) => stats.queued === 1)
      yield* gone.reset
      yield* until(server, (stats) => stats.queued === 0)
      const third = yield* Effect.forkChild(get(server.url("/third")))
      yield* until(server, (stats) => stats.queued === 1)
      yield* release.open
      assert.strictEqual((yield* soon(Fiber.join(first))).status, 200)
      assert.strictEqual((yield* soon(Fiber.join(third))).status, 200)
      assert.deepStrictEqual(seen, ["/first", "/third"])
    })
  )

  it.live("lets health routes pass however full it is", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(HealthRoutes.layerNoChecks, HttpRouter.add("GET", "/", Effect.never))
      const server = yield* start(router(routes), { maxConcurrent: 1, maxQueued: 0 })
      yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      assert.strictEqual((yield* get(server.url("/"))).status, 503)
      for (const path of ["/livez", "/readyz", "/metrics"]) {
        assert.strictEqual((yield* get(server.url(path))).status, 200, path)
      }
      const { body } = yield* get(server.url("/metrics"))
      assert.match(body, /^spillway_http_refused_total\{reason="QueueFull"\} [1-9]/m)
    })
  )

  it.live("gives every permit back after 1,000 random aborts", () =>
    Effect.gen(function* () {
      let inside = 0
      let most = 0
      const work = Effect.acquireUseRelease(
        Effect.sync(() => {
          most = Math.max(most, ++inside)
        }),
        () => Effect.as(Effect.sleep(Math.random() * 4), ok),
        // A finalizer that takes its time: the permit is out until it is done.
        () =>
          Effect.andThen(
            Effect.sleep(1),
            Effect.sync(() => void inside--)
          )
      )
      const server = yield* start(HttpServer.serve(work), { maxConcurrent: 10, maxQueued: 20 })
      const abort = Effect.scoped(
        Effect.gen(function* () {
          const client = yield* RawClient.connect(server)
          yield* client.write(getRequest("/"))
          yield* Effect.sleep(Math.random() * 6)
          if (Math.random() < 0.5) yield* client.reset
        })
      )
      yield* Effect.forEach(Array.from({ length: 1000 }), () => abort, { concurrency: 40 })
      // Connections may still stand in the kernel: what came of them is over when one behind them is answered, and nobody is inside.
      yield* soon(Effect.repeat(get(server.url("/")), { until: ({ status }) => status === 200 }))
      yield* until(server, ({ queued, running }) => running === 0 && queued === 0 && inside === 0)
      assert.isTrue(most > 1 && most <= 10, `${most} inside at once`)
    })
  )

  it.live("gives the permit back when a middleware answers without the app", () =>
    Effect.gen(function* () {
      const app = HttpServer.serve(Effect.succeed(ok), () => Effect.succeed(HttpServerResponse.empty({ status: 401 })))
      const server = yield* start(app, { maxConcurrent: 1, maxQueued: 0 })
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* get(server.url("/"))).status, 401)
      yield* until(server, (stats) => stats.running === 0)
    })
  )

  it.live("refuses a request with a large unread body so that the client sees the answer", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.never), { maxConcurrent: 1, maxQueued: 0 })
      yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      // More than it has sent when it looks at the answer, and more than the kernels hold between us.
      const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n`
      const client = yield* RawClient.connect(server)
      yield* client.write(head)
      yield* Effect.forkChild(Effect.forever(client.write("x".repeat(1_000_000))))
      assert.strictEqual(yield* soon(client.ended), "closed")
      const received = yield* client.received
      assert.strictEqual(received.slice(0, 12), "HTTP/1.1 503")
      assert.include(received.toLowerCase(), "connection: close")
      yield* until(server, ({ connections }) => connections.writing + connections.body === 0)
    })
  )

  it.live("lets no request pass by an Upgrade header", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.never), { maxConcurrent: 1, maxQueued: 0 })
      yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n"))
      assert.include(yield* soon(client.receivedUntil("HTTP/1.1")), "HTTP/1.1 503")
    })
  )

  it.live("admits and refuses WebSocket handshakes like requests, and frees their permits", () =>
    Effect.gen(function* () {
      const options = { maxConcurrent: 1, maxQueued: 0 }
      const server = yield* start(HttpServer.serve(Effect.never), options)
      const first = yield* RawClient.connect(server)
      yield* first.write(handshake("/"))
      yield* until(server, (stats) => stats.running === 1)
      const second = yield* RawClient.connect(server)
      yield* second.write(handshake("/"))
      yield* soon(second.ended)
      assert.include(yield* second.received, "HTTP/1.1 503")
      assert.match(yield* second.received, /\r\nretry-after: [1-3]\r\n/)
      yield* first.reset
      yield* until(server, (stats) => stats.running === 0)
    })
  )

  it.live("holds a pending WebSocket handshake to the request's deadline", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.never), { requestDeadline: 100 })
      const client = yield* RawClient.connect(server)
      yield* client.write(handshake("/"))
      yield* soon(client.ended)
      assert.include(yield* client.received, "HTTP/1.1 504")
      yield* until(server, (stats) => stats.running === 0)
    })
  )

  it.live("gives the permit of a handshake back once the connection is upgraded, which has no deadline", () =>
    Effect.gen(function* () {
      const echo = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const read = yield* Socket.readerString(yield* request.upgrade)
        yield* Effect.forever(read)
        return HttpServerResponse.empty()
      }).pipe(Effect.scoped)
      const server = yield* start(HttpServer.serve(echo), { maxConcurrent: 1, requestDeadline: 200 })
      const client = yield* RawClient.connect(server)
      yield* client.write(handshake("/"))
      yield* soon(client.receivedUntil("101 Switching Protocols"))
      yield* until(server, ({ connections, running }) => running === 0 && connections.upgraded === 1)
      yield* Effect.sleep(400)
      assert.strictEqual((yield* server.stats).connections.upgraded, 1)
    })
  )

  it.live("gives a connection one permit at a time, however much it pipelines", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/slow", Effect.as(release.await, ok)),
        HttpRouter.add("GET", "/", ok)
      )
      const server = yield* start(router(routes), { maxConcurrent: 2, maxQueued: 0 })
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/slow").repeat(100))
      yield* until(server, (stats) => stats.running === 1 && stats.pipelined === 32)
      assert.strictEqual((yield* soon(get(server.url("/")))).status, 200)
      yield* release.open
      yield* until(server, (stats) => stats.running === 0 && stats.pipelined === 0)
      // What the server has written may still be under way.
      const answered = Effect.map(client.received, (text) => text.match(/HTTP\/1.1 200/g)?.length ?? 0)
      yield* soon(Effect.repeat(Effect.delay(answered, 2), { until: (count) => count >= 33 }))
      assert.strictEqual(yield* answered, 33)
    })
  )

  it.live("refuses a request with a small unread body and keeps the connection", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.never), { maxConcurrent: 1, maxQueued: 0 })
      yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      const client = yield* RawClient.connect(server)
      const request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      yield* client.write(request)
      yield* soon(client.receivedUntil("later"))
      yield* client.write(request)
      yield* soon(client.receivedUntil("}HTTP/1.1 503"))
    })
  )

  it.live("holds no permit for a client that sends its body slowly", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const post = Effect.map(JsonBody.decode(Schema.Array(Schema.Finite)), (values) =>
        HttpServerResponse.text(`${values.length} values`)
      )
      const routes = Layer.mergeAll(
        HttpRouter.add("POST", "/", post),
        HttpRouter.add("GET", "/", ok),
        HttpRouter.add("GET", "/hold", Effect.as(release.await, ok))
      )
      const server = yield* start(router(routes), { maxConcurrent: 1, maxQueued: 0 })
      const slow = yield* RawClient.connect(server)
      yield* slow.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[1,")
      yield* until(server, (stats) => stats.connections.body === 1 && stats.running === 0)
      assert.strictEqual((yield* get(server.url("/"))).status, 200)
      // The body comes whole while another is inside: it waits for a permit, and is not refused although no queue is allowed.
      const hold = yield* Effect.forkChild(get(server.url("/hold")))
      yield* until(server, (stats) => stats.running === 1)
      yield* slow.write("2,3]")
      yield* until(server, (stats) => stats.queued === 1)
      yield* release.open
      yield* soon(slow.receivedUntil("3 values"))
      assert.strictEqual((yield* soon(Fiber.join(hold))).status, 200)
      yield* until(server, (stats) => stats.running === 0 && stats.resuming === 0)
    })
  )
})
