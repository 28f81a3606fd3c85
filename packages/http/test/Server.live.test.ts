import { Problem, Server } from "@spillway/http"
import { RawClient, SilentClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Bulkhead, Deadline } from "@spillway/runtime"
import { ConfigProvider, Deferred, Duration, Effect, Exit, Fiber, Latch, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { get, getRequest, json, router, soon, start, until } from "./fixture.ts"

const ok = HttpServerResponse.text("ok")

/** A handler that says when it began and how it was interrupted. */
const makeStuck = Effect.gen(function* () {
  const began = yield* Deferred.make<void>()
  const interrupted = yield* Deferred.make<void>()
  const handler = Effect.andThen(Deferred.succeed(began, undefined), Effect.never).pipe(
    Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
  )
  return { handler, began: soon(Deferred.await(began)), interrupted: soon(Deferred.await(interrupted)) }
})

const problem = (text: string) => JSON.parse(text) as { readonly status: number; readonly [member: string]: unknown }

describe("Server", () => {
  it.live("serves an HttpApi unchanged", () =>
    Effect.gen(function* () {
      const api = HttpApi.make("api").add(
        HttpApiGroup.make("users").add(
          HttpApiEndpoint.get("user", "/users/:id", {
            params: { id: Schema.String },
            success: Schema.Struct({ id: Schema.String })
          })
        )
      )
      const users = HttpApiBuilder.group(api, "users", (handlers) =>
        handlers.handle("user", ({ params }) => Effect.succeed({ id: params.id }))
      )
      const app = HttpRouter.serve(HttpApiBuilder.layer(api).pipe(Layer.provide(users)), {
        disableLogger: true,
        disableListenLog: true
      })
      const server = yield* start(app)
      const found = yield* get(server.url("/users/7"))
      assert.deepStrictEqual([found.status, found.body], [200, '{"id":"7"}'])
      assert.strictEqual((yield* get(server.url("/nothing"))).status, 404)
    })
  )

  it.live("fails with ServeError when the port is taken", () =>
    Effect.gen(function* () {
      const server = yield* start(router(HttpRouter.add("GET", "/", ok)))
      const exit = yield* Effect.exit(start(router(HttpRouter.add("GET", "/", ok)), { port: server.port }))
      assert.strictEqual(
        Exit.isFailure(exit) && (Exit.findError(exit) as { success: { _tag: string } }).success._tag,
        "ServeError"
      )
    })
  )

  it.live("answers 503 until it serves", () =>
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      const answer = yield* get(`${HttpServer.formatAddress(address)}/`)
      assert.deepStrictEqual([answer.status, answer.headers.get("retry-after")], [503, "1"])
    }).pipe(Effect.provide(Server.layer({ port: 0 })))
  )

  it.live("reads its options from the environment and names the variable of a bad one", () =>
    Effect.gen(function* () {
      const read = (env: Record<string, string>) =>
        Effect.exit(Effect.scoped(Layer.build(Server.layerConfig({ port: 0 })))).pipe(
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
        )
      assert.isTrue(Exit.isSuccess(yield* read({ SPILLWAY_HTTP_DRAIN_TIMEOUT: "100 millis" })))
      const failed = yield* read({ SPILLWAY_HTTP_MAX_CONCURRENT: "many" })
      assert.isTrue(
        Exit.isFailure(failed) && String(failed.cause).includes("SPILLWAY_HTTP_MAX_CONCURRENT"),
        String(failed)
      )
    })
  )

  describe("errors", () => {
    const failures: ReadonlyArray<readonly [string, Effect.Effect<never, unknown>, number]> = [
      ["/die", Effect.die(new Error("secret")), 500],
      ["/fail", Effect.fail({ secret: true }), 500],
      ["/problem", Problem.make({ status: 409, detail: "choose another" }), 409],
      ["/schema", Schema.decodeUnknownEffect(Schema.Struct({ a: Schema.String }))({ a: 1 }), 422],
      ["/deadline", new Deadline.DeadlineExceeded({ budget: Duration.seconds(1) }), 504],
      [
        "/full",
        new Bulkhead.BulkheadFull({
          bulkhead: "b",
          reason: "QueueFull",
          limit: 1,
          queued: 1,
          retryAfter: Duration.millis(2500)
        }),
        503
      ],
      ["/interrupt", Effect.interrupt, 503]
    ] as ReadonlyArray<readonly [string, Effect.Effect<never, unknown>, number]>

    it.live("answers each failure with its problem and without internals", () =>
      Effect.gen(function* () {
        const typed = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const failure = failures.find(([path]) => path === request.url)
          return failure === undefined ? Effect.succeed(ok) : Effect.as(failure[1], ok)
        })
        const server = yield* start(HttpServer.serve(typed))
        for (const [path, , status] of failures) {
          const answer = yield* get(server.url(path))
          assert.strictEqual(answer.status, status, path)
          assert.strictEqual(answer.headers.get("content-type"), "application/problem+json", path)
          assert.strictEqual(problem(answer.body).status, status, path)
          assert.notInclude(answer.body, "secret")
        }
        assert.strictEqual((yield* get(server.url("/full"))).headers.get("retry-after"), "3")
        const schema = problem((yield* get(server.url("/schema"))).body)
        assert.deepStrictEqual(schema["errors"], [{ path: "/a", message: "Expected string" }])
        assert.strictEqual((yield* get(server.url("/"))).status, 200)
      })
    )

    it.live("answers 404 for an unknown path", () =>
      Effect.gen(function* () {
        const server = yield* start(router(HttpRouter.add("GET", "/", ok)))
        const answer = yield* get(server.url("/nothing"))
        assert.deepStrictEqual([answer.status, problem(answer.body)["title"]], [404, "Not Found"])
      })
    )

    it.live("answers 413 when one of Effect's own readers meets too large a body", () =>
      Effect.gen(function* () {
        const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.as(request.text, ok))
        const server = yield* start(router(HttpRouter.add("POST", "/", handler)), { maxBodySize: 10 })
        assert.strictEqual((yield* get(server.url("/"), json("[1]"))).status, 200)
        assert.strictEqual((yield* get(server.url("/"), json("[1, 2, 3, 4, 5]"))).status, 413)
      })
    )
  })

  describe("deadline", () => {
    it.live("interrupts the handler and answers 504", () =>
      Effect.gen(function* () {
        const stuck = yield* makeStuck
        const server = yield* start(router(HttpRouter.add("GET", "/", stuck.handler)), { requestDeadline: 100 })
        const answer = yield* soon(get(server.url("/")))
        yield* stuck.interrupted
        assert.deepStrictEqual([answer.status, problem(answer.body)["title"]], [504, "Gateway Timeout"])
        assert.strictEqual((yield* server.stats).running, 0)
      })
    )

    it.live("counts the wait at the door", () =>
      Effect.gen(function* () {
        const release = Latch.makeUnsafe(false)
        const routes = Layer.mergeAll(
          HttpRouter.add("GET", "/hold", Effect.as(release.await, ok)),
          HttpRouter.add(
            "GET",
            "/left",
            Effect.map(Deadline.remaining, (left) => HttpServerResponse.text(String(Duration.toMillis(left))))
          )
        )
        const server = yield* start(router(routes), {
          maxConcurrent: 1,
          requestDeadline: "5 seconds",
          maxQueueWait: "5 seconds"
        })
        const first = yield* Effect.forkChild(get(server.url("/hold")))
        yield* until(server, (stats) => stats.running === 1)
        const second = yield* Effect.forkChild(get(server.url("/left")))
        yield* until(server, (stats) => stats.queued === 1)
        yield* Effect.sleep(100)
        yield* release.open
        yield* Fiber.join(first)
        const left = Number((yield* soon(Fiber.join(second))).body)
        assert.isTrue(left > 0 && left <= 4900, `${left} ms left`)
      })
    )

    it.live("refuses with 503 at the door what can not make it any more", () =>
      Effect.gen(function* () {
        const stuck = yield* makeStuck
        const server = yield* start(router(HttpRouter.add("GET", "/", stuck.handler)), {
          maxConcurrent: 1,
          requestDeadline: 300,
          maxQueueWait: "1 minute"
        })
        const first = yield* Effect.forkChild(get(server.url("/")))
        yield* stuck.began
        yield* until(server, (stats) => stats.running === 1)
        const [second, answer] = yield* soon(Effect.all([get(server.url("/")), Fiber.join(first)], { concurrency: 2 }))
        // The second came a moment later: either its time at the door was over first, or the first one's end let it in too late.
        assert.include([503, 504], second.status)
        assert.strictEqual(answer.status, 504)
      })
    )
  })

  describe("a client that goes away", () => {
    const apps = {
      "interrupts a plain effect": (handler: Effect.Effect<never>) => HttpServer.serve(handler),
      "interrupts a handler of HttpRouter": (handler: Effect.Effect<never>) =>
        router(HttpRouter.add("GET", "/", handler)),
      "interrupts a handler under a global timeout middleware": (handler: Effect.Effect<never>) =>
        router(
          HttpRouter.add("GET", "/", handler).pipe(
            Layer.provide(
              HttpRouter.middleware(
                (self) => Effect.timeoutOrElse(self, { duration: "1 minute", orElse: () => Effect.succeed(ok) }),
                {
                  global: true
                }
              )
            )
          )
        ),
      "interrupts a handler under a server middleware": (handler: Effect.Effect<never>) =>
        HttpRouter.serve(HttpRouter.add("GET", "/", handler), { disableListenLog: true, middleware: (self) => self })
    }
    for (const [name, app] of Object.entries(apps)) {
      it.live(name, () =>
        Effect.gen(function* () {
          const stuck = yield* makeStuck
          const server = yield* start(app(stuck.handler) as ReturnType<typeof HttpServer.serve<never, never>>)
          // Not by fetch: on a busy machine it sends an aborted request again.
          const client = yield* RawClient.connect(server)
          yield* client.write(getRequest("/"))
          yield* stuck.began
          yield* client.reset
          yield* stuck.interrupted
          yield* until(server, (stats) => stats.running === 0)
        })
      )
    }
  })

  describe("malformed requests", () => {
    const cases: ReadonlyArray<readonly [string, string, number]> = [
      ["bytes that are not HTTP", "\u0001\u0002\u0003\r\n\r\n", 400],
      ["HTTP/0.9", "GET /\r\n\r\n", 400],
      ["two Host fields", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
      [
        "two Host fields in a WebSocket handshake",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        400
      ],
      ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
      ["a Host that is none", "GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n", 400],
      [
        "Content-Length with Transfer-Encoding",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400
      ],
      ["a bare line feed in a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400],
      [
        "a second Host behind 2,500 headers",
        `GET / HTTP/1.1\r\nHost: a\r\n${"x:\r\n".repeat(2500)}Host: b\r\n\r\n`,
        400
      ],
      ["a head over 16 KiB", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(20_000)}\r\n\r\n`, 431],
      ["a target over 16 KiB", `GET /${"y".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
      ["a target over 8 KiB", `GET /${"y".repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
      ["more than 100 header fields", `GET / HTTP/1.1\r\nHost: a\r\n${"x:\r\n".repeat(100)}\r\n`, 431]
    ]
    for (const [name, bytes, status] of cases) {
      it.live(`answers ${status} to ${name}, closes, and lives`, () =>
        Effect.gen(function* () {
          let handled = 0
          const server = yield* start(HttpServer.serve(Effect.sync(() => (handled++, ok))))
          const client = yield* RawClient.connect(server)
          yield* client.write(bytes)
          const ending = yield* soon(client.ended)
          const received = yield* client.received
          assert.strictEqual(received.slice(0, 12), `HTTP/1.1 ${status}`)
          assert.include(received.toLowerCase(), "connection: close")
          assert.deepStrictEqual([ending, handled], ["closed", 0])
          // Also if the client never closes its side.
          yield* until(server, ({ connections }) => connections.head + connections.new + connections.idle === 0)
          assert.strictEqual((yield* get(server.url("/"))).status, 200)
        })
      )
    }

    it.live("answers 408 to a body that ends too early", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.never))
        const client = yield* RawClient.connect(server)
        yield* client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        yield* until(server, (stats) => stats.connections.body === 1)
        yield* client.end
        yield* soon(client.ended)
        assert.strictEqual((yield* client.received).slice(0, 12), "HTTP/1.1 408")
        yield* until(server, (stats) => stats.connections.body === 0)
      })
    )

    it.live("answers a good request before it closes for the bad bytes behind it", () =>
      Effect.gen(function* () {
        const release = Latch.makeUnsafe(false)
        const server = yield* start(HttpServer.serve(Effect.as(release.await, ok)))
        const client = yield* RawClient.connect(server)
        yield* client.write(`${getRequest("/")}\u0001\u0002\r\n\r\n`)
        yield* until(server, (stats) => stats.running === 1)
        yield* release.open
        yield* soon(client.ended)
        const received = yield* client.received
        assert.strictEqual(received.slice(0, 12), "HTTP/1.1 200")
        assert.include(received, "Connection: close")
        assert.notInclude(received, " 400 ")
      })
    )

    it.live("answers 408 to headers that take too long, on a new and on a kept connection", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.succeed(ok)), { headersTimeout: 1000 })
        const [fresh, kept] = yield* Effect.all([RawClient.connect(server), RawClient.connect(server)])
        yield* fresh.write("GET / HTTP/1.1\r\nHost")
        yield* kept.write(getRequest("/"))
        yield* soon(kept.receivedUntil("ok"))
        yield* kept.write("GET / HTTP/1.1\r\nHost")
        for (const client of [fresh, kept]) {
          yield* soon(client.ended)
          assert.include(yield* client.received, "HTTP/1.1 408")
        }
      })
    )
  })

  describe("connections", () => {
    it.live("over maxConnections answers only probes, on 16 connections, and closes all others unread", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.succeed(ok)), { maxConnections: 2 })
        yield* SilentClient.connect(server, 2)
        yield* until(server, (stats) => stats.connections.new === 2)
        const options = { timeoutMillis: 5000 }
        const ordinary = yield* RawClient.exchange(server, getRequest("/"), options)
        assert.deepStrictEqual([ordinary.received.slice(0, 12), ordinary.ending], ["HTTP/1.1 503", "closed"])
        const probe = yield* RawClient.exchange(server, getRequest("/livez"), options)
        assert.deepStrictEqual([probe.received.slice(0, 12), probe.ending], ["HTTP/1.1 200", "closed"])

        yield* SilentClient.connect(server, 16)
        yield* until(server, (stats) => stats.connections.new === 18)
        const over = yield* RawClient.exchange(server, getRequest("/livez"), options)
        assert.strictEqual(over.received, "")
        assert.notStrictEqual(over.ending, "open")
        // Who says nothing does not keep such a place.
        yield* until(server, (stats) => stats.connections.new === 2)
      })
    )

    it.live("knows what each connection is doing", () =>
      Effect.gen(function* () {
        const server = yield* start(
          HttpServer.serve(
            Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
              request.url === "/idle" ? Effect.succeed(ok) : Effect.never
            )
          )
        )
        yield* SilentClient.connect(server, 1)
        yield* SilentClient.connect(server, 2, "GET / HT")
        yield* SilentClient.connect(server, 3, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        yield* SilentClient.connect(server, 4, getRequest("/"))
        const idle = yield* SilentClient.connect(server, 1, getRequest("/idle"))
        yield* soon(idle[0]!.receivedUntil("ok"))
        const { connections } = yield* until(
          server,
          (stats) => stats.connections.handling === 4 && stats.connections.idle === 1 && stats.connections.head === 2
        )
        assert.deepStrictEqual(connections, { new: 1, head: 2, body: 3, handling: 4, writing: 0, idle: 1, upgraded: 0 })
      })
    )

    it.live("answers pipelined requests in order", () =>
      Effect.gen(function* () {
        const server = yield* start(
          HttpServer.serve(
            Effect.map(HttpServerRequest.HttpServerRequest, (request) => HttpServerResponse.text(`<${request.url}>`))
          )
        )
        const client = yield* RawClient.connect(server)
        yield* client.write(`${getRequest("/1")}${getRequest("/2")}${getRequest("/3", "Connection: close\r\n")}`)
        yield* soon(client.ended)
        assert.deepStrictEqual((yield* client.received).match(/<\/\d>/g), ["</1>", "</2>", "</3>"])
      })
    )

    it.live("answers Expect: 100-continue once the request is admitted", () =>
      Effect.gen(function* () {
        const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
          Effect.map(request.text, HttpServerResponse.text)
        )
        const server = yield* start(HttpServer.serve(handler))
        const client = yield* RawClient.connect(server)
        yield* client.write(
          "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        )
        yield* soon(client.receivedUntil("100 Continue"))
        yield* client.write("hello")
        yield* soon(client.ended)
        assert.include(yield* client.received, "\r\n\r\nhello")
      })
    )

    it.live("answers Expect: 100-continue before the head of a response that is a stream of the body", () =>
      Effect.gen(function* () {
        const echo = Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) => HttpServerResponse.stream(stream))
        const server = yield* start(HttpServer.serve(echo))
        const client = yield* RawClient.connect(server)
        yield* client.write("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        yield* soon(client.receivedUntil("100 Continue"))
        yield* client.write("hello")
        yield* soon(client.receivedUntil("hello\r\n0\r\n\r\n"))
        // The connection is kept.
        yield* client.write(getRequest("/", "Connection: close\r\n"))
        yield* soon(client.ended)
        assert.lengthOf((yield* client.received).match(/^HTTP\/1\.1 200 /gm)!, 2)
      })
    )
  })
})
