import { RequestDeadline } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Deadline } from "@spillway/runtime"
import { Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { get, router, soon, start } from "./fixture.ts"

const ok = HttpServerResponse.text("ok")

describe("RequestDeadline", () => {
  it.live("answers 504 when a handler takes too long, and leaves other routes alone", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const slow = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      const left = Effect.map(Deadline.remaining, (left) => HttpServerResponse.text(String(Duration.toMillis(left))))
      const routes = Layer.mergeAll(
        Layer.mergeAll(HttpRouter.add("GET", "/slow", slow), HttpRouter.add("GET", "/left", left)).pipe(
          Layer.provide(RequestDeadline.within("100 millis").layer)
        ),
        HttpRouter.add("GET", "/", ok)
      )
      const server = yield* start(router(routes))
      const answer = yield* soon(get(server.url("/slow")))
      yield* soon(Deferred.await(interrupted))
      assert.deepStrictEqual([answer.status, JSON.parse(answer.body).status], [504, 504])
      assert.isAtMost(Number((yield* get(server.url("/left"))).body), 100)
      assert.strictEqual((yield* get(server.url("/"))).status, 200)
    })
  )

  it.live("lets a client that goes away interrupt the handler", () =>
    Effect.gen(function* () {
      const began = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const stuck = Effect.andThen(Deferred.succeed(began, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      )
      const routes = HttpRouter.add("GET", "/", stuck).pipe(Layer.provide(RequestDeadline.within("1 minute").layer))
      const server = yield* start(router(routes))
      const client = yield* Effect.forkChild(get(server.url("/")))
      yield* soon(Deferred.await(began))
      yield* Fiber.interrupt(client)
      yield* soon(Deferred.await(interrupted))
    })
  )

  it("throws a RangeError for a duration that is not positive", () => {
    assert.throws(() => RequestDeadline.within(0), RangeError)
  })
})
