import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Deadline } from "@spillway/runtime"

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })
const exceeded = (millis: number) => Exit.fail(new Deadline.DeadlineExceeded({ budget: Duration.millis(millis) }))

describe("Deadline", () => {
  it.effect("returns what the effect returns in time", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Deadline.within(Effect.succeed(1), "1 second"), 1)
      assert.deepStrictEqual(yield* Effect.exit(Deadline.within(Effect.fail("no"), "1 second")), Exit.fail("no"))
    })
  )

  it.effect("interrupts the effect when the time is over, and runs its finalizers", () =>
    Effect.gen(function* () {
      let released = false
      const slow = Effect.never.pipe(Effect.ensuring(Effect.sync(() => (released = true))))
      const fiber = yield* start(Effect.exit(Deadline.within(slow, "1 second")))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), exceeded(1000))
      assert.isTrue(released)
    })
  )

  it.effect("does not start an effect when no time is left", () =>
    Effect.gen(function* () {
      let started = false
      const effect = Effect.sync(() => (started = true))
      assert.deepStrictEqual(yield* Effect.exit(Deadline.within(effect, 0)), exceeded(0))
      assert.isFalse(started)
    })
  )

  it.effect("keeps the earlier deadline when they nest", () =>
    Effect.gen(function* () {
      const inner = Deadline.within(Effect.never, "1 minute")
      const outer = yield* start(Effect.exit(Deadline.within(inner, "1 second")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(outer), exceeded(1000))
    })
  )

  it.effect("lets a nested deadline shorten an outer one, and the outer effect go on", () =>
    Effect.gen(function* () {
      const inner = Effect.exit(Deadline.within(Effect.never, "1 second"))
      const outer = yield* start(Deadline.within(inner, "1 minute"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(outer), exceeded(1000))
    })
  )

  it.effect("tells what is left, in child fibers too", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Deadline.remaining, Duration.infinity)
      const left = yield* Effect.gen(function* () {
        yield* TestClock.adjust("300 millis")
        return yield* Fiber.join(yield* Effect.forkChild(Deadline.remaining))
      }).pipe(Deadline.within("1 second"))
      assert.deepStrictEqual(left, Duration.millis(700))
    })
  )

  it.effect("sets no deadline for an infinite duration", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Deadline.within(Deadline.remaining, Duration.infinity), Duration.infinity)
    })
  )

  it.effect("passes on the interruption of its caller", () =>
    Effect.gen(function* () {
      let released = false
      const slow = Effect.never.pipe(Effect.ensuring(Effect.sync(() => (released = true))))
      const fiber = yield* start(Deadline.within(slow, "1 second"))
      yield* Fiber.interrupt(fiber)
      assert.isTrue(released)
    })
  )
})
