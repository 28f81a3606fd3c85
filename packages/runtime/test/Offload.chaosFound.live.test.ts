import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule } from "effect"
import { Offload } from "@spillway/runtime"
import { ChaosOffload, worker } from "./fixtures/chaos.ts"
import { makeMemory } from "./fixtures/chaosMemory.ts"
import { raised } from "./fixtures/flags.ts"

const provide = (options: Partial<Offload.ThreadsOptions>, memory = makeMemory(10, 0)) =>
  Effect.provide(
    ChaosOffload.layerThreads({ worker, workers: 1, spares: 0, drainTimeout: 0, ...options, data: memory })
  )

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const call = { id: 0, millis: 0, mode: "return", extra: undefined } as const

const soon = Effect.timeout("10 seconds")

/** What the seeds of the chaos test have brought to light. */
describe("Offload.layerThreads, after chaos", () => {
  it.live("has room again when a task was interrupted that could not have been cloned", () =>
    Effect.gen(function* () {
      const tasks = yield* ChaosOffload
      // Short tasks are sent at the end of the turn.
      yield* Effect.forEach(Array.from({ length: 50 }), () => tasks.quick(call), { discard: true })
      const uncloneable = yield* fork(tasks.quick({ ...call, extra: () => 1 }))
      const next = yield* fork(tasks.work(call))
      yield* Fiber.interrupt(uncloneable)
      assert.strictEqual(yield* soon(Fiber.join(next)), 0.5)
    }).pipe(provide({ prefetch: 0 }))
  )

  it.live("replaces a worker whose last task was taken back after it was to be replaced", () =>
    Effect.gen(function* () {
      const tasks = yield* ChaosOffload
      // The worker asks to be replaced as it answers the first, and takes its time to read the second.
      const large = { ...call, bytes: new Uint8Array(1), extra: new Uint8Array(64 * 2 ** 20) }
      yield* tasks.quick(call)
      const second = yield* fork(tasks.move(large))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(second)
      assert.strictEqual(yield* soon(tasks.quick(call)), 0.5)
      const { recycled } = yield* soon(
        Effect.repeat(Offload.stats(tasks), { until: ({ recycled }) => recycled > 0, schedule: Schedule.spaced(2) })
      )
      assert.isAbove(recycled, 0)
    }).pipe(provide({ maxHeap: 0.001 }))
  )

  const memory = makeMemory(2, 0)

  it.live("kills no cooperative task that nobody waits for because of the task beside it", () =>
    Effect.gen(function* () {
      const tasks = yield* ChaosOffload
      const waiting = { ...call, mode: "waitDeaf", millis: 100 } as const
      const cooperative = yield* fork(tasks.work(waiting, { cancellation: "cooperative" }))
      const killable = yield* fork(tasks.work({ ...waiting, id: 1, millis: 60_000 }))
      yield* raised(memory.begun, 0)
      yield* raised(memory.begun, 1)
      yield* Fiber.interrupt(cooperative)
      yield* Fiber.interrupt(killable)
      assert.strictEqual(yield* soon(tasks.quick(call)), 0.5)
      assert.deepStrictEqual(Array.from(memory.ended), [2, 0])
    }).pipe(provide({ concurrency: 2, killGrace: 0 }, memory))
  )

  it.live("does not take tasks that end their worker for a worker that cannot start", () =>
    Effect.gen(function* () {
      const tasks = yield* ChaosOffload
      const exits = yield* Effect.forEach([1, 2, 3], () => fork(Effect.exit(tasks.quick({ ...call, mode: "exit" }))))
      const next = yield* fork(tasks.quick(call))
      assert.strictEqual((yield* Effect.forEach(exits, Fiber.join)).filter(Exit.isFailure).length, 3)
      assert.strictEqual(yield* soon(Fiber.join(next)), 0.5)
    }).pipe(provide({ maxStartAttempts: 2 }))
  )

  it.live("has one more worker when a task is refused because none may wait", () =>
    Effect.gen(function* () {
      const tasks = yield* ChaosOffload
      const meet = Effect.retry(tasks.meet({ meeting: 0, parties: 3 }), { schedule: Schedule.spaced(3) })
      const met = yield* soon(Effect.all([meet, meet, meet], { concurrency: "unbounded" }))
      assert.deepStrictEqual(met, [true, true, true])
    }).pipe(provide({ minWorkers: 1, maxWorkers: 3, maxQueued: 0 }))
  )
})
