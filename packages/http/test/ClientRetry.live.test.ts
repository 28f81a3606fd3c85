import { createServer, type RequestListener } from "node:http"
import * as net from "node:net"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { AdaptiveThrottle, ClientRetry, Problem, RetryBudget } from "@spillway/http"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { FetchHttpClient, HttpBody, HttpClient, HttpClientError, HttpRouter, HttpServerResponse } from "effect/http"
import { router, soon, start } from "./fixture.ts"

const transports = {
  undici: NodeHttpClient.layerUndici,
  // A connection that nobody gives back is missed at once.
  "undici with one connection": NodeHttpClient.layerUndiciNoDispatcher.pipe(
    Layer.provide(NodeHttpClient.layerDispatcherOptions({ connections: 1 }))
  ),
  fetch: FetchHttpClient.layer
}

/** A server that ends with the scope; gives its URL. */
const listen = (server: net.Server) =>
  Effect.acquireRelease(
    Effect.callback<string>((resume) => {
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}/`))
      )
    }),
    () => Effect.sync(() => void server.close())
  )

/** A server of node's own. */
const plain = (listener: RequestListener) =>
  Effect.gen(function* () {
    const server = createServer(listener)
    const url = yield* listen(server)
    yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
    return url
  })

/** The transport, counting what is sent. */
const counting = Effect.map(HttpClient.HttpClient, (client) => {
  let sent = 0
  const count = Effect.sync(() => void sent++)
  return { client: HttpClient.transform(client, (send) => Effect.andThen(count, send)), sent: () => sent }
})

const quick: ClientRetry.Options = { baseDelay: 5 }

for (const [name, transport] of Object.entries(transports)) {
  describe(`ClientRetry through ${name}`, () => {
    it.live("repeats after a connection that was refused, also a POST, and gives the error back in the end", () =>
      Effect.gen(function* () {
        const url = yield* Effect.scoped(listen(net.createServer()))
        const { client, sent } = yield* counting
        const repeating = client.pipe(ClientRetry.withRetry(quick))
        const error = yield* soon(Effect.flip(repeating.post(url, { body: HttpBody.text("body") })))
        assert.isTrue(HttpClientError.isHttpClientError(error) && error.reason._tag === "TransportError")
        assert.strictEqual(sent(), 3)
      }).pipe(Effect.provide(transport))
    )

    it.live("repeats a GET after a connection that was lost before the answer, and no POST", () =>
      Effect.gen(function* () {
        let connections = 0
        const server = net.createServer((socket) => {
          const number = ++connections
          socket.on("error", () => socket.destroy())
          socket.once("data", () => {
            if (number % 3 === 1) socket.destroy()
            else if (number % 3 === 2) socket.resetAndDestroy()
            else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
          })
        })
        const url = yield* listen(server)
        const repeating = (yield* HttpClient.HttpClient).pipe(ClientRetry.withRetry(quick))
        const text = yield* soon(Effect.flatMap(repeating.get(url), (response) => response.text))
        assert.deepStrictEqual([text, connections], ["ok", 3])
        yield* soon(Effect.flip(repeating.post(url)))
        assert.strictEqual(connections, 4)
      }).pipe(Effect.provide(transport))
    )

    it.live("gives the connection of a discarded answer back, whether its body is short, long or without end", () =>
      Effect.gen(function* () {
        const bodies = ["busy", Buffer.alloc(5_000_000), undefined]
        let requests = 0
        const url = yield* plain((_, response) => {
          const body = bodies[requests++]
          if (requests > bodies.length) return void response.end("ok")
          response.writeHead(503, { "retry-after": "0" })
          if (body === undefined) response.write("and then nothing")
          else response.end(body)
        })
        const repeating = (yield* HttpClient.HttpClient).pipe(ClientRetry.withRetry({ ...quick, maxAttempts: 4 }))
        const text = yield* soon(Effect.flatMap(repeating.get(url), (response) => response.text))
        assert.deepStrictEqual([text, requests], ["ok", 4])
      }).pipe(Effect.provide(transport))
    )
  })
}

describe("ClientRetry against a server that sheds", () => {
  it.live("comes back when the server has room, with a POST that was refused at the door", () =>
    Effect.gen(function* () {
      const [began, release] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let posts = 0
      const held = Effect.andThen(Deferred.succeed(began, undefined), Deferred.await(release)).pipe(
        Effect.as(HttpServerResponse.text("held"))
      )
      const posted = Effect.sync(() => HttpServerResponse.text(String(++posts)))
      const routes = Layer.mergeAll(HttpRouter.add("GET", "/held", held), HttpRouter.add("POST", "/", posted))
      const server = yield* start(router(routes), { maxConcurrent: 1, maxQueued: 0 })
      const { client, sent } = yield* counting
      const first = yield* Effect.forkChild(client.get(server.url("/held")))
      yield* soon(Deferred.await(began))
      const refused = yield* client.post(server.url("/"))
      assert.strictEqual(refused.status, 503)
      assert.match(refused.headers["retry-after"] ?? "", /^\d+$/)
      yield* refused.text
      const refusedAgain = yield* Deferred.make<void>()
      const repeating = client.pipe(
        HttpClient.tap(() => Deferred.succeed(refusedAgain, undefined)),
        ClientRetry.withRetry({ retryRefused: true })
      )
      const second = yield* Effect.forkChild(repeating.post(server.url("/"), { body: HttpBody.text("body") }))
      yield* soon(Deferred.await(refusedAgain))
      yield* Deferred.succeed(release, undefined)
      yield* soon(Fiber.join(first))
      assert.strictEqual((yield* soon(Fiber.join(second))).status, 200)
      assert.deepStrictEqual([posts, sent()], [1, 4])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  /** A handler that can do two things at once, and asks all others to come again in a second. */
  const crowded = () => {
    let running = 0
    return Effect.suspend(() => {
      if (running === 2) return Effect.succeed(Problem.toResponse(Problem.unavailable("no room", 1)))
      running++
      return Effect.as(Effect.sleep("20 millis"), HttpServerResponse.text("ok")).pipe(
        Effect.ensuring(Effect.sync(() => running--))
      )
    })
  }

  /** Ten clients that want to make 30 requests each; gives what they sent for each that they wanted to. */
  const amplification = <E>(wrap: (client: HttpClient.HttpClient) => HttpClient.HttpClient.With<E>, atOnce: number) =>
    Effect.gen(function* () {
      const server = yield* start(router(HttpRouter.add("GET", "/", crowded())))
      const { client, sent } = yield* counting
      const one = Effect.suspend(() => {
        const wrapped = wrap(client)
        const ask = Effect.exit(Effect.flatMap(wrapped.get(server.url("/")), ({ text }) => text))
        return Effect.forEach(Array.from({ length: 30 }), () => ask, { concurrency: atOnce })
      })
      yield* Effect.forEach(Array.from({ length: 10 }), () => one, { concurrency: "unbounded" })
      return sent() / 300
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici))

  it.live(
    "multiplies an overload by 1.2 at most with a budget, and by nearly its attempts without",
    () =>
      Effect.gen(function* () {
        const withBudget = (minPerSecond: number) =>
          amplification(
            (client) => client.pipe(ClientRetry.withRetry({ budget: RetryBudget.make({ minPerSecond }) })),
            30
          )
        const budget = yield* withBudget(0)
        assert.isAbove(budget, 1)
        assert.isAtMost(budget, 1.2)
        const without = yield* withBudget(Infinity)
        assert.isAbove(without, 1.5)
      }),
    60_000
  )

  it.live(
    "sends less than was asked for with a throttle",
    () =>
      Effect.gen(function* () {
        const throttled = yield* amplification(
          (client) => client.pipe(AdaptiveThrottle.withThrottle(AdaptiveThrottle.make())),
          5
        )
        assert.isBelow(throttled, 1)
        assert.strictEqual(yield* amplification((client) => client, 5), 1)
      }),
    60_000
  )
})
