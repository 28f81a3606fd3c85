import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { TaskGroup } from "@spillway/runtime"

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

describe("TaskGroup", () => {
  it.effect("waits for its children and returns what the body returned", () =>
    Effect.gen(function* () {
      const done: Array<number> = []
      const run = TaskGroup.run({ maxChildren: 10 }, (group) =>
        Effect.as(
          Effect.forEach([1, 2, 3], (n) =>
            group.fork(
              Effect.andThen(
                Effect.sleep(n * 10),
                Effect.sync(() => done.push(n))
              )
            )
          ),
          "body"
        )
      )
      const fiber = yield* start(run)
      yield* TestClock.adjust("30 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "body")
      assert.deepStrictEqual(done, [1, 2, 3])
    })
  )

  it.effect("runs at most maxConcurrent children at once, in the order in which they were forked", () =>
    Effect.gen(function* () {
      const started: Array<number> = []
      const run = TaskGroup.run({ maxConcurrent: 2, maxChildren: 10 }, (group) =>
        Effect.forEach([1, 2, 3, 4], (n) =>
          group.fork(
            Effect.andThen(
              Effect.sync(() => started.push(n)),
              Effect.sleep(10)
            )
          )
        )
      )
      const fiber = yield* start(run)
      assert.deepStrictEqual(started, [1, 2])
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(started, [1, 2, 3, 4])
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(fiber)
    })
  )

  it.effect("refuses a child above maxChildren", () =>
    Effect.gen(function* () {
      const exit = yield* TaskGroup.run({ maxChildren: 1 }, (group) =>
        Effect.gen(function* () {
          const child = yield* group.fork(Effect.never)
          const exit = yield* Effect.exit(group.fork(Effect.void))
          yield* Fiber.interrupt(child)
          return exit
        })
      )
      assert.deepStrictEqual(exit, Exit.fail(new TaskGroup.TaskGroupFull({ reason: "Full", children: 1 })))
    })
  )

  it.effect("interrupts the body and the siblings when a child fails", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const hang = (name: string) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(name)))
      const exit = yield* Effect.exit(
        TaskGroup.run<string, never, TaskGroup.TaskGroupFull, never>({ maxChildren: 10 }, (group) =>
          Effect.gen(function* () {
            yield* group.fork(hang("sibling"))
            yield* group.fork(Effect.fail("no"))
            return yield* hang("body")
          })
        )
      )
      assert.deepStrictEqual(exit, Exit.fail("no"))
      assert.deepStrictEqual(interrupted.toSorted(), ["body", "sibling"])
    })
  )

  it.effect("leaves the siblings alone when it supervises", () =>
    Effect.gen(function* () {
      const results = yield* TaskGroup.run<string, ReadonlyArray<unknown>, TaskGroup.TaskGroupFull, never>(
        { maxChildren: 10, onFailure: "supervise" },
        (group) =>
          Effect.gen(function* () {
            const failing = yield* group.fork(Effect.fail("no"))
            const well = yield* group.fork(Effect.succeed("yes"))
            return [yield* Fiber.await(failing), yield* Fiber.await(well)]
          })
      )
      assert.deepStrictEqual(results, [Exit.fail("no"), Exit.succeed("yes")])
    })
  )

  it.effect("ends its children with its scope, after the drain time", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const group = yield* Scope.provide(TaskGroup.make({ maxChildren: 2, drainTimeout: "1 second" }), scope)
      const quick = yield* group.fork(Effect.sleep("500 millis"))
      const slow = yield* group.fork(Effect.never)
      const closing = yield* start(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("500 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(quick)))
      assert.isUndefined(slow.pollUnsafe())
      assert.strictEqual((yield* Effect.flip(group.fork(Effect.void))).reason, "Closed")
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(closing)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(slow)))
    })
  )

  it.effect("leaves no child when it is interrupted", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const child = Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined))
      const run = TaskGroup.run({ maxChildren: 1 }, (group) => Effect.andThen(group.fork(child), Effect.never))
      const fiber = yield* start(run)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* Deferred.isDone(ended))
    })
  )

  it.effect("dies for options outside their range", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(TaskGroup.make({ maxChildren: 0 })))
      const error = new RangeError("TaskGroup.make: maxChildren must be an integer >= 1 or Infinity, got 0")
      assert.deepStrictEqual(exit, Exit.die(error))
    })
  )
})
