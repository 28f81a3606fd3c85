import { LatencyHistogram } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"

const micros = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000_000_000 }))
const fraction = Schema.Number.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

describe("LatencyHistogram", () => {
  it.prop(
    "gives every quantile, never too low and at most 1/128 too high",
    [Schema.NonEmptyArray(micros), fraction],
    ([values, q]) => {
      const histogram = LatencyHistogram.make()
      for (const value of values) histogram.record(value / 1000)
      const sorted = values.toSorted((a, b) => a - b)
      const exact = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
      const estimate = histogram.quantile(q) * 1000
      assert.isAtLeast(estimate + 1e-6 * exact, exact)
      assert.isAtMost(estimate, exact * (1 + 1 / 128) + 1e-6 * exact)
      assert.strictEqual(Math.round(histogram.quantile(1) * 1000), sorted.at(-1))
    },
    { arbitrary: { runs: 500 } }
  )

  it("is exact below 256 microseconds", () => {
    const histogram = LatencyHistogram.make()
    for (let value = 0; value < 256; value++) histogram.record(value / 1000)
    for (let value = 0; value < 256; value++) assert.strictEqual(histogram.quantile((value + 1) / 256), value / 1000)
  })

  it("summarises", () => {
    const histogram = LatencyHistogram.make()
    assert.isUndefined(histogram.summary())
    assert.isNaN(histogram.quantile(0.5))
    for (let millis = 1; millis <= 1000; millis++) histogram.record(millis)
    const { count, max, p50, p90, p99, p999 } = histogram.summary()!
    assert.deepStrictEqual([count, max], [1000, 1000])
    for (const [quantile, exact] of [
      [p50, 500],
      [p90, 900],
      [p99, 990],
      [p999, 999]
    ] as const) {
      assert.isTrue(quantile >= exact && quantile <= exact * 1.008, `${quantile} is about ${exact}`)
    }
  })

  it("takes what is below 0 as 0, and keeps the maximum of what is above its range", () => {
    const histogram = LatencyHistogram.make()
    histogram.record(-5)
    assert.deepStrictEqual(histogram.summary(), { count: 1, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 })
    histogram.record(1e9)
    assert.strictEqual(histogram.summary()!.max, 1e9)
  })
})
