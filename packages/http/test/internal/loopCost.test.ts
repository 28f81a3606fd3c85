import { assert, describe, it } from "@effect/vitest"
import { LoopCost } from "../../src/internal/loopCost.ts"

/** What is true of a loop: what each takes, in milliseconds. */
interface Truth {
  readonly perCome?: number
  readonly perEnded?: number
  readonly perMilli?: number
}

interface Numbers {
  readonly came: (i: number) => number
  readonly ended: (i: number) => number
}

/** Five seconds of such a loop. */
const watch = (
  { perCome = 0, perEnded = 0, perMilli = 0 }: Truth,
  { came, ended }: Numbers,
  costs = new LoopCost(),
  held = 1000
) => {
  for (let i = 0; i < 50; i++) {
    const sample = { elapsed: 100, came: came(i), ended: ended(i) }
    const busy = perCome * sample.came + perEnded * sample.ended + perMilli * sample.elapsed
    costs.add({ ...sample, busy: Math.min(100, busy), held: held * sample.ended }, 1)
  }
  return costs
}

describe("LoopCost", () => {
  it("knows the mean of about the last second", () => {
    const costs = watch({ perEnded: 2 }, { came: () => 10, ended: (i) => (i < 40 ? 10 : 5) })
    assert.strictEqual(costs.mean, 2)
    assert.closeTo(costs.ended, 71, 1)
  })

  it("takes nothing for theirs that is more than the time in which they were inside, and 0.2 ms", () => {
    const costs = watch({ perMilli: 0.4 }, { came: () => 10, ended: () => 10 }, new LoopCost(), 1.8)
    assert.closeTo(costs.mean, 2, 1e-9)
    assert.closeTo(costs.share, 0.8, 1e-9)
    assert.closeTo(costs.speed, 0.8, 1e-9)
    assert.closeTo(watch({ perMilli: 0.4 }, { came: () => 10, ended: () => 10 }).share, 1, 1e-9)
  })

  it("lays at the door of those who were let in what could be anybody's", () => {
    const costs = watch({ perEnded: 2, perMilli: 0.2 }, { came: () => 10, ended: () => 10 })
    assert.strictEqual(costs.mean, 4)
    assert.strictEqual(costs.speed, 1)
  })

  it("tells those who were let in from those who only came, and from time", () => {
    const numbers = { came: (i: number) => 200 + 80 * (i % 3), ended: (i: number) => 4 * (i % 4) }
    const costs = watch({ perCome: 0.1, perEnded: 1, perMilli: 0.2 }, numbers)
    // 28 of 100 ms by those who come, 20 by time itself, and 6 by 6 who end.
    assert.closeTo(costs.mean, 9, 0.5)
    assert.closeTo(costs.speed / costs.mean, 0.53, 0.05)
  })

  it("takes a twentieth of the mean for the least that one can take who was let in", () => {
    const costs = watch({ perCome: 0.5 }, { came: (i) => 20 * (i % 5), ended: (i) => i % 3 })
    const busy = 0.5 * 40
    assert.closeTo(costs.speed, 20 * (1 - (0.95 * busy) / 100), 0.5)
  })

  it("lets in as many as end while the loop is busy all the time", () => {
    const costs = watch(
      { perCome: 0.5, perEnded: 1, perMilli: 0.9 },
      { came: (i) => 100 + (i % 7), ended: (i) => 4 + (i % 3) }
    )
    assert.closeTo(costs.speed, 1, 1e-9)
  })

  it("knows new costs a second later, after others, and after nothing", () => {
    const numbers = { came: () => 10, ended: (i: number) => 5 + (i % 5) }
    const costs = watch({ perEnded: 5 }, numbers, watch({ perEnded: 0.1, perMilli: 0.5 }, numbers))
    assert.closeTo(costs.speed, 1, 0.02)
    const nothing = watch({}, { came: () => 0, ended: () => 0 }, costs)
    assert.isBelow(nothing.ended, 1)
    assert.closeTo(watch({ perEnded: 5 }, numbers, nothing).mean, 5, 0.1)
  })

  it("is 1 for a loop that is never busy", () => {
    assert.strictEqual(watch({}, { came: () => 10, ended: () => 10 }).speed, 1)
  })
})
