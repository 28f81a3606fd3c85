import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { quantiles, since } from "@spillway/examples/metricstream/otlp/distribution"
import type { Explicit, Exponential, Row } from "@spillway/examples/metricstream/otlp/distribution"

const explicit = (bounds: ReadonlyArray<number>, counts: ReadonlyArray<number>): Explicit => ({
  kind: "explicit",
  bounds,
  counts
})
const empty: Row = { offset: 0, counts: [] }
const exponential = (members: Partial<Exponential>): Exponential => ({
  kind: "exponential",
  scale: 0,
  zeroCount: 0,
  zeroThreshold: 0,
  positive: empty,
  negative: empty,
  ...members
})
const unknown = { min: undefined, max: undefined }

describe("quantiles", () => {
  it("spreads the values of a bucket evenly over it", () => {
    assert.deepStrictEqual(quantiles(explicit([10, 20], [4, 4, 0]), [0.25, 0.5, 0.75, 1], unknown), [5, 10, 15, 20])
  })

  it("begins and ends at the extremes, and where they are unknown at 0 and at the last bound", () => {
    const distribution = explicit([10, 20], [1, 0, 1])
    assert.deepStrictEqual(quantiles(distribution, [0, 1], unknown), [0, 20])
    assert.deepStrictEqual(quantiles(distribution, [0, 0.25, 1], { min: 8, max: 32 }), [8, 9, 32])
    assert.deepStrictEqual(quantiles(explicit([-5, 5], [2, 0, 0]), [0.5], unknown), [-5])
  })

  it("knows nothing without values, and nothing of one bucket without extremes", () => {
    assert.isUndefined(quantiles(explicit([1], [0, 0]), [0.5], unknown))
    assert.isUndefined(quantiles(explicit([], [5]), [0.5], unknown))
    assert.deepStrictEqual(quantiles(explicit([], [4]), [0.5], { min: 0, max: 8 }), [4])
  })

  it("spreads the values of an exponential bucket in its proportion", () => {
    const positive = { offset: 2, counts: [2, 2] }
    assert.deepStrictEqual(quantiles(exponential({ positive }), [0, 0.25, 0.5, 1], unknown), [4, 4 * Math.SQRT2, 8, 16])
    const fine = quantiles(exponential({ scale: 20, positive: { offset: 2 ** 20, counts: [1] } }), [0.5], unknown)
    assert.closeTo(fine![0]!, 2, 1e-5)
  })

  it("counts negative values and zeros of an exponential histogram in their order", () => {
    const distribution = exponential({
      zeroCount: 2,
      zeroThreshold: 0.5,
      positive: { offset: 0, counts: [2] },
      negative: { offset: 0, counts: [1, 1] }
    })
    const shares = [0, 1 / 6, 1 / 3, 0.5, 2 / 3, 1]
    assert.deepStrictEqual(quantiles(distribution, shares, unknown), [-4, -2, -1, 0, 0.5, 2])
  })

  it("stays within numbers at both ends of their range", () => {
    const ends = exponential({ scale: -10, positive: { offset: -2, counts: [1, 0, 0, 1] } })
    assert.deepStrictEqual(quantiles(ends, [0, 1], unknown), [0, Number.MAX_VALUE])
    // From 2 ** -1024 to 1: the ratio of the bounds is beyond all numbers.
    const widest = { offset: -1, counts: [2] }
    const shares = [0, 0.5, 1]
    const powers = [2 ** -1024, 2 ** -512, 1]
    assert.deepStrictEqual(quantiles(exponential({ scale: -10, positive: widest }), shares, unknown), powers)
    assert.deepStrictEqual(
      quantiles(exponential({ scale: -10, negative: widest }), shares, unknown),
      powers.toReversed().map((power) => -power)
    )
  })

  const Value = Schema.Finite.check(Schema.isBetween({ minimum: -1e6, maximum: 1e6 }))
  it.prop(
    "is within the bucket of the true percentile",
    {
      values: Schema.NonEmptyArray(Value),
      bounds: Schema.Array(Value),
      share: Schema.Literals([0.01, 0.5, 0.9, 0.99])
    },
    ({ bounds: some, share, values }) => {
      const bounds = [...new Set(some)].toSorted((a, b) => a - b)
      const counts = Array.from({ length: bounds.length + 1 }, () => 0)
      const bucketOf = (value: number) => bounds.filter((bound) => bound < value).length
      for (const value of values) counts[bucketOf(value)]!++
      const [min, max] = [Math.min(...values), Math.max(...values)]
      const [estimate] = quantiles(explicit(bounds, counts), [share], { min, max })!
      const truth = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1]!
      assert.isAtLeast(estimate!, Math.max(min, bounds[bucketOf(truth) - 1] ?? min) - 1e-6)
      assert.isAtMost(estimate!, Math.min(max, bounds[bucketOf(truth)] ?? max) + 1e-6)
    }
  )
})

describe("since", () => {
  it("takes what was counted before from each bucket", () => {
    assert.deepStrictEqual(since(explicit([1], [3, 5]), explicit([1], [1, 5])), explicit([1], [2, 0]))
    // One that falls is a mistake of its sender.
    assert.deepStrictEqual(since(explicit([1], [3, 5]), explicit([1], [1, 6])), explicit([1], [2, 0]))
  })

  it("is unknown between other bounds, kinds and thresholds", () => {
    assert.isUndefined(since(explicit([1], [3, 5]), explicit([2], [1, 5])))
    assert.isUndefined(since(explicit([1], [3, 5]), explicit([1, 2], [1, 2, 5])))
    assert.isUndefined(since(exponential({}), explicit([1], [1, 5])))
    assert.isUndefined(since(exponential({ zeroThreshold: 1 }), exponential({})))
  })

  it("makes the buckets of an exponential histogram as coarse as those of the other", () => {
    const before = exponential({ scale: 1, positive: { offset: -3, counts: [1, 0, 0, 2, 0, 4] } })
    const now = exponential({ scale: 0, zeroCount: 1, positive: { offset: -2, counts: [2, 0, 3, 5, 1] } })
    const positive = { offset: -2, counts: [1, 0, 1, 1, 1] }
    assert.deepStrictEqual(
      since(now, before),
      exponential({ zeroCount: 1, positive, negative: { offset: 0, counts: [] } })
    )
  })
})
