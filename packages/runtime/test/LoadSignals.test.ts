import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as LoadSignals from "@spillway/runtime/LoadSignals"

/** One signal from 0.5 to 1, released at 0.4, that takes each sample as it is and falls at once; `set` samples a value. */
const single = (thresholds: Partial<LoadSignals.Thresholds> = {}, options: LoadSignals.Options = {}) => {
  let value = 0
  const signals = LoadSignals.make(
    [{ name: "load", sample: () => value, start: 0.5, full: 1, release: 0.4, smoothing: 0, ...thresholds }],
    { maxFall: Infinity, ...options }
  )
  const set = (next: number, now: number) => {
    value = next
    signals.update(now)
    return signals.pressure
  }
  return { set, signals }
}

const close = (actual: number, expected: number) => assert.closeTo(actual, expected, 1e-9)

describe("LoadSignals", () => {
  it("has no pressure without signals, before the first update, and up to start", () => {
    const none = LoadSignals.make([])
    none.update(0)
    assert.deepStrictEqual([none.pressure, none.cause, none.refuse("sheddable", 0)], [0, undefined, undefined])
    const { set, signals } = single()
    assert.deepStrictEqual(signals.values, [{ name: "load", sample: NaN, value: 0, pressure: 0 }])
    assert.deepStrictEqual([set(0.5, 0), signals.cause, signals.refuse("sheddable", 0)], [0, undefined, undefined])
  })

  it("rises in a line from start to full, and no further", () => {
    const { set, signals } = single()
    for (const [value, pressure] of [
      [0.6, 0.2],
      [0.75, 0.5],
      [1, 1],
      [50, 1]
    ] as const) {
      close(set(value, value), pressure)
    }
    assert.deepStrictEqual([...signals.values], [{ name: "load", sample: 50, value: 1, pressure: 1 }])
  })

  it("rests between the rising and the falling line, and is off again only at release", () => {
    const { set, signals } = single()
    close(set(0.7, 0), 0.4)
    // The falling line, from 1 to 0.4, is at 0.4 for 0.64.
    for (const value of [0.65, 0.69, 0.641, 0.7]) close(set(value, 1), 0.4)
    close(set(0.7, 2), 0.4)
    close(set(0.55, 3), 0.25)
    close(set(0.5, 4), 1 / 6)
    close(set(0.6, 5), 0.2)
    assert.isAbove(set(0.401, 6), 0)
    assert.strictEqual(signals.cause, "load")
    assert.strictEqual(set(0.4, 7), 0)
    assert.strictEqual(set(0.5, 8), 0)
    assert.strictEqual(signals.cause, undefined)
  })

  it("releases at nine tenths of start by default", () => {
    const { set } = single({ release: undefined })
    set(1, 0)
    assert.isAbove(set(0.451, 1), 0)
    assert.strictEqual(set(0.45, 2), 0)
  })

  it("falls no faster than maxFall a second, and rises at once", () => {
    const { set } = single({}, { maxFall: 2 })
    assert.strictEqual(set(1, 0), 1)
    assert.strictEqual(set(0, 0), 1)
    close(set(0, 100), 0.8)
    close(set(0, 350), 0.3)
    assert.strictEqual(set(1, 351), 1)
    assert.strictEqual(set(0, 851), 0)
  })

  it("lets nothing fall when no time has gone by, also without a bound", () => {
    const { set } = single()
    set(1, 5)
    assert.deepStrictEqual([set(0, 5), set(0, 4), set(0, 6)], [1, 1, 0])
  })

  it("averages samples over the time between them, whatever the number of updates", () => {
    const once = single({ smoothing: 100 })
    once.set(0, 0)
    once.set(1, 100)
    close(once.signals.values[0]!.value, 1 - Math.exp(-1))
    const often = single({ smoothing: 100 })
    for (let now = 0; now <= 100; now += 10) often.set(now === 0 ? 0 : 1, now)
    close(often.signals.values[0]!.value, 1 - Math.exp(-1))
  })

  it("lets the pressure of a signal without samples fall once the last is older than maxAge, by maxFall", () => {
    const { set } = single({}, { maxFall: 2, maxAge: 300 })
    assert.strictEqual(set(1, 0), 1)
    assert.deepStrictEqual([set(NaN, 100), set(NaN, 300)], [1, 1])
    close(set(NaN, 400), 0.8)
    close(set(NaN, 700), 0.2)
    assert.strictEqual(set(NaN, 900), 0)
    assert.strictEqual(set(0.75, 1000), 0.5)
  })

  it("lets it stand for a second by default, and for ever if it is told so", () => {
    const usual = single()
    assert.deepStrictEqual([usual.set(1, 0), usual.set(NaN, 1000), usual.set(NaN, 1001)], [1, 1, 0])
    const forever = single({}, { maxAge: Infinity })
    assert.deepStrictEqual([forever.set(1, 0), forever.set(NaN, 1e9)], [1, 1])
  })

  it("weighs a sample by the time since the last one, also when there were attempts in between", () => {
    const { set, signals } = single({ smoothing: 100 })
    set(0, 0)
    set(NaN, 50)
    set(1, 100)
    close(signals.values[0]!.value, 1 - Math.exp(-1))
  })

  it("takes a sample that throws for none, tells of it once until it works again, and takes those of the others", () => {
    let works = true
    let other = 0
    const broken = new Error("broken")
    const thresholds = { start: 0.5, full: 1, smoothing: 0 }
    const sample = () => {
      if (!works) throw broken
      return 1
    }
    const signals = LoadSignals.make(
      [
        { name: "broken", sample, ...thresholds },
        { name: "other", sample: () => other, ...thresholds }
      ],
      { maxFall: Infinity, maxAge: 100 }
    )
    assert.deepStrictEqual(signals.update(0), [])
    works = false
    assert.deepStrictEqual(signals.update(50), [{ name: "broken", error: broken }])
    assert.deepStrictEqual([signals.pressure, signals.cause], [1, "broken"])
    other = 0.75
    assert.deepStrictEqual(signals.update(101), [])
    assert.deepStrictEqual([signals.pressure, signals.cause], [0.5, "other"])
    works = true
    assert.deepStrictEqual([signals.update(102), signals.cause], [[], "broken"])
    works = false
    assert.deepStrictEqual(signals.update(103), [{ name: "broken", error: broken }])
  })

  it("takes the first sample as it is, and keeps the average for a sample that is not a number", () => {
    const { set, signals } = single({ smoothing: 100 })
    set(NaN, 0)
    assert.deepStrictEqual(signals.values, [{ name: "load", sample: NaN, value: 0, pressure: 0 }])
    set(0.75, 10)
    set(NaN, 20)
    assert.deepStrictEqual(signals.values, [{ name: "load", sample: 0.75, value: 0.75, pressure: 0.5 }])
  })

  it("recovers from a spike as fast as from the limit", () => {
    const values = [1, 1e9, Infinity].map((spike) => {
      const { set, signals } = single({ smoothing: 100 })
      set(spike, 0)
      set(0, 200)
      return signals.values[0]!.value
    })
    assert.deepStrictEqual(values, [values[0], values[0], values[0]])
  })

  it("goes no further than its ceiling", () => {
    const { set, signals } = single({ ceiling: 0.5 })
    close(set(0.75, 0), 0.25)
    assert.strictEqual(set(1, 1), 0.5)
    assert.deepStrictEqual([signals.probability("sheddable"), signals.probability("normal")], [1, 0])
  })

  it("takes the largest pressure, and names the signal it comes from", () => {
    let [first, second] = [0.6, 0.8]
    const thresholds = { start: 0.5, full: 1, smoothing: 0 }
    const signals = LoadSignals.make(
      [
        { name: "first", sample: () => first, ...thresholds },
        { name: "second", sample: () => second, ...thresholds }
      ],
      { maxFall: Infinity }
    )
    signals.update(0)
    close(signals.pressure, 0.6)
    assert.strictEqual(signals.cause, "second")
    ;[first, second] = [1, 1]
    signals.update(1)
    assert.strictEqual(signals.cause, "first")
    assert.deepStrictEqual(
      signals.values.map(({ name }) => name),
      ["first", "second"]
    )
  })

  it("refuses sheddable requests first, normal ones after all of those, and critical ones never", () => {
    const cases: ReadonlyArray<[value: number, sheddable: number, normal: number]> = [
      [0.5, 0, 0],
      [0.625, 0.5, 0],
      [0.75, 1, 0],
      [0.875, 1, 0.5],
      [1, 1, 1]
    ]
    const { set, signals } = single()
    for (const [value, sheddable, normal] of cases) {
      set(value, value)
      assert.deepStrictEqual(
        [signals.probability("sheddable"), signals.probability("normal"), signals.probability("critical")],
        [sheddable, normal, 0]
      )
      for (const [priority, probability] of [
        ["sheddable", sheddable],
        ["normal", normal],
        ["critical", 0]
      ] as const) {
        for (const random of [0, 0.25, 0.4999, 0.5, 0.75, 0.9999]) {
          assert.strictEqual(signals.refuse(priority, random), random < probability ? "load" : undefined)
        }
      }
    }
  })

  it("refuses thresholds and options outside their range", () => {
    const signal = (thresholds: Partial<LoadSignals.Thresholds>): LoadSignals.Signal => ({
      name: "s",
      sample: () => 0,
      start: 0.5,
      full: 1,
      ...thresholds
    })
    const bad: ReadonlyArray<[ReadonlyArray<LoadSignals.Signal>, LoadSignals.Options, string]> = [
      [[signal({ start: -1 })], {}, 'start of "s" must be a finite number >= 0, got -1'],
      [[signal({ full: 0.5 })], {}, 'full of "s" must be a finite number > start (0.5), got 0.5'],
      [[signal({ full: Infinity })], {}, 'full of "s" must be a finite number > start (0.5), got Infinity'],
      [[signal({ release: 0.6 })], {}, 'release of "s" must be a number from 0 to start (0.5), got 0.6'],
      [[signal({ ceiling: 0 })], {}, 'ceiling of "s" must be a number > 0 and <= 1, got 0'],
      [[signal({ smoothing: NaN })], {}, 'smoothing of "s" must be a finite number of milliseconds >= 0, got NaN'],
      [[signal({}), signal({})], {}, 'two signals are named "s"'],
      [[], { maxFall: 0 }, "maxFall must be a number > 0, got 0"],
      [[], { maxAge: -1 }, "maxAge must be milliseconds >= 0, got -1"]
    ]
    for (const [signals, options, message] of bad) {
      assert.throws(() => LoadSignals.make(signals, options), RangeError, `LoadSignals.make: ${message}`)
    }
  })

  it("has ready-made signals with the documented thresholds", () => {
    const sample = () => 0.25
    const thresholds = (signal: LoadSignals.Signal) => {
      assert.isFunction(signal.sample)
      return Object.fromEntries(Object.entries(signal).filter(([key]) => key !== "sample"))
    }
    const { eventLoopDelay, eventLoopUtilization, heap, queueDelay, saturation } = LoadSignals
    assert.deepStrictEqual(
      [
        eventLoopUtilization(sample),
        eventLoopDelay(sample),
        heap(),
        queueDelay(sample),
        saturation("images", sample),
        queueDelay(sample, { name: "door", start: 20 })
      ].map(thresholds),
      [
        { name: "eventLoopUtilization", start: 0.9, full: 1, ceiling: 0.5 },
        { name: "eventLoopDelay", start: 100, full: 400 },
        { name: "heap", start: 0.85, full: 0.95, release: 0.8, smoothing: 1000 },
        { name: "queueDelay", start: 10, full: 100, smoothing: 100 },
        { name: "images", start: 0.5, full: 1 },
        { name: "door", start: 20, full: 100, smoothing: 100 }
      ]
    )
    assert.strictEqual(saturation("images", sample).sample(), 0.25)
  })

  it("measures the heap of this thread as a part of its limit", () => {
    const used = LoadSignals.heap().sample()
    assert.isAbove(used, 0)
    assert.isBelow(used, 1)
  })

  const Step = Schema.Struct({
    pass: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 })),
    low: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 120 })),
    more: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))
  })

  it.prop(
    "gives more pressure for larger values, never less than the rising line, and falls no faster than it may",
    { steps: Schema.Array(Step) },
    ({ steps }) => {
      const [lower, higher] = [single({ smoothing: 100 }, { maxFall: 2 }), single({ smoothing: 100 }, { maxFall: 2 })]
      let [now, before] = [0, 0]
      for (const { low, more, pass } of steps) {
        now += pass
        const pressure = lower.set(low / 100, now)
        assert.isAtLeast(higher.set((low + more) / 100, now) + 1e-12, pressure)
        const { value } = lower.signals.values[0]!
        assert.isAtLeast(pressure + 1e-12, Math.min(Math.max((value - 0.5) / 0.5, 0), 1))
        assert.isAtLeast(pressure + 1e-12, before - (2 * pass) / 1000)
        assert.isTrue(pressure >= 0 && pressure <= 1)
        before = pressure
      }
    },
    { arbitrary: { runs: 500, size: 60 } }
  )

  it.prop(
    "does not move while the value stays within the band, once it was there",
    { peak: Schema.Int.check(Schema.isBetween({ minimum: 51, maximum: 100 })), walk: Schema.Array(Step) },
    ({ peak, walk }) => {
      const { set } = single()
      const held = set(peak / 100, 0)
      // The values for which the falling line is not yet below, and the rising line not yet above.
      const [bottom, top] = [0.4 + 0.6 * held, peak / 100]
      let now = 0
      for (const { low, pass } of walk) {
        now += pass
        close(set(bottom + ((top - bottom) * low) / 120, now), held)
      }
    },
    { arbitrary: { runs: 300, size: 40 } }
  )
})
