import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { Deadline, Offload } from "@spillway/runtime"
import { makeFlags, raised, release } from "./fixtures/flags.ts"
import { FlowOffload, worker } from "./fixtures/flow.ts"
import { ScarceOffload, worker as scarce } from "./fixtures/scarce.ts"
import { TestOffload, worker as tasks } from "./fixtures/tasks.ts"

const provide = (options: Partial<Offload.ThreadsOptions> = {}) =>
  Effect.provide(FlowOffload.layerThreads({ worker, workers: 1, ...options }))

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("Offload.layerThreads, its workers and callers", () => {
  it.live("answers all of thousands of callers that are refused at once and try again", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const running = yield* fork(flow.hold({ millis: 20_000, flags }))
      yield* raised(flags, 0)
      const once = flow.tick({ flags: makeFlags() })
      const again = Effect.flip(Effect.catch(once, () => once))
      const callers = yield* Effect.forEach(Array.from({ length: 5000 }), () => fork(again))
      const errors = yield* Effect.timeout(Fiber.joinAll(callers), "15 seconds")
      assert.deepStrictEqual(new Set(errors.map(({ reason }) => reason._tag)), new Set(["Saturated"]))
      assert.strictEqual((yield* Offload.stats(flow)).ended.saturated, 10_000)
      release(flags)
      yield* Fiber.join(running)
    }).pipe(provide({ maxQueued: 5000, maxWait: "50 millis" }))
  )

  it.live("is unavailable, and does not hang, when only some of its workers can start", () =>
    Effect.gen(function* () {
      const starts = makeFlags()
      const layer = ScarceOffload.layerThreads({
        worker: scarce,
        workers: 3,
        maxStartAttempts: 2,
        data: { starts, most: 2 }
      })
      const error = yield* Effect.flip(Effect.timeout(Effect.provide(ScarceOffload, layer), "10 seconds"))
      assert.strictEqual(error._tag, "OffloadError")
      assert.include(error.message, "no connection left")
    })
  )

  it.live("tries ever more slowly to start spares that cannot start, while its workers serve", () => {
    const starts = makeFlags()
    return Effect.gen(function* () {
      const offload = yield* ScarceOffload
      yield* offload
        .threadId()
        .pipe(
          Effect.repeat({ until: () => Atomics.load(starts, 0) >= 4, schedule: Schedule.spaced("1 millis") }),
          Effect.timeout("10 seconds")
        )
      const began = performance.now()
      yield* offload
        .threadId()
        .pipe(
          Effect.repeat({ until: () => Atomics.load(starts, 0) >= 6, schedule: Schedule.spaced("1 millis") }),
          Effect.timeout("10 seconds")
        )
      // The fourth and fifth failed starts are followed by 200 and 400 ms.
      assert.isAtLeast(performance.now() - began, 400)
    }).pipe(
      Effect.provide(ScarceOffload.layerThreads({ worker: scarce, workers: 1, spares: 1, data: { starts, most: 1 } }))
    )
  })

  it.live("gives the room of a worker that it kills to a spare at once, whatever else that one still runs", () =>
    Effect.gen(function* () {
      const offload = yield* TestOffload
      const [deaf, well] = [makeFlags(), makeFlags()]
      const thread = yield* offload.threadId()
      const abandoned = yield* fork(offload.sleep({ millis: 60_000, flags: deaf }))
      const neighbour = yield* fork(offload.wait({ millis: 60_000, flags: well }))
      yield* raised(deaf, 0)
      yield* raised(well, 0)
      yield* Fiber.interrupt(abandoned)
      assert.notStrictEqual(yield* Effect.timeout(offload.threadId(), "10 seconds"), thread)
      yield* Fiber.interrupt(neighbour)
    }).pipe(
      Effect.provide(TestOffload.layerThreads({ worker: tasks, workers: 1, concurrency: 8, spares: 1, killGrace: 0 }))
    )
  )

  it.live("gives the room of a worker that has had its tasks to a spare, whatever else that one still runs", () =>
    Effect.gen(function* () {
      const offload = yield* TestOffload
      const flags = makeFlags()
      const long = yield* fork(offload.wait({ millis: 60_000, flags }))
      yield* raised(flags, 0)
      const threads = yield* Effect.timeout(
        Effect.forEach([1, 2, 3, 4, 5, 6], () => offload.threadId()),
        "10 seconds"
      )
      assert.isAtLeast(new Set(threads).size, 2)
      yield* Fiber.interrupt(long)
    }).pipe(Effect.provide(TestOffload.layerThreads({ worker: tasks, workers: 1, concurrency: 8, maxTasks: 3 })))
  )

  it.live("counts tasks whose deadline passed before they began", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const [holding, flags] = [makeFlags(), makeFlags()]
      const running = yield* fork(flow.hold({ millis: 20_000, flags: holding }))
      yield* raised(holding, 0)
      const late = Effect.flip(Deadline.within(flow.tick({ flags }), "20 millis"))
      yield* Effect.all([late, late, late], { concurrency: "unbounded" })
      const { ended } = yield* Offload.stats(flow)
      assert.deepStrictEqual([ended.deadlinePassed, ended.interrupted], [3, 0])
      release(holding)
      yield* Fiber.join(running)
      assert.strictEqual(Atomics.load(flags, 0), 0)
    }).pipe(provide())
  )

  it.live("replaces a killed thread by a spare that has started before", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      yield* Offload.stats(flow).pipe(
        Effect.repeat({ until: ({ spares }) => spares === 1, schedule: Schedule.spaced("2 millis") })
      )
      const running = yield* fork(flow.hold({ millis: 60_000, flags }))
      yield* raised(flags, 0)
      yield* Fiber.interrupt(running)
      yield* flow.threadId()
      assert.strictEqual((yield* Offload.stats(flow)).workers[0]!.name, "test/crew-2")
    }).pipe(provide({ name: "test/crew", killGrace: 0 }))
  )
})
