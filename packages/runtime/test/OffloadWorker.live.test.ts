import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { Offload } from "@spillway/runtime"
import { Unavailable } from "@spillway/runtime/OffloadError"
import type { OffloadError } from "@spillway/runtime/OffloadError"
import { serve } from "@spillway/runtime/OffloadWorker"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { ModulesOffload } from "./fixtures/modules.ts"
import { GuardedOffload, OddOffload, worker as odd } from "./fixtures/odd.ts"

const worker = new URL("./fixtures/modules.worker.mjs", import.meta.url)

const cannotStart = <A>(layer: Layer.Layer<A, OffloadError>) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), ({ message, reason }) => {
    assert.instanceOf(reason, Unavailable)
    return message
  })

describe("OffloadWorker", () => {
  it.live("loads no module of Effect into a worker of plain functions", () =>
    Effect.gen(function* () {
      const loaded = (yield* (yield* ModulesOffload).loaded()).filter((url) => url.startsWith("file:"))
      const ours = loaded.map((url) => url.replace(/.*\/(?=(test|src)\/)/, "")).toSorted()
      assert.deepStrictEqual(ours, [
        "src/OffloadWorker.ts",
        "src/internal/offload/protocol.ts",
        "src/internal/offload/worker/streaming.ts",
        "src/internal/offload/worker/task.ts",
        "src/internal/offload/worker/workerLoop.ts",
        "test/fixtures/modules.inner.worker.ts"
      ])
    }).pipe(Effect.provide(ModulesOffload.layerThreads({ worker, workers: 1, spares: 0 })))
  )

  it("says what is wrong when a worker file is run by itself", () => {
    assert.throws(() => serve({} as never), /OffloadWorker.serve: this file is a worker of Offload.layerThreads/)
  })

  it.live("leaves the parent port of the thread to the code of the worker", () =>
    Effect.gen(function* () {
      const tasks = yield* OddOffload
      assert.strictEqual(yield* tasks.post(), 1)
      assert.strictEqual(yield* tasks.post(), 1)
      const { crashed, running } = yield* Offload.stats(tasks)
      assert.deepStrictEqual({ crashed, running }, { crashed: 0, running: 0 })
    }).pipe(Effect.provide(OddOffload.layerThreads({ worker: odd(), workers: 1 })))
  )

  it.live("calls handlers as methods", () =>
    Effect.gen(function* () {
      const tasks = yield* OddOffload
      assert.strictEqual(yield* tasks.state(), 1)
      assert.deepStrictEqual(yield* Stream.runCollect(tasks.states()), [1])
    }).pipe(Effect.provide(OddOffload.layerThreads({ worker: odd(), workers: 1 })))
  )

  for (const way of ["throwIfAborted", "reason", "aborted"] as const) {
    it.live(`aborts the signal of a synchronous loop that asks it for ${way}`, () =>
      Effect.gen(function* () {
        const flags = makeFlags()
        const tasks = yield* OddOffload
        const fiber = yield* Effect.forkChild(tasks.heed({ way, flags }))
        yield* raised(flags, 0)
        yield* Fiber.interrupt(fiber)
        yield* raised(flags, 1)
        assert.strictEqual(yield* tasks.state(), 1)
        // Its listeners were called, once.
        assert.strictEqual(flags[2], 1)
        assert.strictEqual((yield* Offload.stats(tasks)).killed, 0)
      }).pipe(
        Effect.provide(OddOffload.layerThreads({ worker: odd(), workers: 1, killGrace: "20 seconds" })),
        Effect.timeout("10 seconds")
      )
    )
  }

  it.live("cannot start when it serves twice", () =>
    Effect.gen(function* () {
      const layer = OddOffload.layerThreads({ worker: odd("Twice"), workers: 1, maxStartAttempts: 2 })
      assert.include(yield* cannotStart(layer), "OffloadWorker.serve: a worker serves once")
    })
  )

  it.live("becomes unavailable when it serves again after it was ready", () =>
    Effect.gen(function* () {
      const tasks = yield* OddOffload
      const error = yield* tasks.state().pipe(
        Effect.flatMap(() => Effect.sleep("5 millis")),
        Effect.retry({ while: ({ reason }) => reason._tag !== "Unavailable" }),
        Effect.forever,
        Effect.flip
      )
      assert.include(error.message, "OffloadWorker.serve: a worker serves once")
    }).pipe(
      Effect.provide(OddOffload.layerThreads({ worker: odd("TwiceLater"), workers: 1, maxStartAttempts: 2 })),
      Effect.timeout("10 seconds")
    )
  )

  it.live("cannot start with plain functions for a task that has middlewares", () =>
    Effect.gen(function* () {
      const layer = GuardedOffload.layerThreads({ worker: odd(), workers: 1, maxStartAttempts: 1 })
      const message = yield* cannotStart(layer)
      const why =
        'plain functions run without middlewares, and "secret" has some: serve a layer of handlers instead (OffloadEffectWorker)'
      assert.include(message, why)
      const inline = GuardedOffload.layerInline({ open: () => {}, secret: () => 42 })
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(inline)))
      assert.strictEqual(Exit.isFailure(exit) && String(Cause.squash(exit.cause)), `Error: Offload.layerInline: ${why}`)
    })
  )

  it.live("says that a worker file ended without calling serve", () =>
    Effect.gen(function* () {
      const silent = new URL("data:text/javascript,")
      const layer = OddOffload.layerThreads({ worker: silent, workers: 1, maxStartAttempts: 1 })
      assert.include(yield* cannotStart(layer), "it ended without calling serve")
    })
  )

  it.live("ends the thread after close, whatever is open in it", () =>
    Effect.gen(function* () {
      const closed = makeFlags()
      const scope = yield* Scope.make()
      const layer = OddOffload.layerThreads({ worker: odd("OpenHandle"), workers: 1, data: closed })
      yield* Layer.buildWithScope(layer, scope)
      // A thread that does not end by itself is killed after a second.
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.isBelow(Duration.toMillis(took), 900)
      assert.strictEqual(closed[0], 1)
    })
  )
})
