import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Offload } from "@spillway/runtime"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { FlowOffload, worker } from "./fixtures/flow.ts"

const provide = (options: Partial<Offload.ThreadsOptions>) =>
  Effect.provide(FlowOffload.layerThreads({ worker, workers: 1, prefetch: 0, ...options }))

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Has four tasks wait behind one, and tells in which turn each of them ran. */
const turns = Effect.gen(function* () {
  const flow = yield* FlowOffload
  const [first, flags] = [makeFlags(), makeFlags()]
  const running = yield* fork(flow.hold({ millis: 50, flags: first }))
  yield* raised(first, 0)
  const waiting = yield* Effect.forEach([1, 2, 3, 4], () => fork(flow.tick({ flags })))
  yield* Fiber.join(running)
  return yield* Effect.forEach(waiting, Fiber.join)
})

describe("Offload.layerThreads, order", () => {
  it.live("serves the one that waited longest first", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* turns, [0, 1, 2, 3])
    }).pipe(provide({ order: "fifo" }))
  )

  it.live("serves the newest first with order lifo", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* turns, [3, 2, 1, 0])
    }).pipe(provide({ order: "lifo" }))
  )

  it.live("sheds what waited too long once waiting is the rule, with codel", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const calls = Array.from({ length: 100 }, () => Effect.result(flow.hold({ millis: 5, flags })))
      const results = yield* Effect.all(calls, { concurrency: "unbounded" })
      const reasons = results.flatMap((result) => (result._tag === "Failure" ? [result.failure.reason] : []))
      assert.isTrue(
        reasons.length > 0 && reasons.every((reason) => reason._tag === "Saturated" && reason.why === "Shed")
      )
      // Those that were served, and only those, have run.
      assert.strictEqual(Atomics.load(flags, 0), 100 - reasons.length)
      assert.strictEqual((yield* Offload.stats(flow)).ended.saturated, reasons.length)
    }).pipe(provide({ codel: { target: "5 millis", interval: "20 millis" } }))
  )
})
