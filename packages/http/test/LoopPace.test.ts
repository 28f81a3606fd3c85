import { LoopPace } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"

/** A pace on a loop that is as busy as it is told. */
const setUp = () => {
  const loop = { now: 0, busy: 0 }
  const pace = LoopPace.make({ target: 20, busyTime: () => loop.busy })
  pace.begin(0)
  /** Lets time pass, in steps of a probe. */
  const pass = (millis: number, { busy = 0, inside = 10, isWaiting = false, late = 0, meanHold = 10 } = {}) => {
    for (let passed = 0; passed < millis; passed += 10) {
      loop.now += 10
      loop.busy += 10 * busy
      pace.probe({ now: loop.now, late, isWaiting, inside, meanHold })
    }
  }
  const serve = (count: number, held = 1000) => {
    for (let i = 0; i < count; i++) pace.ended(held)
  }
  /** How many start at once. */
  const burst = (isWaiting: boolean) => {
    let count = 0
    while (count < 1000 && pace.mayStart(loop.now, 100, isWaiting)) {
      pace.started()
      count++
    }
    return count
  }
  return { pace, loop, pass, serve, burst }
}

describe("LoopPace", () => {
  it("takes as the cost of a request the time that the loop was busy by those that it served", () => {
    const { pace, pass, serve } = setUp()
    assert.isUndefined(pace.cost)
    serve(10)
    pass(100, { busy: 0.5 })
    assert.strictEqual(pace.cost, 5)
    for (let i = 0; i < 50; i++) {
      serve(10)
      pass(100, { busy: 0.1 })
    }
    assert.closeTo(pace.cost!, 1, 0.05)
  })

  it("takes no more for it than they were inside, and 0.2 ms, and leaves the others their time", () => {
    const { burst, pace, pass, serve } = setUp()
    for (let i = 0; i < 50; i++) {
      serve(10, 0.3)
      pass(100, { busy: 0.4 })
    }
    assert.closeTo(pace.cost!, 0.5, 1e-9)
    assert.closeTo(burst(false), 400, 1)
    let count = 0
    for (let i = 0; i < 10; i++) {
      pass(10, { busy: 1, isWaiting: true })
      count += burst(true)
    }
    // Others take 35 of 100 ms, and those who were served 5.
    assert.closeTo(count, 130, 10)
  })

  it("takes no less for it than they were inside before they waited for their clients, too", () => {
    const { pace, pass, serve } = setUp()
    for (let i = 0; i < 10; i++) pace.paused(20)
    serve(10, 0.1)
    pass(100, { busy: 0.5 })
    assert.strictEqual(pace.cost, 5)
  })

  it("counts those who end while they wait for their clients, and gives nothing back for them", () => {
    const { burst, pace, pass, serve } = setUp()
    serve(5)
    for (let i = 0; i < 5; i++) pace.paused(20)
    for (let i = 0; i < 5; i++) pace.gone()
    pass(100, { busy: 0.5 })
    assert.strictEqual(pace.cost, 5)
    burst(false)
    pace.paused(20)
    pace.gone()
    assert.isFalse(pace.mayStart(100, 100, true))
  })

  it("knows no cost, and holds nobody, before 8 requests were served, and when fewer than 2 of them were in the last second", () => {
    const { pace, pass, serve } = setUp()
    serve(7)
    pass(100, { busy: 1 })
    assert.isUndefined(pace.cost)
    assert.isTrue(pace.mayStart(100, 100, true))
    serve(3)
    pass(100, { busy: 1 })
    assert.isDefined(pace.cost)
    pass(1500, { busy: 1 })
    assert.isDefined(pace.cost)
    pass(500, { busy: 1 })
    assert.isUndefined(pace.cost)
  })

  it("takes a gap of any length for a second", () => {
    const { loop, pace, pass, serve } = setUp()
    for (let i = 0; i < 10; i++) {
      serve(100)
      pass(100, { busy: 0.5 })
    }
    assert.closeTo(pace.cost!, 0.5, 0.001)
    serve(100)
    loop.now += 60_000
    loop.busy += 60_000
    pass(10)
    // A second that is busy, and a sixtieth of those who ended in it, and what is left of the one before, of which a tenth counted for each of e a second.
    const left = (1 - 1 / Math.E) / (1 - Math.exp(-0.1)) / Math.E
    assert.closeTo(pace.cost!, (1000 + 50 * left) / (100 / 60 + 100 * left), 0.01)
  })

  it("takes a clock of busy time that goes back for one that stands", () => {
    const { loop, pace, pass, serve } = setUp()
    serve(10)
    pass(50, { busy: 0.5 })
    loop.busy -= 20
    pass(50, { busy: 0.5 })
    assert.closeTo(pace.cost!, 4.5, 1e-9)
  })

  it("reckons it sooner where some wait and those who ended took much less, once there are 16 of them and 15 ms", () => {
    interface Then {
      readonly served: number
      readonly busy: number
      readonly isWaiting: boolean
      readonly inside?: number
      readonly held?: number
    }
    const costAfter = (millis: number, { held = 5, served, ...then }: Then) => {
      const { pace, pass, serve } = setUp()
      serve(50, held)
      pass(100, { busy: 0.5 })
      assert.strictEqual(pace.cost, 1)
      serve(served, 5)
      pass(millis, then)
      return pace.cost!
    }
    const cheap = { served: 50, busy: 0.5, isWaiting: true }
    // Of 50 that took 1 ms and 50 that took 0.2 ms.
    assert.closeTo(costAfter(20, { ...cheap, busy: 0.9, served: 90 }), (50 + 18) / 140, 0.01)
    // The loop was idle for half of the time: the first count for a quarter.
    assert.closeTo(costAfter(20, cheap), (12.5 + 10) / 62.5, 0.01)
    assert.closeTo(costAfter(20, { ...cheap, busy: 0.79 }), (12.5 + 15.8) / 62.5, 0.01)
    // Not where more are inside than those who ended were at a time, three and twice 50 * 5 / 20, nor where such ended that stay for longer.
    assert.closeTo(costAfter(20, { ...cheap, inside: 28 }), (12.5 + 10) / 62.5, 0.01)
    assert.closeTo(costAfter(20, { ...cheap, inside: 29 }), (50 + 10) / 100, 0.01)
    assert.closeTo(costAfter(20, { ...cheap, held: 30 }), (12.5 + 10) / 62.5, 0.01)
    assert.closeTo(costAfter(20, { ...cheap, held: 60 }), (50 + 10) / 100, 0.01)
    assert.strictEqual(costAfter(10, cheap), 1)
    assert.strictEqual(costAfter(20, { ...cheap, isWaiting: false }), 1)
    assert.strictEqual(costAfter(20, { served: 15, busy: 0.1, isWaiting: true }), 1)
    assert.strictEqual(costAfter(20, { ...cheap, served: 20, busy: 0.75 }), 1)
    assert.isBelow(costAfter(20, { ...cheap, served: 20, busy: 0.65 }), 1)
  })

  it("forgets those who stayed for longer, as those whom it judges by", () => {
    const { pace, pass, serve } = setUp()
    serve(50, 1000)
    for (let i = 0; i < 100; i++) {
      serve(50, 5)
      pass(100, { busy: 0.5 })
    }
    assert.closeTo(pace.cost!, 1, 0.001)
    serve(50, 5)
    pass(20, { busy: 0.5, isWaiting: true })
    // Of those who cost 1 ms as many are left as in a second, and count for a quarter: 0.93 otherwise.
    assert.closeTo(pace.cost!, 0.78, 0.02)
  })

  it("counts no time in which nobody was there", () => {
    const { loop, pace, pass, serve } = setUp()
    serve(10)
    pass(50, { busy: 0.5 })
    loop.now += 5000
    loop.busy += 5000
    pace.begin(loop.now)
    pass(50, { busy: 0.5 })
    assert.strictEqual(pace.cost, 5)
  })

  it("lets a burst of ten times the target start where nobody waits, and half the target where others do", () => {
    const { burst, pace, pass, serve } = setUp()
    serve(10)
    pass(100, { busy: 0.5 })
    assert.strictEqual(burst(false), 40)
    assert.isFalse(pace.mayStart(100, 3, true))
    assert.isTrue(pace.mayStart(100, 2, true))
    pass(50, { isWaiting: true })
    assert.strictEqual(burst(true), 2)
  })

  it("gives out 1 ms a millisecond while the loop is no later than the target, and less the later it is", () => {
    const startedIn90 = (late: number, meanHold: number) => {
      const { burst, pace, pass, serve } = setUp()
      for (let i = 0; i < 10; i++) {
        serve(10)
        pass(10, { busy: 1, late, meanHold })
      }
      assert.strictEqual(pace.cost, 1)
      burst(true)
      let count = 0
      for (let i = 0; i < 9; i++) {
        pass(10, { busy: 1, late, meanHold, isWaiting: true })
        count += burst(true)
      }
      return count
    }
    assert.closeTo(startedIn90(0, 0), 90, 5)
    assert.closeTo(startedIn90(20, 0), 90, 5)
    assert.closeTo(startedIn90(70, 0), 45, 5)
    assert.closeTo(startedIn90(70, 100), 75, 5)
    assert.strictEqual(startedIn90(130, 0), 0)
    // Of those that take longer than half a second, that half counts.
    assert.closeTo(startedIn90(520, 5000), 50, 5)
  })

  it("begins anew in time after a time without requests, however late it was before", () => {
    const { burst, loop, pace, pass, serve } = setUp()
    serve(10)
    pass(100, { busy: 0.5, late: 500 })
    loop.now += 5000
    pace.begin(loop.now)
    burst(false)
    let count = 0
    for (let i = 0; i < 10; i++) {
      pass(10, { isWaiting: true })
      count += burst(true)
    }
    assert.closeTo(count, 20, 2)
  })

  it("gives out more the more of the time is not that of those who were let in, who take a part of it", () => {
    const { burst, pace, pass, serve } = setUp()
    // Each takes 1 ms, and each that comes, and is mostly refused, 0.1 ms.
    for (let i = 0; i < 50; i++) {
      const [came, ended] = [100 + 50 * (i % 5), 4 + (i % 3)]
      for (let j = 0; j < came; j++) pace.came()
      serve(ended)
      pass(100, { busy: (0.1 * came + ended) / 100 })
    }
    assert.closeTo(pace.cost!, 5, 1)
    burst(true)
    let count = 0
    for (let i = 0; i < 10; i++) {
      pass(10, { busy: 0.25, isWaiting: true })
      count += burst(true)
    }
    // Others take a fifth of 100 ms.
    assert.closeTo(count, 80, 8)
  })

  it("lets 32 start at once after a time without requests, whatever they cost before", () => {
    const { burst, loop, pace, pass, serve } = setUp()
    pass(90, { busy: 1 })
    loop.busy += 400
    serve(10)
    pass(10, { busy: 1 })
    assert.strictEqual(pace.cost, 50)
    loop.now += 5000
    pace.begin(loop.now)
    assert.strictEqual(burst(false), 32)
  })

  it("makes nobody pay for those few that are started without asking", () => {
    const { burst, pace, pass, serve } = setUp()
    serve(10)
    pass(100, { busy: 0.5 })
    for (let i = 0; i < 1000; i++) {
      assert.isTrue(pace.mayStart(100, 2, true))
      pace.started()
    }
    pass(10, { isWaiting: true })
    assert.strictEqual(burst(true), 1)
  })

  it("gives the time of one back that waits for its client", () => {
    const { burst, pace, pass, serve } = setUp()
    serve(10)
    pass(100, { busy: 0.5 })
    burst(false)
    pace.paused(0)
    assert.isTrue(pace.mayStart(100, 100, true))
  })

  it("gives no more back than a burst may take, whatever it has become worth", () => {
    const { burst, pace, pass, serve } = setUp()
    serve(1000)
    pass(100, { busy: 0.5 })
    for (let i = 0; i < 500; i++) pace.started()
    serve(10)
    pass(100, { busy: 1 })
    for (let i = 0; i < 10; i++) {
      serve(10)
      pass(100, { busy: 1 })
    }
    for (let i = 0; i < 500; i++) pace.paused(0)
    assert.closeTo(burst(true), 200 / pace.cost!, 2)
  })

  it("goes by the mean alone for some seconds once the loop was late", () => {
    const { burst, pace, pass, serve } = setUp()
    const startedIn100 = () => {
      burst(true)
      let count = 0
      for (let i = 0; i < 10; i++) {
        pass(10, { busy: 0.25, isWaiting: true })
        count += burst(true)
      }
      return count
    }
    const load = () => {
      for (let i = 0; i < 50; i++) {
        const [came, ended] = [100 + 50 * (i % 5), 4 + (i % 3)]
        for (let j = 0; j < came; j++) pace.came()
        serve(ended)
        pass(100, { busy: (0.1 * came + ended) / 100 })
      }
    }
    load()
    assert.isAbove(startedIn100(), 50)
    pass(100, { busy: 1, late: 60 })
    assert.isBelow(startedIn100(), 30)
    for (let i = 0; i < 4; i++) load()
    assert.isAbove(startedIn100(), 50)
  })

  it("keeps going on a loop that seems never to be busy", () => {
    const { pace, pass, serve } = setUp()
    for (let i = 0; i < 10; i++) {
      serve(20)
      pass(100)
    }
    assert.strictEqual(pace.cost, 0)
    assert.isTrue(pace.mayStart(1000, 100, true))
  })

  it("takes no target that is not above 0", () => {
    for (const target of [0, -1, NaN, Infinity]) {
      assert.throws(() => LoopPace.make({ target, busyTime: () => 0 }), RangeError)
    }
  })
})
