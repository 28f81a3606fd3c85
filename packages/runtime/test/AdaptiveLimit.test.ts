import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AdaptiveLimit from "@spillway/runtime/AdaptiveLimit"

/** A window in which the limit was reached and nothing failed. */
const window = (more: Partial<AdaptiveLimit.Window> = {}): AdaptiveLimit.Window => ({
  endedAt: 0,
  duration: 100,
  samples: 200,
  dropped: 0,
  meanLatency: 10,
  minLatency: 10,
  medianLatency: 10,
  heldLatency: 10,
  maxInFlight: 100_000,
  full: 1,
  ...more
})

/** An algorithm with its state. */
class Run<S> {
  readonly algorithm: AdaptiveLimit.Algorithm<S>
  state: S
  now = 0

  constructor(algorithm: AdaptiveLimit.Algorithm<S>) {
    this.algorithm = algorithm
    this.state = algorithm.initial
  }

  get limit(): number {
    return this.algorithm.limit(this.state)
  }

  /** The limits after each of `count` windows, a second apart so that all effects of the one before are over. */
  see(more: Partial<AdaptiveLimit.Window> = {}, count = 1): ReadonlyArray<number> {
    return Array.from({ length: count }, () => {
      this.now += 1000
      this.state = this.algorithm.step(this.state, window({ endedAt: this.now, ...more }))
      return this.limit
    })
  }
}

const bounds = { min: 3, max: 200, initial: 20 }

const adaptive: ReadonlyArray<readonly [name: string, make: () => Run<unknown>]> = [
  ["aimd", () => new Run<unknown>(AdaptiveLimit.aimd(bounds) as AdaptiveLimit.Algorithm<unknown>)],
  ["vegas", () => new Run<unknown>(AdaptiveLimit.vegas(bounds) as AdaptiveLimit.Algorithm<unknown>)],
  ["gradient2", () => new Run<unknown>(AdaptiveLimit.gradient2(bounds) as AdaptiveLimit.Algorithm<unknown>)],
  [
    "gradient",
    () =>
      new Run<unknown>(
        AdaptiveLimit.gradient({ ...bounds, measureSamples: 1, measureLimit: 20 }) as AdaptiveLimit.Algorithm<unknown>
      )
  ],
  ["knee", () => new Run<unknown>(AdaptiveLimit.knee(bounds) as AdaptiveLimit.Algorithm<unknown>)]
]

const Latency = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))
const Share = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
const Seen = Schema.Struct({ latency: Latency, dropped: Share, inFlight: Share, full: Share })

const asWindow = ({ dropped, full, inFlight, latency }: typeof Seen.Type): Partial<AdaptiveLimit.Window> => {
  const some = dropped < 100
  const seen = some ? latency : 0
  return {
    samples: 100,
    dropped,
    meanLatency: seen,
    minLatency: seen,
    medianLatency: seen,
    heldLatency: latency,
    maxInFlight: 1 + inFlight,
    full: full / 100
  }
}

describe("AdaptiveLimit: the steps", () => {
  for (const [name, make] of adaptive) {
    it.prop(
      `${name} stays an integer between min and max, and never rises in a window in which most failed`,
      { windows: Schema.Array(Seen) },
      ({ windows }) => {
        const run = make()
        for (const seen of windows) {
          const before = run.limit
          const [after] = run.see(asWindow(seen))
          assert.isTrue(Number.isInteger(after), `${after}`)
          assert.isAtLeast(after!, 3)
          assert.isAtMost(after!, 200)
          // Gradient and Vegas go back to what they had when a drop ends their measurement, and lower that.
          if (seen.dropped >= 50 && name !== "gradient" && name !== "vegas") assert.isAtMost(after!, before)
        }
      },
      { arbitrary: { runs: 300, size: 60 } }
    )

    it(`${name} falls to min while everything fails, however constant the latency`, () => {
      const run = make()
      run.see({ medianLatency: 10 }, 12)
      const limits = run.see({ dropped: 200, meanLatency: 0, medianLatency: 0, minLatency: 0, maxInFlight: 100 }, 100)
      for (let i = 1; i < limits.length; i++) assert.isAtMost(limits[i]!, limits[i - 1]!)
      assert.strictEqual(limits.at(-1), 3)
    })

    it(`${name} comes back from min when requests succeed again`, () => {
      const run = make()
      run.see({ dropped: 200, meanLatency: 0, medianLatency: 0, maxInFlight: 100 }, 100)
      assert.strictEqual(run.limit, 3)
      const limits = Array.from({ length: 200 }, () => run.see({ samples: 10 * run.limit })[0]!)
      assert.isAtLeast(Math.max(...limits), 20)
    })

    it(`${name} does not rise in windows with few requests in flight`, () => {
      const run = make()
      run.see({ medianLatency: 10 }, 2)
      const before = run.limit
      for (const limit of run.see({ maxInFlight: 1, full: 0 }, 500)) assert.isAtMost(limit, before)
    })
  }

  it("fixed says its limit, whatever was seen", () => {
    const run = new Run(AdaptiveLimit.fixed({ limit: 7 }))
    assert.deepStrictEqual(run.see({ dropped: 200 }, 3), [7, 7, 7])
  })

  it("aimd adds one, and takes a tenth away after a drop", () => {
    const run = new Run(AdaptiveLimit.aimd({ initial: 20 }))
    assert.deepStrictEqual(run.see({}, 3), [21, 22, 23])
    assert.deepStrictEqual(run.see({ dropped: 1 }), [20])
    assert.deepStrictEqual(run.see({ maxInFlight: 9 }), [20])
  })

  it("vegas grows by 6 without a queue, by 1 with a short one, stays, and falls by 1 with a long one", () => {
    const run = new Run(AdaptiveLimit.vegas({ initial: 20 }))
    // The first window gives the latency without a queue.
    assert.deepStrictEqual(run.see({ meanLatency: 10 }), [20])
    assert.deepStrictEqual(run.see({ meanLatency: 10 }), [26])
    assert.deepStrictEqual(run.see({ meanLatency: 10.7 }), [27])
    assert.deepStrictEqual(run.see({ meanLatency: 12 }), [27])
    assert.deepStrictEqual(run.see({ meanLatency: 20 }), [26])
    assert.deepStrictEqual(run.see({ meanLatency: 10, dropped: 1 }), [25])
  })

  it("vegas halves the limit to measure the latency without a queue", () => {
    const run = new Run(AdaptiveLimit.vegas({ initial: 20, max: 20, probeEvery: 1 }))
    const limits = run.see({ meanLatency: 10 }, 25)
    const at = limits.indexOf(10)
    assert.deepStrictEqual(limits.slice(at, at + 3), [10, 10, 20])
    assert.isAtLeast(at, 9)
    assert.isAtMost(at, 20)
  })

  it("gradient2 goes by the ratio of long-term to present latency, smoothed", () => {
    const run = new Run(AdaptiveLimit.gradient2({ initial: 100 }))
    run.see({ meanLatency: 10, maxInFlight: 1 }, 10)
    assert.strictEqual(run.limit, 100)
    // long = 10 + 30 * 2 / 601 = 10.1; 100 * 0.8 + (100 * clamp(1.5 * 10.1 / 40, 0.5, 1) + 4) * 0.2
    assert.deepStrictEqual(run.see({ meanLatency: 40 }), [90])
    // Within the tolerance it grows by a fifth of the queue.
    assert.deepStrictEqual(run.see({ meanLatency: 12 }), [91])
  })

  it("gradient measures with few in flight, then goes by the ratio to that, with room for the root", () => {
    const run = new Run(AdaptiveLimit.gradient({ initial: 100, measureSamples: 50, measureEvery: 60_000 }))
    assert.strictEqual(run.limit, 3)
    assert.deepStrictEqual(run.see({ samples: 49, medianLatency: 10 }), [3])
    assert.deepStrictEqual(run.see({ samples: 1, medianLatency: 10 }), [100])
    // 100 * 12.5 / 20 + 10
    assert.deepStrictEqual(run.see({ medianLatency: 20 }), [72])
    // 72.5 * 0.5 + sqrt(72.5)
    assert.deepStrictEqual(run.see({ medianLatency: 1000 }), [44])
    // Measured at 2 s, so again between 62 and 71 s.
    const limits = run.see({ medianLatency: 12.5 }, 70)
    const at = 5 + limits.indexOf(3)
    assert.isAtLeast(at, 62)
    assert.isAtMost(at, 72)
  })

  it("gradient measures anew after five windows at the lowest limit", () => {
    const run = new Run(AdaptiveLimit.gradient({ initial: 10, min: 4, max: 10, measureSamples: 1, measureLimit: 4 }))
    run.see({ medianLatency: 10 })
    run.see({ medianLatency: 10_000 }, 9)
    // The fifth has been: the next window starts the measurement, and the one after it ends it.
    run.see({ medianLatency: 10_000 }, 3)
    assert.isAbove(Math.max(...run.see({ medianLatency: 10_000 }, 3)), 4)
  })
})

/** What `limit` requests in flight do at a place with `slots` that take 10 ms. */
const served = (limit: number, slots: number): Partial<AdaptiveLimit.Window> => {
  const latency = 10 * Math.max(1, limit / slots)
  const samples = Math.min(limit, slots) * 100
  return {
    duration: 1000,
    samples,
    meanLatency: latency,
    minLatency: latency,
    medianLatency: latency,
    heldLatency: latency,
    maxInFlight: limit
  }
}

describe("AdaptiveLimit: knee", () => {
  const settleAt = (run: Run<unknown>, slots: number, windows = 400) => {
    let limits: ReadonlyArray<number> = []
    for (let i = 0; i < windows; i++) limits = [...limits, ...run.see(served(run.limit, slots))]
    return limits
  }
  const knee = (options: AdaptiveLimit.KneeOptions) =>
    new Run<unknown>(AdaptiveLimit.knee(options) as AdaptiveLimit.Algorithm<unknown>)

  for (const initial of [1, 20, 1024]) {
    it(`finds the capacity of a place from ${initial}, follows it and does not drift`, () => {
      const run = knee({ initial })
      for (const slots of [50, 5, 200]) {
        const limits = settleAt(run, slots)
        for (const limit of limits.slice(100)) {
          assert.isAtLeast(limit, slots * 0.6, `${slots} slots`)
          assert.isAtMost(limit, slots * 2.1, `${slots} slots`)
        }
      }
    })
  }

  it("rises to max where nothing is saturated", () => {
    const run = knee({ initial: 1, max: 300 })
    settleAt(run, Infinity, 40)
    assert.strictEqual(run.limit, 300)
  })

  it("keeps the limit, whatever the latency, while it is not reached", () => {
    const run = knee({})
    for (const latency of [1, 5000, 1, 200, 5000]) {
      const seen = { meanLatency: latency, medianLatency: latency, heldLatency: 5000, maxInFlight: 900, full: 0 }
      assert.deepStrictEqual(run.see(seen), [1024])
    }
  })

  it("does not judge by windows in which requests of the former limit end", () => {
    const run = knee({ initial: 64 })
    const failing = { dropped: 200, heldLatency: 4000, maxInFlight: 64 }
    // 1.25 times 4 s, and the window that began before that.
    assert.deepStrictEqual(run.see(failing, 7), [32, 32, 32, 32, 32, 32, 16])
  })

  it("doubles the limit again after an outage, up to half of what was in flight", () => {
    const run = knee({ initial: 64 })
    const outage = { dropped: 200, maxInFlight: 64 }
    assert.deepStrictEqual(run.see(outage, 7), [32, 16, 8, 4, 2, 1, 1])
    assert.deepStrictEqual(run.see({ samples: 10 }, 6), [2, 4, 8, 16, 32, 32])
  })

  it("doubles the limit again no further than to where requests fail", () => {
    const run = knee({ initial: 64 })
    run.see({ dropped: 200, maxInFlight: 64 }, 4)
    assert.deepStrictEqual(run.see({ samples: 10 }, 2), [8, 16])
    assert.deepStrictEqual(run.see({ dropped: 200, maxInFlight: 16 }), [8])
    assert.deepStrictEqual(run.see({ samples: 10 }, 2), [8, 8])
  })

  it("does not lower the limit for a background of failures that does not depend on it", () => {
    const run = knee({ initial: 100, max: 100 })
    const seen = { dropped: 20, maxInFlight: 60, full: 0 }
    const [first, ...rest] = run.see(seen, 20)
    assert.strictEqual(first, 70)
    assert.deepStrictEqual(new Set(rest), new Set([70]))
  })
})
