import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Health } from "@spillway/runtime"

describe("Health", () => {
  it.effect("runs every check and names those that fail, die or take too long", () =>
    Effect.gen(function* () {
      const health = yield* Health.Health
      const fiber = yield* Effect.forkChild(health.check, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [
        { name: "well", healthy: true },
        { name: "failing", healthy: false },
        { name: "dying", healthy: false },
        { name: "slow", healthy: false }
      ])
    }).pipe(
      Effect.provide(
        Health.Health.layer({
          checks: { well: Effect.void, failing: Effect.fail("no"), dying: Effect.die("bug"), slow: Effect.never }
        })
      )
    )
  )

  it.effect("reuses an outcome for a while", () => {
    let checks = 0
    return Effect.gen(function* () {
      const health = yield* Health.Health
      yield* health.check
      yield* health.check
      assert.strictEqual(checks, 1)
      yield* TestClock.adjust("1 second")
      yield* health.check
      assert.strictEqual(checks, 2)
    }).pipe(Effect.provide(Health.Health.layer({ checks: { count: Effect.sync(() => checks++) } })))
  })

  it.effect("is healthy without checks", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* (yield* Health.Health).check, [])
    }).pipe(Effect.provide(Health.Health.layerNone))
  )
})
