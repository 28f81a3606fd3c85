/** What a loop does whose host is busy with something else, or gone. Here the test is the loop, and the host has a thread. */
import { Worker } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { Offload, OffloadHost } from "@spillway/runtime"
import type { OffloadError } from "@spillway/runtime/OffloadError"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { TestOffload, worker } from "./fixtures/tasks.ts"

const hostThread = Effect.acquireRelease(
  Effect.sync(() => new Worker(new URL("./fixtures/hostThread.ts", import.meta.url))),
  (thread) => Effect.promise(() => thread.terminate())
)

/** A host, and the tasks of a loop with two workers and three places. */
const setup = Effect.gen(function* () {
  const thread = yield* hostThread
  const port = yield* Effect.callback<MessagePort>(
    (resume) => void thread.once("message", (port) => resume(Effect.succeed(port)))
  )
  const layer = TestOffload.layerThreads({ worker, workers: 2, spares: 0, maxQueued: 3 })
  const context = yield* Layer.build(Layer.provide(layer, OffloadHost.layerLink(port)))
  return { thread, tasks: yield* Effect.provide(TestOffload, context) }
})

const hold = Effect.fnUntraced(function* (thread: Worker) {
  const flags = makeFlags()
  thread.postMessage(flags)
  yield* raised(flags, 0)
  return Effect.sync(() => {
    Atomics.store(flags, 1, 1)
    Atomics.notify(flags, 1)
  })
})

const reasonOf = (exit: Exit.Exit<unknown, OffloadError | unknown>): string | undefined =>
  Exit.match(exit, {
    onSuccess: () => undefined,
    onFailure: (cause) => (cause.reasons[0] as { readonly error?: OffloadError }).error?.reason._tag
  })

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const nextTurn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

describe("OffloadHost, a host that is held up", () => {
  it.live("is sent no more calls of a priority, and of more urgent ones, than the pool can hold", () =>
    Effect.gen(function* () {
      const { tasks, thread } = yield* setup
      const release = yield* hold(thread)
      const fibers = []
      for (const priority of ["low", "normal", "high"] as const) {
        for (let i = 0; i < 100; i++) fibers.push(yield* start(Effect.exit(tasks.double({ value: i }, { priority }))))
      }
      const refused = fibers.filter((fiber) => fiber.pollUnsafe() !== undefined)
      assert.strictEqual(refused.length, 300 - 3 * (2 + 3))
      yield* release
      const exits = yield* Fiber.joinAll(fibers)
      const { ended } = yield* Offload.stats(tasks)
      const succeeded = exits.filter(Exit.isSuccess).length
      assert.isAtLeast(succeeded, 5)
      assert.strictEqual(ended.succeeded, succeeded)
      assert.strictEqual(ended.saturated, 300 - succeeded)
      assert.isTrue(exits.every((exit) => Exit.isSuccess(exit) || reasonOf(exit) === "Saturated"))
    })
  )

  it.live(
    "is not sent without end what is cancelled again, and hears of no call that was cancelled in the same turn",
    () =>
      Effect.gen(function* () {
        const { tasks, thread } = yield* setup
        const release = yield* hold(thread)
        const brief = yield* start(tasks.double({ value: 1 }))
        yield* Fiber.interrupt(brief)
        let sent = 0
        for (let i = 0; i < 1000; i++) {
          const fiber = yield* start(Effect.exit(tasks.double({ value: i })))
          yield* nextTurn
          if (fiber.pollUnsafe() === undefined) sent++
          yield* Fiber.interrupt(fiber)
        }
        assert.strictEqual(sent, 256)
        yield* release
        const { ended } = yield* Offload.stats(tasks)
        assert.deepStrictEqual([ended.interrupted, ended.saturated], [257, 744])
        assert.strictEqual(yield* tasks.double({ value: 2 }), 4)
      })
  )

  it.live("lets deadlines and interruption end calls nevertheless", () =>
    Effect.gen(function* () {
      const { tasks, thread } = yield* setup
      const release = yield* hold(thread)
      const timedOut = yield* Effect.timeoutOption(tasks.double({ value: 1 }), "10 millis")
      assert.strictEqual(timedOut._tag, "None")
      yield* release
    })
  )
})

describe("OffloadHost, a host that is gone", () => {
  it.live("ends the calls that it had, and further ones, as unavailable", () =>
    Effect.gen(function* () {
      const { tasks, thread } = yield* setup
      const flags = makeFlags()
      const running = yield* start(Effect.exit(tasks.wait({ millis: 20_000, flags })))
      yield* raised(flags, 0)
      yield* Effect.promise(() => thread.terminate())
      assert.strictEqual(reasonOf(yield* Fiber.join(running)), "Unavailable")
      assert.strictEqual(reasonOf(yield* Effect.exit(tasks.double({ value: 1 }))), "Unavailable")
      assert.deepStrictEqual((yield* Offload.stats(tasks)).workers, [])
    })
  )

  it.live("makes the layer of a loop that is too late fail", () =>
    Effect.gen(function* () {
      const thread = yield* hostThread
      const port = yield* Effect.callback<MessagePort>(
        (resume) => void thread.once("message", (port) => resume(Effect.succeed(port)))
      )
      yield* Effect.promise(() => thread.terminate())
      const layer = Layer.provide(TestOffload.layerThreads({ worker }), OffloadHost.layerLink(port))
      assert.strictEqual(reasonOf(yield* Effect.exit(Layer.build(layer))), "Unavailable")
    })
  )
})
