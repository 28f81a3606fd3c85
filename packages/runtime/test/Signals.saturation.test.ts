import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Bulkhead from "@spillway/runtime/Bulkhead"
import * as Offload from "@spillway/runtime/Offload"
import { saturationOf } from "../src/internal/saturation.ts"

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** How near a queue is to refusing whose work takes 10 ms. */
const saturation = (
  level: { readonly running?: number; readonly queued: number },
  bounds: Partial<Parameters<typeof saturationOf>[2]>,
  { meanHold = 10, overloaded = false }: { readonly meanHold?: number | undefined; readonly overloaded?: boolean } = {}
) =>
  saturationOf(
    { meanHold, overloaded: () => overloaded },
    { running: 4, capacity: 4, ...level },
    { maxQueued: 100, maxWait: Infinity, codel: undefined, ...bounds },
    0
  )

describe("The saturation of a queue", () => {
  it("is how full it is, at most 1", () => {
    assert.deepStrictEqual(
      [0, 1, 50, 100, 120].map((queued) => saturation({ queued }, {})),
      [0, 0.01, 0.5, 1, 1]
    )
    assert.strictEqual(saturation({ queued: 1000 }, { maxQueued: Infinity }), 0)
  })

  it("is the wait to expect as a share of the longest one, if that is more", () => {
    assert.strictEqual(saturation({ queued: 20 }, { maxWait: 100 }), 0.5)
    assert.strictEqual(saturation({ queued: 20 }, { maxWait: 10 }), 1)
    assert.strictEqual(saturation({ queued: 20 }, { maxWait: 100 }, { meanHold: 0 }), 0.2)
  })

  it("is the wait as a share of that which CoDel bears, while it sheds", () => {
    const bounds = { codel: { maxTarget: 1000 } }
    assert.strictEqual(saturation({ queued: 4 }, bounds), 0.04)
    assert.strictEqual(saturation({ queued: 4 }, bounds, { overloaded: true }), 0.5)
    assert.strictEqual(saturation({ queued: 8 }, bounds, { overloaded: true }), 1)
    assert.strictEqual(saturation({ queued: 4 }, bounds, { overloaded: true, meanHold: 4000 }), 1)
    assert.strictEqual(saturation({ queued: 4 }, { codel: { target: 50 } }, { overloaded: true }), 0.1)
    assert.strictEqual(saturation({ queued: 4 }, { codel: {} }, { overloaded: true, meanHold: 1 }), 0.1)
    // An adaptive order without `codel` measures, too, but sheds nothing.
    assert.strictEqual(saturation({ queued: 4 }, {}, { overloaded: true }), 0.04)
  })

  it("is whether all permits are out where nothing may wait", () => {
    for (const bounds of [{ maxQueued: 0 }, { maxWait: 0 }]) {
      assert.strictEqual(saturation({ running: 3, queued: 0 }, bounds), 0)
      assert.strictEqual(saturation({ running: 4, queued: 0 }, bounds), 1)
    }
  })

  it.effect("is that of a bulkhead", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 4 })
      const fibers = yield* Effect.forEach([1, 2, 3], () => start(bulkhead.withPermit(Effect.sleep("1 second"))))
      assert.strictEqual(yield* bulkhead.saturation, 0.5)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* bulkhead.saturation, 0.25)
      yield* Effect.forEach(fibers, (fiber) => Fiber.interrupt(fiber))
      assert.strictEqual(yield* bulkhead.saturation, 0)
    })
  )

  it.effect("is that of a bulkhead which sheds, near 1 although its queue is far from full", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 1000, codel: { target: "20 millis" } })
      const call = start(Effect.exit(bulkhead.withPermit(Effect.sleep("10 millis"))))
      // Two come for each that can be served.
      for (let i = 0; i < 100; i++) {
        yield* call
        yield* TestClock.adjust("5 millis")
      }
      assert.isAbove(yield* bulkhead.saturation, 0.5)
      assert.isBelow((yield* bulkhead.stats).queued, 50)
    })
  )

  it.effect("is that of an offload alone", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* Effect.exit(Offload.saturation({})),
        Exit.die(new TypeError("Offload.saturation: this is not the client of an offload"))
      )
    })
  )
})
