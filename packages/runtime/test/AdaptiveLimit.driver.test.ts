import { assert, describe, it } from "@effect/vitest"
import * as AdaptiveLimit from "@spillway/runtime/AdaptiveLimit"

/** Keeps the windows that it was given; its limit is their number and one more. */
const keeping: AdaptiveLimit.Algorithm<ReadonlyArray<AdaptiveLimit.Window>> = {
  initial: [],
  step: (windows, window) => [...windows, window],
  limit: (windows) => windows.length + 1
}

const spied = (options?: AdaptiveLimit.WindowOptions) => {
  let windows: ReadonlyArray<AdaptiveLimit.Window> = []
  const step = (before: ReadonlyArray<AdaptiveLimit.Window>, window: AdaptiveLimit.Window) =>
    (windows = [...before, window])
  const limit = AdaptiveLimit.make({ ...keeping, step }, options)
  return { limit, windows: () => windows }
}

describe("AdaptiveLimit: the driver", () => {
  it("has the defaults of its documentation", () => {
    assert.deepStrictEqual(AdaptiveLimit.defaults, { duration: 100, samples: 10 })
    const { limit } = AdaptiveLimit.make(AdaptiveLimit.knee())
    assert.strictEqual(limit, 1024)
    assert.strictEqual(AdaptiveLimit.make(AdaptiveLimit.aimd()).limit, 20)
    assert.strictEqual(AdaptiveLimit.make(AdaptiveLimit.aimd({ max: 10 })).limit, 10)
  })

  it("closes a window when both its time is over and it has enough samples", () => {
    const { limit } = spied({ duration: 100, samples: 3 })
    assert.strictEqual(limit.record(1000, 10, 1, "success"), 1)
    assert.strictEqual(limit.record(1020, 10, 1, "success"), 1)
    assert.strictEqual(limit.record(1050, 10, 1, "success"), 1)
    assert.strictEqual(limit.record(1090, 10, 1, "success"), 2)
    assert.strictEqual(limit.record(1300, 10, 1, "success"), 2)
    assert.strictEqual(limit.record(1400, 10, 1, "success"), 2)
    assert.strictEqual(limit.record(1401, 10, 1, "success"), 3)
    assert.strictEqual(limit.limit, 3)
  })

  it("says what was seen in a window, the latencies of the successes alone", () => {
    const { limit, windows } = spied({ duration: 100, samples: 4 })
    limit.record(1010, 10, 1, "success")
    limit.record(1020, 20, 0, "success")
    limit.record(1030, 5000, 50, "ignored")
    limit.record(1050, 60, 2, "success")
    limit.record(1110, 110, 1, "dropped")
    assert.strictEqual(windows().length, 1)
    const { medianLatency, ...rest } = windows()[0]!
    assert.deepStrictEqual(rest, {
      endedAt: 1110,
      duration: 110,
      samples: 4,
      dropped: 1,
      meanLatency: 30,
      minLatency: 10,
      heldLatency: (100 + 400 + 3600 + 12_100) / 200,
      maxInFlight: 2,
      full: 3 / 4
    })
    assert.closeTo(medianLatency, 20, 1)
  })

  it("has latencies of 0 for a window without a success, and starts anew after it", () => {
    const { limit, windows } = spied({ duration: 10, samples: 1 })
    limit.record(1000, 50, 1, "dropped")
    limit.record(1020, 15, 1, "success")
    const [first, second] = windows()
    assert.deepStrictEqual([first!.meanLatency, first!.minLatency, first!.medianLatency], [0, 0, 0])
    assert.deepStrictEqual([second!.dropped, second!.minLatency, second!.samples], [0, 15, 1])
  })

  it("finds the median of each window alone", () => {
    const { limit, windows } = spied({ duration: 10, samples: 3 })
    const latencies = [100, 100, 100, 1000, 1000, 1000, 10, 10, 10]
    for (const [i, latency] of latencies.entries()) limit.record((i + 1) * 1000, latency, 1, "success")
    const medians = windows().map(({ medianLatency }) => medianLatency)
    assert.strictEqual(medians.length, 3)
    for (const [i, median] of medians.entries()) assert.closeTo(median / [100, 1000, 10][i]!, 1, 0.05)
  })

  it("leaves a pause without requests out of the window", () => {
    const { limit, windows } = spied({ duration: 10, samples: 2 })
    limit.record(1000, 10, 1, "success")
    limit.record(1001, 1, 1, "success")
    limit.record(60_000, 1, 1, "success")
    limit.record(60_020, 1, 1, "success")
    assert.deepStrictEqual(
      windows().map(({ duration }) => duration),
      [11, 21]
    )
  })

  it("finds the median over nine decades to 5 %, and survives latencies that are none", () => {
    for (const latency of [0.001, 0.5, 1, 33, 5000, 3_600_000]) {
      const { limit, windows } = spied({ duration: 0.001, samples: 3 })
      limit.record(1, latency, 1, "success")
      limit.record(2, latency, 1, "success")
      limit.record(3, 1e12, 1, "success")
      assert.closeTo(windows()[0]!.medianLatency / latency, 1, 0.05)
    }
    const { limit, windows } = spied({ duration: 0.001, samples: 3 })
    for (const latency of [0, -5, NaN]) limit.record(1, latency, 1, "success")
    limit.record(2, 0.001, 1, "success")
    assert.deepStrictEqual([windows()[0]!.meanLatency, windows()[0]!.minLatency], [0.001, 0.001])
  })

  it("refuses options outside their range", () => {
    const refused: ReadonlyArray<readonly [make: () => unknown, message: string]> = [
      [
        () => AdaptiveLimit.make(keeping, { duration: 0 }),
        "make: duration must be a finite number of milliseconds > 0, got 0"
      ],
      [() => AdaptiveLimit.make(keeping, { samples: 0.5 }), "make: samples must be an integer >= 1, got 0.5"],
      [() => AdaptiveLimit.fixed({ limit: 0 }), "fixed: limit must be an integer >= 1, got 0"],
      [() => AdaptiveLimit.aimd({ min: 0 }), "aimd: min must be an integer >= 1, got 0"],
      [() => AdaptiveLimit.vegas({ min: 5, max: 4 }), "vegas: max must be an integer >= 5, got 4"],
      [() => AdaptiveLimit.knee({ max: Infinity }), "knee: max must be an integer >= 1, got Infinity"],
      [() => AdaptiveLimit.knee({ max: 9, initial: 10 }), "knee: initial must be an integer in 1..9, got 10"],
      [() => AdaptiveLimit.aimd({ backoff: 1 }), "aimd: backoff must be a number > 0 and < 1, got 1"],
      [() => AdaptiveLimit.vegas({ probeEvery: 0 }), "vegas: probeEvery must be a number >= 1, got 0"],
      [() => AdaptiveLimit.vegas({ seed: 0.5 }), "vegas: seed must be an integer, got 0.5"],
      [() => AdaptiveLimit.gradient2({ smoothing: 0 }), "gradient2: smoothing must be a number > 0 and <= 1, got 0"],
      [() => AdaptiveLimit.gradient2({ tolerance: NaN }), "gradient2: tolerance must be a finite number >= 1, got NaN"],
      [() => AdaptiveLimit.gradient2({ queueSize: 0 }), "gradient2: queueSize must be a finite number >= 1, got 0"],
      [() => AdaptiveLimit.gradient2({ longWindow: 9 }), "gradient2: longWindow must be an integer >= 10, got 9"],
      [() => AdaptiveLimit.gradient({ buffer: -1 }), "gradient: buffer must be a finite number >= 0, got -1"],
      [() => AdaptiveLimit.gradient({ jitter: 2 }), "gradient: jitter must be a number in 0..1, got 2"],
      [
        () => AdaptiveLimit.gradient({ measureEvery: 0 }),
        "gradient: measureEvery must be a number of milliseconds > 0, got 0"
      ],
      [() => AdaptiveLimit.gradient({ measureSamples: 0 }), "gradient: measureSamples must be an integer >= 1, got 0"],
      [() => AdaptiveLimit.gradient({ measureLimit: 0 }), "gradient: measureLimit must be an integer >= 1, got 0"],
      [() => AdaptiveLimit.knee({ gain: 0 }), "knee: gain must be a number > 0 and < 1, got 0"],
      [() => AdaptiveLimit.knee({ tolerance: 0.5 }), "knee: tolerance must be a number >= 0 and < 0.5, got 0.5"],
      [() => AdaptiveLimit.knee({ maxSettle: -1 }), "knee: maxSettle must be a number of milliseconds >= 0, got -1"],
      [() => AdaptiveLimit.knee({ measureSamples: 0 }), "knee: measureSamples must be an integer >= 1, got 0"]
    ]
    for (const [make, message] of refused) assert.throws(make, RangeError, `AdaptiveLimit.${message}`)
  })

  it("refuses an algorithm whose limit would let nothing in", () => {
    assert.throws(() => AdaptiveLimit.make({ ...keeping, limit: () => 0 }), RangeError, "integer >= 1, got 0")
  })
})
