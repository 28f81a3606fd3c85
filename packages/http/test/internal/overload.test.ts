import { assert, describe, it } from "@effect/vitest"
import { DecayingRate } from "../../src/internal/decayingRate.ts"
import { sliceMillis, Turn } from "../../src/internal/turn.ts"

describe("DecayingRate", () => {
  it("tells what happens a second, soon after it began as well as later, and forgets it", () => {
    const rate = new DecayingRate(2000)
    assert.strictEqual(rate.perSecond(0), 0)
    let now = 0
    for (; now < 500; now += 10) rate.add(now)
    assert.approximately(rate.perSecond(now), 100, 5)
    for (; now < 10_000; now += 10) rate.add(now)
    assert.approximately(rate.perSecond(now), 100, 5)
    assert.isBelow(rate.perSecond(now + 20_000), 0.1)
    // It begins anew, and does not count the time in which nothing happened.
    for (now = 50_000; now < 50_500; now += 10) rate.add(now)
    assert.approximately(rate.perSecond(now), 100, 5)
  })
})

describe("Turn", () => {
  const setUp = () => {
    const turns: Array<() => void> = []
    return { turn: new Turn((run) => turns.push(run)), end: () => turns.splice(0).forEach((run) => run()) }
  }

  it("has time for its slice, from the first that is started until it ends", () => {
    const { end, turn } = setUp()
    assert.deepStrictEqual(
      [0, sliceMillis - 1, sliceMillis].map((now) => turn.hasTime(now)),
      [true, true, false]
    )
    end()
    assert.isTrue(turn.hasTime(sliceMillis))
  })

  it("starts nothing as it comes while connections are accepted", () => {
    const { end, turn } = setUp()
    assert.isTrue(turn.mayStart(0))
    end()
    turn.arrived()
    assert.isTrue(turn.mayStart(1))
    end()
    turn.accepted()
    assert.isFalse(turn.mayStart(1))
    assert.isFalse(turn.mayRun(1))
    end()
    assert.isTrue(turn.mayRun(1))
    end()
    assert.isTrue(turn.mayStart(1))
  })

  it("lets the loop turn again before one that waited while connections come, for a slice at most", () => {
    const { end, turn } = setUp()
    const next = (now: number) => {
      const may = turn.mayRun(now)
      end()
      return may
    }
    assert.isTrue(next(0))
    const came = [0, 1, 1.5, sliceMillis].map((now) => {
      turn.arrived()
      return next(now)
    })
    assert.deepStrictEqual(came, [false, false, false, true])
    turn.arrived()
    assert.deepStrictEqual([next(10), next(10)], [false, true])
  })
})
