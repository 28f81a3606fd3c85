import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { sparingly } from "../../src/internal/sparingly.ts"

/** Something that takes 20 ms to make, and counts how often it was begun. */
const setUp = Effect.sync(() => {
  let made = 0
  const make = Effect.suspend(() => Effect.delay(Effect.succeed(++made), 20))
  return { made: () => made, ask: sparingly(make) }
})

/** What is told once it is made, if it is. */
const told = <A>(ask: Effect.Effect<A>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(ask, { startImmediately: true })
    yield* TestClock.adjust(20)
    return yield* Fiber.join(fiber)
  })

describe("sparingly", () => {
  it.effect("makes it anew for those who ask seldom", () =>
    Effect.gen(function* () {
      const { ask } = yield* setUp
      for (let i = 1; i <= 20; i++) {
        assert.strictEqual(yield* told(ask), i)
        yield* TestClock.adjust(180)
      }
    })
  )

  it.effect("makes no more than 100 ms of it in a row, and then a tenth of the time", () =>
    Effect.gen(function* () {
      const { ask, made } = yield* setUp
      for (let i = 0; i < 500; i++) yield* told(ask)
      // Of 10 s, and what may be in a row.
      assert.isAtLeast(made(), 50)
      assert.isAtMost(made(), 57)
    })
  )

  it.effect("lets nobody wait for another, and pays for what is begun together or given up", () =>
    Effect.gen(function* () {
      const { ask, made } = yield* setUp
      assert.strictEqual(yield* told(ask), 1)
      const fibers = yield* Effect.forEach(Array.from({ length: 100 }), () =>
        Effect.forkChild(ask, { startImmediately: true })
      )
      assert.isBelow(made(), 10)
      yield* Effect.forEach(fibers, Fiber.interrupt)
      assert.strictEqual(yield* ask, 1)
    })
  )
})
