import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Drain } from "@spillway/runtime"

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

describe("Drain", () => {
  it.effect("moves from starting to ready to draining to stopped, and never back", () =>
    Effect.gen(function* () {
      const drain = yield* Drain.Drain
      assert.strictEqual(yield* drain.phase, "Starting")
      yield* drain.ready
      assert.strictEqual(yield* drain.phase, "Ready")
      yield* drain.begin
      assert.strictEqual(yield* drain.phase, "Draining")
      yield* drain.ready
      assert.strictEqual(yield* drain.phase, "Draining")
      yield* drain.drain
      assert.strictEqual(yield* drain.phase, "Stopped")
    }).pipe(Effect.provide(Drain.Drain.layer()))
  )

  it.effect("waits for tracked work and refuses more", () =>
    Effect.gen(function* () {
      const drain = yield* Drain.Drain
      const work = yield* start(drain.track(Effect.as(Effect.sleep("1 second"), "done")))
      const draining = yield* start(drain.drain)
      assert.deepStrictEqual(yield* Effect.exit(drain.track(Effect.void)), Exit.fail(new Drain.Draining()))
      assert.isUndefined(draining.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(work), "done")
      yield* Fiber.join(draining)
    }).pipe(Effect.provide(Drain.Drain.layer()))
  )

  it.effect("interrupts tracked work when its time is over", () =>
    Effect.gen(function* () {
      const drain = yield* Drain.Drain
      const work = yield* start(drain.track(Effect.never))
      const draining = yield* start(drain.drain)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(draining)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(work)))
    }).pipe(Effect.provide(Drain.Drain.layer({ timeout: "5 seconds" })))
  )

  it.effect("wakes those who wait for its beginning", () =>
    Effect.gen(function* () {
      const drain = yield* Drain.Drain
      const waiting = yield* start(drain.began)
      assert.isUndefined(waiting.pollUnsafe())
      yield* drain.begin
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(Drain.Drain.layer()))
  )

  it.effect("drains when its layer's scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Drain.Drain.layer({ timeout: "1 second" }), scope)
      const drain = Context.get(context, Drain.Drain)
      const failed = yield* Effect.exit(drain.track(Effect.fail("no")))
      assert.deepStrictEqual(failed, Exit.fail("no"))
      const work = yield* start(drain.track(Effect.never))
      const closing = yield* start(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* drain.phase, "Draining")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(work)))
    })
  )
})
