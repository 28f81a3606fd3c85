import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Deadline } from "@spillway/runtime"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { TestOffload, worker } from "./fixtures/tasks.ts"

const provide = (options = {}) => Effect.provide(TestOffload.layerThreads({ worker, workers: 1, ...options }))

// The time of these tests stands still, unless they move it; that of the threads does not.
describe("Offload.layerThreads, under a clock that stands still", () => {
  it.effect("answers a call with a deadline, and tells the worker what is left of it", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const left = yield* Deadline.within(tasks.remaining(), "10 seconds")
      assert.isAbove(left, 0)
      assert.isAtMost(left, 10_000)
    }).pipe(provide())
  )

  it.effect("ends a call when the caller's clock reaches the deadline, and kills what goes on", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const thread = yield* tasks.threadId()
      const flags = makeFlags()
      const spin = Effect.flip(Deadline.within(tasks.spin({ heedful: false, flags }), "1 hour"))
      const running = yield* Effect.forkChild(spin, { startImmediately: true })
      yield* TestClock.withLive(raised(flags, 0))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Fiber.join(running))._tag, "DeadlineExceeded")
      assert.notStrictEqual(yield* tasks.threadId(), thread)
    }).pipe(provide())
  )

  it.effect("times tasks by the time that they run in their threads", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const spin = tasks.spin({ heedful: false, flags: makeFlags() }, { timeout: "20 millis" })
      const error = yield* Effect.flip(spin)
      assert.strictEqual(error.reason._tag, "TimedOut")
      assert.isAbove(yield* tasks.threadId(), 0)
    }).pipe(provide())
  )

  it.effect("closes a layer whose task does not end", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        TestOffload.layerThreads({ worker, workers: 1, drainTimeout: "20 millis", killGrace: Infinity }),
        scope
      )
      const flags = makeFlags()
      const spin = Effect.flatMap(TestOffload, (tasks) => tasks.spin({ heedful: false, flags }))
      const running = yield* Effect.forkChild(Effect.flip(Effect.provide(spin, context)), { startImmediately: true })
      yield* TestClock.withLive(raised(flags, 0))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(running)).reason._tag, "Unavailable")
    })
  )
})
