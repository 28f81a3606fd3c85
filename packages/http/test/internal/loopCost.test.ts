import { assert, describe, it } from "@effect/vitest"
import { LoopCost } from "../../src/internal/loopCost.ts"

/** What is true of a loop: what each takes, in milliseconds. */
interface Truth {
  readonly perCome: number
  readonly perEnded: number
  readonly perMilli: number
}

/** So many seconds of such a loop, with numbers of requests that change. */
const watch = (truth: Truth, { came, ended }: { came: (i: number) => number; ended: (i: number) => number }) => {
  const costs = new LoopCost()
  for (let i = 0; i < 50; i++) {
    const sample = { elapsed: 100, came: came(i), ended: ended(i) }
    const busy = truth.perCome * sample.came + truth.perEnded * sample.ended + truth.perMilli * sample.elapsed
    costs.add({ ...sample, busy: Math.min(100, busy) })
  }
  return costs
}

describe("LoopCost", () => {
  it("knows the mean of about the last second", () => {
    const costs = watch({ perCome: 0, perEnded: 2, perMilli: 0 }, { came: () => 10, ended: (i) => (i < 40 ? 10 : 5) })
    assert.strictEqual(costs.mean, 2)
    assert.closeTo(costs.ended, 71, 1)
  })

  it("lays at the door of those who were let in what could be anybody's", () => {
    const costs = watch({ perCome: 0, perEnded: 2, perMilli: 0.2 }, { came: () => 10, ended: () => 10 })
    assert.strictEqual(costs.mean, 4)
    assert.closeTo(costs.excess, 1, 0.01)
    assert.closeTo(costs.speed, 1, 0.01)
  })

  it("tells those who were let in from those who only came, and from time", () => {
    const numbers = { came: (i: number) => 200 + 80 * (i % 3), ended: (i: number) => 4 * (i % 4) }
    const costs = watch({ perCome: 0.1, perEnded: 1, perMilli: 0.2 }, numbers)
    // 28 of 100 ms by those who come, 20 by time itself, and 6 by 6 who end.
    assert.closeTo(costs.mean, 9, 0.5)
    assert.closeTo(costs.mean / costs.excess, 1.25, 0.15)
    assert.closeTo(costs.speed / costs.mean, 0.53 / 1.25, 0.05)
  })

  it("takes nobody to give time back", () => {
    const numbers = { came: (i: number) => 100 - (i % 5), ended: (i: number) => 10 + (i % 5) }
    const costs = watch({ perCome: 0, perEnded: 4, perMilli: 0 }, numbers)
    assert.closeTo(costs.mean / costs.excess, 4, 0.1)
  })

  it("takes a twentieth of the mean for the least that one can take who was let in", () => {
    const numbers = { came: (i: number) => 20 * (i % 5), ended: (i: number) => i % 3 }
    const costs = watch({ perCome: 0.5, perEnded: 0, perMilli: 0 }, numbers)
    assert.strictEqual(costs.excess, 20)
  })

  it("lets in as many as end while the loop is busy all the time, whoever takes the time", () => {
    for (const perEnded of [0.2, 1, 5]) {
      const costs = watch(
        { perCome: 0.5, perEnded, perMilli: 0.9 },
        { came: (i) => 100 + (i % 7), ended: (i) => 4 + (i % 3) }
      )
      assert.closeTo((costs.speed / costs.mean) * 100, 5, 0.3)
    }
  })
})
