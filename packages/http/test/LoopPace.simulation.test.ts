import { assert, describe, it } from "@effect/vitest"
import { simulate } from "./loopSimulation.ts"
import type { Scene, Second } from "./loopSimulation.ts"

const mean = (seconds: ReadonlyArray<Second>, of: (second: Second) => number) =>
  seconds.reduce((sum, second) => sum + of(second), 0) / seconds.length

const p99 = (seconds: ReadonlyArray<Second>) => {
  const sorted = seconds.flatMap(({ latencies }) => latencies).toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length * 0.99)]!
}

/** Half of what the loop carries for three seconds, then a multiple of that. Without the first two seconds of the overload. */
const overloaded = (
  multiple: number,
  scene: Pick<Scene, "waits" | "computes" | "computesFirst" | "uploads" | "isPaced">
) => {
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

  /** 4000 a second, who wait so long, from the fifth second on. Of what takes long nothing is known sooner. */
  const assertCarried = (scene: Omit<Scene, "rate" | "seconds" | "isPaced">, few: number) => {
    const rate = (now: number) => (now < 5000 ? few : 4000)
    const runs = Array.from({ length: 8 }, (_, seed) =>
      simulate({ ...scene, rate, seconds: 8, isPaced: true, seed: seed + 1 }).slice(5)
    )
    const refusals = runs.map(([first]) => first!.refused).toSorted((a, b) => a - b)
    // Chance may make the first of them too few, or too dear, to be told from those before.
    assert.strictEqual(refusals[6], 0, `${refusals}`)
    assert.isBelow(refusals[7]!, 400)
    assert.strictEqual(Math.max(...runs.map((seconds) => mean(seconds.slice(1), ({ refused }) => refused))), 0)
    const latencies = runs.map(([first]) => p99([first!])).toSorted((a, b) => a - b)
    assert.isBelow(latencies[5]!, 3 * scene.waits + 30, `${latencies}`)
  }

  for (const waits of [1, 10, 50]) {
    for (const few of [20, 100, 500]) {
      it(`refuses nobody, and lets nobody wait for long, when ${few} a second become 4000, who wait ${waits} ms`, () => {
        // Each that comes alone wakes the loop, and seems to cost up to ten times as much as among many.
        assertCarried({ waits, computes: 0.05, burden: 0.08 }, few)
      })
    }
  }

  for (const slow of [0.3, 0.8, 2]) {
    for (const few of [100, 400]) {
      it(`nor when ${few} a second become 4000 and take 0.05 ms, as code that is compiled, after ${slow} ms`, () => {
        assertCarried({ waits: 3, computes: 0.05, others: { waits: 3, computes: slow, share: 1, until: 5000 } }, few)
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

  for (const [share, waits, computes] of [
    [0.05, 300, 50],
    [0.2, 300, 10],
    [0.1, 100, 20]
  ] as const) {
    it(`and where a part of ${share} waits ${waits} ms and computes ${computes}, and the rest nearly nothing`, () => {
      // While the dear ones wait, the cheap ones that end say nothing of what those will cost.
      for (const seed of [1, 2, 3]) {
        const capacity = 1000 / (share * computes + (1 - share) * 0.05 + 0.1)
        const rate = (now: number) => (now < 3000 ? 0.3 : 2) * capacity
        const others = { share, waits, computes }
        const scene = { waits: 1, computes: 0.05, others, rate, seconds: 12, isPaced: true, seed }
        const seconds = simulate({ ...scene, patience: 1300 }).slice(3)
        assert.isBelow(
          mean(seconds, ({ givenUp }) => givenUp),
          1
        )
        assert.isBelow(p99(seconds), 700)
      }
    })
  }

  for (const uploads of [5, 50]) {
    it(`and where handlers compute and then wait ${uploads} ms for the body of a client`, () => {
      for (const multiple of [2, 5, 10]) {
        const seconds = overloaded(multiple, { waits: 100, computes: 5, uploads, isPaced: true })
        assert.isAbove(mean(seconds, ({ answered }) => answered) / 200, 0.5, `${multiple} times`)
        assert.strictEqual(
          mean(seconds, ({ givenUp }) => givenUp),
          0,
          `${multiple} times`
        )
      }
    })
  }

  it("and where clients let a handler compute and hang up instead of sending their body", () => {
    const others = { waits: 100, computes: 5, uploads: 20, hangsUp: true, share: 0.95 }
    const seconds = simulate({ waits: 1, computes: 1, others, rate: () => 1000, seconds: 12, isPaced: true }).slice(4)
    // As many of 50 as the loop carries of 1000.
    assert.isAbove(
      mean(seconds, ({ answered }) => answered),
      5
    )
    assert.strictEqual(
      mean(seconds, ({ givenUp }) => givenUp),
      0
    )
  })

  it("keeps useful work of requests that take the loop a fifth of a second each", () => {
    const rate = () => 50
    const scene = { waits: 300, computes: 200, rate, seconds: 30, patience: 2000, isPaced: true }
    // It takes some seconds until eight of them have ended.
    const seconds = simulate(scene).slice(8)
    assert.isAbove(
      mean(seconds, ({ answered }) => answered),
      4
    )
    assert.strictEqual(
      mean(seconds, ({ givenUp }) => givenUp),
      0
    )
  })

  for (const millis of [2000, 60_000]) {
    it(`has it behind within two seconds that the process stood still for ${millis} ms`, () => {
      const stall = { at: 5000, millis }
      const rate = () => 1000
      const scene = { waits: 100, computes: 0.3, rate, stall, seconds: 10 + millis / 1000, isPaced: true }
      const seconds = simulate(scene).slice(5 + millis / 1000)
      const refused = seconds.map((second) => second.refused)
      assert.isBelow(refused[0]! + refused[1]!, 500)
      assert.deepStrictEqual(refused.slice(2), [0, 0, 0])
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
