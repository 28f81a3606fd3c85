import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { Deadline } from "@spillway/runtime"
import { OffloadDefect } from "@spillway/runtime/OffloadError"
import { EdgeOffload } from "./fixtures/edges.ts"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { Broken, FlowOffload, worker } from "./fixtures/flow.ts"

const provide = (options = {}) => Effect.provide(FlowOffload.layerThreads({ worker, workers: 1, ...options }))

const expectDefect = <A, E>(exit: Exit.Exit<A, E>): OffloadDefect => {
  const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(defect, OffloadDefect)
  return defect
}

describe("Offload.layerThreads, streams", () => {
  it.live("streams all items in order, from synchronous and from asynchronous handlers", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const expected = Array.from({ length: 500 }, (_, i) => i)
      const flags = makeFlags()
      assert.deepStrictEqual(yield* Stream.runCollect(flow.count({ to: 500, flags })), expected)
      assert.deepStrictEqual(Array.from(flags), [500, 1, 0, 0])
      assert.deepStrictEqual(
        yield* Stream.runCollect(flow.countSlowly({ to: 20, flags: makeFlags() })),
        expected.slice(0, 20)
      )
    }).pipe(provide())
  )

  it.live("lets the worker be no more than bufferSize ahead of the consumer", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const [first, more] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const consumer = yield* flow.count({ to: 100, flags }, { bufferSize: 4 }).pipe(
        Stream.runForEach((item) =>
          item === 0 ? Effect.andThen(Deferred.succeed(first, undefined), Deferred.await(more)) : Effect.void
        ),
        Effect.forkChild({ startImmediately: true })
      )
      yield* Deferred.await(first)
      // Others may use the thread meanwhile only if it waits, and a stream holds its worker: so the count must stand still.
      yield* raised(flags, 0, 4)
      yield* Effect.yieldNow
      assert.isAtMost(Atomics.load(flags, 0), 5)
      yield* Deferred.succeed(more, undefined)
      yield* Fiber.join(consumer)
      assert.strictEqual(Atomics.load(flags, 0), 100)
    }).pipe(provide())
  )

  it.live("ends the handler when the consumer stops early", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const taken = yield* flow.count({ to: 1_000_000, flags }).pipe(Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual(taken, [0, 1, 2])
      yield* raised(flags, 1)
      assert.isAtMost(Atomics.load(flags, 0), 40)
      const thread = yield* flow.threadId()
      const slow = makeFlags()
      yield* flow.countSlowly({ to: 1_000_000, flags: slow }).pipe(Stream.take(2), Stream.runDrain)
      yield* raised(slow, 1)
      assert.strictEqual(yield* flow.threadId(), thread)
    }).pipe(provide({ killGrace: "10 seconds" }))
  )

  it.live("kills the thread of a stream that does not end with its consumer", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const thread = yield* flow.threadId()
      const flags = makeFlags()
      const stream = yield* Effect.forkChild(Stream.runDrain(flow.hang({ flags })), { startImmediately: true })
      yield* raised(flags, 0)
      yield* Fiber.interrupt(stream)
      assert.notStrictEqual(yield* flow.threadId(), thread)
    }).pipe(provide({ killGrace: 0 }))
  )

  it.live("fails with the declared error after the items before it", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      let items = 0
      const counted = Stream.tap(flow.count({ to: 2000, flags: makeFlags() }), () => Effect.sync(() => items++))
      const exit = yield* Effect.exit(Stream.runDrain(counted))
      assert.deepStrictEqual(exit, Exit.fail(new Broken({ at: 1000 })))
      assert.strictEqual(items, 1000)
    }).pipe(provide())
  )

  it.live(
    "dies when an item does not fit its schema, when one cannot be cloned, and when nothing can be iterated",
    () =>
      Effect.gen(function* () {
        const flow = yield* FlowOffload
        const thread = yield* flow.threadId()
        assert.strictEqual(expectDefect(yield* Effect.exit(Stream.runDrain(flow.dates()))).task, "dates")
        const flags = makeFlags()
        const uncloneable = yield* Effect.exit(Stream.runDrain(flow.uncloneableItem({ flags })))
        assert.strictEqual(expectDefect(uncloneable).task, "uncloneableItem")
        yield* raised(flags, 1)
        assert.strictEqual(expectDefect(yield* Effect.exit(Stream.runDrain(flow.notIterable()))).task, "notIterable")
        assert.strictEqual(yield* flow.threadId(), thread)
      }).pipe(provide())
  )

  it.live("times a stream from its start to its end", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const stream = flow.countSlowly({ to: 1_000_000, flags: makeFlags() }, { timeout: "50 millis" })
      const error = yield* Effect.flip(Stream.runDrain(stream))
      assert.strictEqual(error._tag === "OffloadError" && error.reason._tag, "TimedOut")
    }).pipe(provide())
  )

  it.live("ends a stream with the deadline of its consumer", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const drained = Stream.runDrain(flow.countSlowly({ to: 1_000_000, flags }))
      const error = yield* Effect.flip(Deadline.within(drained, "50 millis"))
      assert.strictEqual(error._tag, "DeadlineExceeded")
      yield* raised(flags, 1)
    }).pipe(provide())
  )

  it.live("runs streams beside each other, each with its own credit", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const one = (to: number) => Stream.runCollect(flow.countSlowly({ to, flags: makeFlags() }, { bufferSize: 1 }))
      const lengths = yield* Effect.forEach([5, 10, 15, 20, 25, 30], one, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        lengths.map((items) => items.length),
        [5, 10, 15, 20, 25, 30]
      )
    }).pipe(provide({ workers: 1, concurrency: 3 }))
  )

  it.live("moves the memory of items instead of copying it", () =>
    Effect.gen(function* () {
      const blocks = yield* Stream.runCollect((yield* FlowOffload).blocks())
      assert.deepStrictEqual(
        blocks.map((block) => [block.length, block[0]]),
        [
          [1024, 0],
          [1024, 1],
          [1024, 2]
        ]
      )
    }).pipe(provide())
  )

  it.live("takes no buffer without room", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      assert.throws(() => flow.count({ to: 1, flags: makeFlags() }, { bufferSize: 0 }), /bufferSize must be/)
    }).pipe(provide())
  )

  it.live("takes batches of more items than a call may have arguments", () => {
    const items = Array.from({ length: 1_000_000 }, (_, n) => n)
    const unused = () => undefined as never
    const inline = EdgeOffload.layerInline({
      payload: unused,
      success: unused,
      checked: unused,
      leaving: unused,
      later: unused,
      error: unused,
      items: unused,
      process: unused,
      numbers: () => Stream.fromArray(items),
      size: unused,
      late: unused,
      threadId: unused
    })
    return Effect.gen(function* () {
      const numbers = (yield* EdgeOffload).numbers({ to: 0 }, { bufferSize: items.length })
      assert.strictEqual(yield* Stream.runCount(numbers), items.length)
    }).pipe(Effect.provide(inline))
  })
})
