import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ClientRetry, DeadlineHeader } from "@spillway/http"
import { Deadline } from "@spillway/runtime"
import { Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { FetchHttpClient, HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { get, router, soon, start } from "./fixture.ts"

const left = Effect.map(Deadline.remaining, (left) => HttpServerResponse.text(String(Duration.toMillis(left))))
const transports = { undici: NodeHttpClient.layerUndici, fetch: FetchHttpClient.layer }

describe("DeadlineHeader over a real server", () => {
  for (const [name, transport] of Object.entries(transports)) {
    it.live(`lets the handler see the deadline of its caller, through ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* start(router(Layer.mergeAll(HttpRouter.add("GET", "/left", left))))
        const client = (yield* HttpClient.HttpClient).pipe(DeadlineHeader.withDeadline, ClientRetry.withRetry())
        const ask = Effect.flatMap(client.get(server.url("/left")), ({ text }) => text)
        const own = Number(yield* ask)
        const callers = Number(yield* Deadline.within(ask, "10 seconds"))
        assert.isAbove(own, 20_000)
        assert.isTrue(callers > 0 && callers <= 10_000, String(callers))
        // A caller's deadline never lengthens the server's.
        assert.isAtMost(Number(yield* Deadline.within(ask, "1 hour")), 30_000)
      }).pipe(Effect.provide(transport))
    )
  }

  it.live("hands a deadline on through a service in the middle", () =>
    Effect.gen(function* () {
      const back = yield* start(router(HttpRouter.add("GET", "/", left)))
      const client = (yield* HttpClient.HttpClient).pipe(DeadlineHeader.withDeadline)
      const ask = Effect.flatMap(client.get(back.url("/")), ({ text }) => text)
      const relay = Effect.map(ask, (text) => HttpServerResponse.text(text))
      const front = yield* start(router(HttpRouter.add("GET", "/", Effect.orDie(relay))))
      const answer = yield* client.get(front.url("/")).pipe(
        Effect.flatMap(({ text }) => text),
        Deadline.within("10 seconds")
      )
      assert.isTrue(Number(answer) > 0 && Number(answer) <= 10_000, answer)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("answers 503 without starting the handler when the time is over, and ignores a bad value", () =>
    Effect.gen(function* () {
      let started = 0
      const handler = Effect.sync(() => {
        started++
        return HttpServerResponse.text("ok")
      })
      const server = yield* start(router(HttpRouter.add("GET", "/", handler)))
      const ask = (value: string) => get(server.url("/"), { headers: { [DeadlineHeader.name]: value } })
      const over = yield* ask("0")
      assert.strictEqual(over.status, 503)
      assert.strictEqual(started, 0)
      for (const value of ["soon", "-1", "60000"]) assert.strictEqual((yield* ask(value)).status, 200)
      assert.strictEqual(started, 3)
    })
  )

  it.live("interrupts the handler when the client's time is over, and answers 504", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const stuck = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      const server = yield* start(router(HttpRouter.add("GET", "/", stuck)))
      const answer = yield* soon(get(server.url("/"), { headers: { "grpc-timeout": "50m" } }))
      yield* soon(Deferred.await(interrupted))
      assert.strictEqual(answer.status, 504)
    })
  )

  it.live("counts the wait at the door: a request whose time goes by there is refused, and never starts", () =>
    Effect.gen(function* () {
      const [began, release] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let late = 0
      const held = Effect.andThen(Deferred.succeed(began, undefined), Deferred.await(release)).pipe(
        Effect.as(HttpServerResponse.text("held"))
      )
      const lateHandler = Effect.sync(() => {
        late++
        return HttpServerResponse.text("late")
      })
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/held", held),
        HttpRouter.add("GET", "/late", lateHandler),
        HttpRouter.add("POST", "/late", lateHandler)
      )
      const server = yield* start(router(routes), { maxConcurrent: 1, maxQueued: 2, maxQueueWait: "20 seconds" })
      const first = yield* Effect.forkChild(get(server.url("/held")))
      yield* soon(Deferred.await(began))
      const headers = { [DeadlineHeader.name]: "30" }
      const [plain, withBody] = yield* soon(
        Effect.all(
          [get(server.url("/late"), { headers }), get(server.url("/late"), { method: "POST", body: "{}", headers })],
          {
            concurrency: 2
          }
        )
      )
      for (const refused of [plain, withBody]) {
        assert.strictEqual(refused.status, 503)
        assert.isDefined(refused.headers.get("retry-after") ?? undefined)
      }
      assert.strictEqual((yield* server.stats).queued, 0)
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual((yield* soon(Fiber.join(first))).status, 200)
      assert.strictEqual(late, 0)
    })
  )
})
