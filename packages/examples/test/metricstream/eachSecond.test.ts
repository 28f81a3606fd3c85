import { assert, describe, it } from "@effect/vitest"
import { eachSecond, pauseUntil } from "@spillway/examples/metricstream/eachSecond"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"

/** When something is done that takes so many milliseconds, of about four seconds. */
const timesOf = Effect.fnUntraced(function* (takes: ReadonlyArray<number>) {
  const times: Array<number> = []
  const self = Effect.gen(function* () {
    times.push(yield* Clock.currentTimeMillis)
    yield* Effect.sleep(takes[times.length - 1] ?? 0)
  })
  yield* TestClock.setTime(1_790_000_000_123)
  yield* Effect.forkChild(eachSecond(self, 750), { startImmediately: true })
  yield* TestClock.adjust("4 seconds")
  return times.map((time) => time - 1_790_000_000_000)
})

describe("eachSecond", () => {
  it.effect("is at the same part of each second, however long it takes", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* timesOf([10, 30, 400, 20]), [750, 1750, 2750, 3750])
    })
  )

  it.effect("leaves out a second for which it is too late, and does nothing twice in its place", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* timesOf([700, 0, 0]), [750, 2750, 3750])
      assert.deepStrictEqual(yield* timesOf([2100, 0]), [750, 3750])
    })
  )

  it("waits for the next second where a timer came early, and for half of one at the least", () => {
    for (let now = 0; now < 3000; now++) {
      const pause = pauseUntil(now, 750)
      assert.strictEqual((now + pause) % 1000, 750)
      assert.isTrue(pause >= 500 && pause < 1500)
    }
    assert.strictEqual(pauseUntil(749, 750), 1001)
    assert.strictEqual(pauseUntil(750, 750), 1000)
  })
})
