import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Offload } from "@spillway/runtime"
import { makeFlags, raised, release } from "./fixtures/flags.ts"
import { FlowOffload, worker } from "./fixtures/flow.ts"

const provide = (options = {}) => Effect.provide(FlowOffload.layerThreads({ worker, workers: 1, ...options }))

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Makes a task known as short, so that it is prefetched behind others of its kind. */
const warmUp = (flow: FlowOffload["Service"]) =>
  Effect.forEach(Array.from({ length: 20 }), () => flow.tick({ flags: makeFlags() }), { discard: true })

describe("Offload.layerThreads, prefetch", () => {
  it.live("never runs a prefetched task whose caller has gone", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      yield* warmUp(flow)
      const flags = makeFlags()
      // All are submitted in one turn of the event loop: the first is on its way, the others lie behind it.
      const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () => fork(flow.tick({ flags })))
      yield* Effect.forEach(fibers.slice(1), Fiber.interrupt, { discard: true })
      yield* Fiber.join(fibers[0]!)
      yield* flow.threadId()
      assert.strictEqual(Atomics.load(flags, 0), 1)
    }).pipe(provide())
  )

  it.live("counts prefetched tasks as waiting", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      yield* warmUp(flow)
      const flags = makeFlags()
      const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () => fork(Effect.exit(flow.tick({ flags }))))
      const { queued, running } = yield* Offload.stats(flow)
      assert.deepStrictEqual([running, queued], [1, 5])
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(exits.filter(({ _tag }) => _tag === "Success").length, 6)
      assert.strictEqual((yield* Offload.stats(flow)).ended.saturated, 4)
    }).pipe(provide({ maxQueued: 5 }))
  )

  it.live("gives the prefetched tasks of a stuck worker to another one", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      yield* warmUp(flow)
      const [holding, ticks] = [makeFlags(), makeFlags()]
      // `hold` has only ever been short, so tasks are put behind it.
      yield* Effect.forEach(Array.from({ length: 20 }), () => flow.hold({ millis: 0, flags: makeFlags() }), {
        discard: true
      })
      const stuck = yield* Effect.forEach([1, 2], () => fork(flow.hold({ millis: 20_000, flags: holding })))
      const waiting = yield* Effect.forEach(Array.from({ length: 12 }), () => fork(flow.tick({ flags: ticks })))
      yield* raised(holding, 0, 2)
      // Both workers are stuck. One of them is set free, and has to run what lies before the other, too.
      yield* Fiber.interrupt(stuck[0]!)
      yield* Effect.timeout(Effect.forEach(waiting, Fiber.join), "10 seconds")
      assert.strictEqual(Atomics.load(ticks, 0), 12)
      yield* Fiber.interrupt(stuck[1]!)
    }).pipe(provide({ workers: 2, killGrace: 0, drainTimeout: 0 }))
  )

  it.live("runs the prefetched tasks of a worker that dies elsewhere, each once", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      yield* warmUp(flow)
      yield* Effect.forEach(Array.from({ length: 20 }), () => flow.hold({ millis: 0, flags: makeFlags() }), {
        discard: true
      })
      const [holding, ticks] = [makeFlags(), makeFlags()]
      const dying = yield* fork(flow.hold({ millis: 20_000, flags: holding }, { timeout: "1 millis" }))
      const waiting = yield* Effect.forEach(Array.from({ length: 12 }), () => fork(flow.tick({ flags: ticks })))
      assert.strictEqual((yield* Effect.flip(Fiber.join(dying))).reason._tag, "TimedOut")
      const turns = yield* Effect.forEach(waiting, Fiber.join)
      assert.deepStrictEqual(
        turns,
        Array.from({ length: 12 }, (_, i) => i)
      )
    }).pipe(provide({ killGrace: 0 }))
  )

  it.live("takes prefetched tasks back for one more urgent that would be refused for them", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      yield* warmUp(flow)
      // `hold` has only ever been short, so tasks are put behind it.
      yield* Effect.forEach(Array.from({ length: 20 }), () => flow.hold({ millis: 0, flags: makeFlags() }), {
        discard: true
      })
      const [holding, ticks] = [makeFlags(), makeFlags()]
      const running = yield* fork(flow.hold({ millis: 20_000, flags: holding }))
      const fibers = yield* Effect.forEach(Array.from({ length: 3 }), () =>
        fork(Effect.result(flow.tick({ flags: ticks }, { priority: "low" })))
      )
      const urgent = yield* fork(flow.tick({ flags: ticks }, { priority: "high" }))
      release(holding)
      assert.strictEqual(yield* Fiber.join(urgent), 0)
      yield* Fiber.join(running)
      const results = yield* Effect.forEach(fibers, Fiber.join)
      const refused = results.filter(({ _tag }) => _tag === "Failure")
      assert.strictEqual(refused.length, 1)
    }).pipe(provide({ maxQueued: 3 }))
  )

  it.live("refuses no task for others that have ended, though the event loop has not heard of it", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      // Long enough to be sent at once, not at the end of the turn.
      yield* Effect.forEach(Array.from({ length: 20 }), () => flow.hold({ millis: 0.3, flags: makeFlags() }), {
        discard: true
      })
      const flags = makeFlags()
      release(flags)
      const fibers = yield* Effect.forEach(Array.from({ length: 4 }), () => fork(flow.hold({ millis: 20_000, flags })))
      // In the same turn of the loop, when the worker has run all four.
      yield* Effect.sync(() => {
        for (let waits = 0; waits < 1000 && Atomics.load(flags, 0) < 4; waits++) Atomics.wait(flags, 2, 0, 5)
        Atomics.wait(flags, 2, 0, 20)
      })
      fibers.push(yield* fork(flow.hold({ millis: 20_000, flags })))
      const orders = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(orders, [0, 1, 2, 3, 4])
      assert.strictEqual((yield* Offload.stats(flow)).ended.saturated, 0)
    }).pipe(provide({ maxQueued: 3 }))
  )

  it.live("does not put a task behind one that is long, or of which nothing is known", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      yield* warmUp(flow)
      const [holding, ticks] = [makeFlags(), makeFlags()]
      const running = yield* fork(flow.hold({ millis: 50, flags: holding }))
      const waiting = yield* fork(flow.tick({ flags: ticks }))
      yield* raised(holding, 0)
      yield* Fiber.interrupt(waiting)
      yield* Fiber.join(running)
      assert.strictEqual(Atomics.load(ticks, 0), 0)
    }).pipe(provide())
  )

  it.live("answers each call when one of those sent together cannot be cloned", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      yield* warmUp(flow)
      const flags = makeFlags()
      const calls = [flags, () => 1, flags].map((value) => Effect.exit(flow.tick({ flags: value })))
      const exits = yield* Effect.all(calls, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        exits.map(({ _tag }) => _tag),
        ["Success", "Failure", "Success"]
      )
      assert.strictEqual((yield* Offload.stats(flow)).running, 0)
    }).pipe(provide())
  )
})
