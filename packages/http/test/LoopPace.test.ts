import { LoopPace } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { simulate } from "./loopSimulation.ts"
import type { Scene, Second } from "./loopSimulation.ts"

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

  it("knows no cost, and holds nobody, before 8 requests were served, and after a second without any", () => {
    const { pace, pass, serve } = setUp()
    serve(7)
    pass(100, { busy: 1 })
    assert.isUndefined(pace.cost)
    assert.isTrue(pace.mayStart(100, 100, true))
    serve(3)
    pass(100, { busy: 1 })
    assert.isDefined(pace.cost)
    pass(1000, { busy: 1 })
    assert.isUndefined(pace.cost)
  })

  it("reckons it sooner where some wait and those who ended took much less, once there are 16 of them and 15 ms", () => {
    const costAfter = (
      millis: number,
      options: { readonly served: number; readonly busy: number; readonly isWaiting: boolean }
    ) => {
      const { pace, pass, serve } = setUp()
      serve(50)
      pass(100, { busy: 0.5 })
      assert.strictEqual(pace.cost, 1)
      serve(options.served)
      pass(millis, options)
      return pace.cost!
    }
    const cheap = { served: 50, busy: 0.5, isWaiting: true }
    // Of 50 that took 1 ms and 50 that took 0.2 ms.
    assert.closeTo(costAfter(20, { ...cheap, busy: 0.9, served: 90 }), (50 + 18) / 140, 0.01)
    // The loop was idle for half of the time: the first count for a quarter.
    assert.closeTo(costAfter(20, cheap), (12.5 + 10) / 62.5, 0.01)
    assert.strictEqual(costAfter(10, cheap), 1)
    assert.strictEqual(costAfter(20, { ...cheap, isWaiting: false }), 1)
    assert.strictEqual(costAfter(20, { served: 15, busy: 0.1, isWaiting: true }), 1)
    assert.strictEqual(costAfter(20, { ...cheap, served: 20, busy: 0.75 }), 1)
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
    pace.paused()
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
    for (let i = 0; i < 500; i++) pace.paused()
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

const mean = (seconds: ReadonlyArray<Second>, of: (second: Second) => number) =>
  seconds.reduce((sum, second) => sum + of(second), 0) / seconds.length

const p99 = (seconds: ReadonlyArray<Second>) => {
  const sorted = seconds.flatMap(({ latencies }) => latencies).toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length * 0.99)]!
}

/** Half of what the loop carries for three seconds, then a multiple of that. Without the first two seconds of the overload. */
const overloaded = (multiple: number, scene: Pick<Scene, "waits" | "computes" | "computesFirst" | "isPaced">) => {
  const capacity = 1000 / scene.computes
  const rate = (now: number) => (now < 3000 ? 0.5 : multiple) * capacity
  return simulate({ ...scene, rate, seconds: 12 }).slice(5)
}

describe("LoopPace, behind a door", () => {
  for (const waits of [0.5, 10, 100, 300]) {
    it(`keeps useful work where handlers wait ${waits} ms and then compute, and their latency`, () => {
      for (const multiple of [2, 5, 10]) {
        const seconds = overloaded(multiple, { waits, computes: 5, isPaced: true })
        // What is refused costs too: up to 200 of 2000 ms.
        assert.isAbove(mean(seconds, ({ answered }) => answered) / 200, 0.75, `${multiple} times`)
        assert.isBelow(p99(seconds), waits + 100, `${multiple} times`)
        assert.strictEqual(
          mean(seconds, ({ givenUp }) => givenUp),
          0,
          `${multiple} times`
        )
      }
    })
  }

  it("is what keeps it", () => {
    const seconds = overloaded(5, { waits: 100, computes: 5, isPaced: false })
    assert.isBelow(mean(seconds, ({ answered }) => answered) / 200, 0.5)
    assert.isAbove(
      mean(seconds, ({ givenUp }) => givenUp),
      100
    )
  })

  it("refuses nobody, and makes nobody wait, at four fifths of what the loop carries", () => {
    const run = (isPaced: boolean) =>
      simulate({ waits: 100, computes: 5, rate: () => 160, seconds: 20, isPaced }).slice(2)
    assert.strictEqual(
      mean(run(true), ({ refused }) => refused),
      0
    )
    assert.closeTo(p99(run(true)), p99(run(false)), 10)
  })

  it("starts a burst of what costs next to nothing, although others made the few before it dear", () => {
    const rate = (now: number) => (now >= 5000 && now < 6000 ? 3000 : 10)
    const seconds = simulate({ waits: 10, computes: 0.1, rate, burden: 0.02, seconds: 10, isPaced: true })
    assert.isAbove(seconds[5]!.answered + seconds[6]!.answered, 1800)
    assert.strictEqual(
      mean(seconds, ({ refused }) => refused),
      0
    )
  })

  /** Of what takes long nothing is known sooner. */
  const assertCarried = (seconds: ReadonlyArray<Second>, waits: number, what: string) => {
    assert.strictEqual(
      mean(seconds, ({ refused }) => refused),
      0,
      what
    )
    assert.isBelow(p99([seconds[0]!]), 3 * waits + 30, what)
  }

  for (const waits of [1, 10, 50]) {
    for (const few of [20, 100, 500]) {
      it(`refuses nobody, and lets nobody wait for long, when ${few} a second become 4000, who wait ${waits} ms`, () => {
        // Each that comes alone wakes the loop, and seems to cost up to ten times as much as among many.
        const rate = (now: number) => (now < 5000 ? few : 4000)
        const seconds = simulate({ waits, computes: 0.05, burden: 0.08, rate, seconds: 8, isPaced: true })
        assertCarried(seconds.slice(5), waits, "a burden")
      })
    }
  }

  for (const slow of [0.3, 0.8, 2]) {
    for (const few of [100, 400]) {
      it(`nor when ${few} a second become 4000 and take 0.05 ms, as code that is compiled, after ${slow} ms`, () => {
        const rate = (now: number) => (now < 5000 ? few : 4000)
        const before = { waits: 3, computes: slow, share: 1, until: 5000 }
        const seconds = simulate({ waits: 3, computes: 0.05, others: before, rate, seconds: 8, isPaced: true })
        assertCarried(seconds.slice(5), 3, "compiled")
      })
    }
  }

  it("starts hundreds at once that only wait", () => {
    const rate = (now: number) => (now >= 5000 && now < 6000 ? 1500 : 20)
    const seconds = simulate({ waits: 500, computes: 0.1, rate, seconds: 10, isPaced: true })
    assert.isAbove(seconds[5]!.answered + seconds[6]!.answered, 1200)
    assert.strictEqual(
      mean(seconds, ({ refused }) => refused),
      0
    )
  })

  /** A few requests a second, and then thousands. A sixth of the loop is that of others while there are few. */
  const flash = { computes: 0.1, rate: (now: number) => (now < 5000 ? 20 : 4000), burden: 0.02, seconds: 15 }

  for (const waits of [10, 300]) {
    it(`opens the door for thousands that wait ${waits} ms, although others made the few before them dear`, () => {
      const run = (isPaced: boolean) =>
        mean(simulate({ ...flash, waits, isPaced }).slice(7), ({ answered }) => answered)
      assert.isAbove(run(true) / run(false), 0.9)
    })
  }

  it("opens it for those who come on connections of their own, of whom to refuse one costs nearly as much as to serve it", () => {
    const run = (isPaced: boolean) =>
      mean(
        simulate({ ...flash, waits: 300, connects: true, isPaced, patience: 2000 }).slice(7),
        ({ answered }) => answered
      )
    assert.isAbove(run(true) / run(false), 0.75)
  })

  it("lets as many of ten thousand in that come at once and wait as there are permits, and again when those are free", () => {
    const burst = { at: 5000, count: 10_000 }
    const seconds = simulate({
      waits: 1000,
      computes: 0.1,
      rate: () => 20,
      burst,
      connects: true,
      patience: 8000,
      seconds: 10,
      isPaced: true
    })
    assert.deepStrictEqual(
      seconds.slice(6, 8).map(({ answered }) => answered > 1000),
      [true, true]
    )
  })

  // Half of them cost a hundred times as much as the others, and end at another time.
  const mixed = { waits: 10, computes: 0.1, others: { share: 0.5, waits: 300, computes: 10 } }

  for (const rate of [400, 1000]) {
    it(`keeps useful work where some of ${rate} a second cost much more than others`, () => {
      for (const seed of [1, 2, 3, 4]) {
        const rates = (now: number) => (now < 5000 ? 60 : rate)
        const seconds = simulate({ ...mixed, rate: rates, seconds: 25, isPaced: true, seed }).slice(7)
        assert.isAbove(
          mean(seconds, ({ answered }) => answered),
          110
        )
        assert.isBelow(p99(seconds), 500)
        assert.isBelow(
          mean(seconds.slice(3), ({ givenUp }) => givenUp),
          1
        )
      }
    })
  }

  it("keeps useful work and latency where handlers compute first and wait then", () => {
    const seconds = overloaded(10, { waits: 100, computes: 5, computesFirst: true, isPaced: true })
    assert.isAbove(mean(seconds, ({ answered }) => answered) / 200, 0.8)
    assert.isBelow(p99(seconds), 250)
  })

  it("lets some in where others hold the loop up", () => {
    const seconds = simulate({ waits: 10, computes: 0.5, rate: () => 300, burden: 50, seconds: 12, isPaced: true })
    assert.isAbove(
      mean(seconds.slice(2), ({ answered }) => answered),
      20
    )
  })
})
