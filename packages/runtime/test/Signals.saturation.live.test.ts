import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { LoadSignals, Offload, OffloadHost } from "@spillway/runtime"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { TestOffload, worker } from "./fixtures/tasks.ts"

const soon = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.timeout(self, "10 seconds")

/** One thread, on which a task spins, and two tasks that wait for it, where four may. */
const filled = Effect.gen(function* () {
  const tasks = yield* TestOffload
  const signal = LoadSignals.saturation("tasks", () => Effect.runSync(Offload.saturation(tasks)), { smoothing: 0 })
  const signals = LoadSignals.make([signal])
  const reached = (saturation: number) =>
    soon(
      Effect.repeat(
        Effect.tap(
          Effect.sync(() => signal.sample()),
          () => Effect.sleep(2)
        ),
        { until: (sample) => sample === saturation }
      )
    )
  yield* reached(0)
  const flags = makeFlags()
  const spinning = yield* Effect.forkChild(tasks.spin({ heedful: true, flags }))
  yield* raised(flags, 0)
  const waiting = yield* Effect.forEach([1, 2], (value) => Effect.forkChild(tasks.double({ value })))
  yield* reached(0.5)
  const more = yield* Effect.forEach([3, 4], (value) => Effect.forkChild(tasks.double({ value })))
  yield* reached(1)
  signals.update(0)
  assert.deepStrictEqual([signals.pressure, signals.refuse("normal", 0)], [1, "tasks"])
  yield* Fiber.interrupt(spinning)
  yield* soon(Effect.forEach([...waiting, ...more], (fiber) => Fiber.join(fiber)))
  yield* reached(0)
})

const options = { worker, workers: 1, maxQueued: 4, spares: 0 }

describe("Offload.saturation", () => {
  it.live("says how full a pool of threads is, at once", () =>
    filled.pipe(Effect.provide(TestOffload.layerThreads(options)))
  )

  it.live("says how full a pool of the host is, to each loop, at once", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const port = yield* host.connect
      yield* filled.pipe(
        Effect.provide(TestOffload.layerThreads(options).pipe(Layer.provide(OffloadHost.layerLink(port))))
      )
    })
  )
})
