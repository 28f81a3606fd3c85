import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { aggregate, aggregationNames, bucketCount } from "@spillway/examples/metricstream/query/aggregation"
import type { Aggregation } from "@spillway/examples/metricstream/query/aggregation"

/** The aggregations as one would write them without a thought for speed. */
const naive = (values: ReadonlyArray<number>, seconds: number): Record<Aggregation, number> => {
  const sorted = values.toSorted((a, b) => a - b)
  const sum = values.reduce((a, b) => a + b, 0)
  const rank = (share: number) => sorted.find((_, index) => (index + 1) / sorted.length >= share) ?? NaN
  return {
    count: values.length,
    sum,
    min: sorted[0] ?? NaN,
    max: sorted.at(-1) ?? NaN,
    avg: sum / values.length,
    p50: rank(0.5),
    p90: rank(0.9),
    p99: rank(0.99),
    rate: values.length / seconds
  }
}

const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))
const Sample = Schema.Tuple([Millis, Schema.Int.check(Schema.isBetween({ minimum: -100, maximum: 100 }))])

describe("aggregate", () => {
  it.prop(
    "equals the naive computation in every bucket",
    {
      samples: Schema.Array(Sample),
      step: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1500 })),
      length: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))
    },
    ({ length, samples, step }) => {
      const range = { from: 5000, to: 5000 + length, step }
      const events = samples
        .map(([time, value]) => [5000 + time, value] as const)
        .filter(([time]) => time < range.to)
        .toSorted(([a], [b]) => a - b)
      const columns = aggregate(events, range, aggregationNames)
      for (let index = 0; index < bucketCount(range); index++) {
        const start = range.from + index * step
        const end = Math.min(start + step, range.to)
        const inside = events.filter(([time]) => time >= start && time < end).map(([, value]) => value)
        const expected = naive(inside, (end - start) / 1000)
        const actual = Object.fromEntries(aggregationNames.map((name, column) => [name, columns[column]![index]]))
        assert.deepStrictEqual(actual, expected)
      }
    }
  )

  it("takes percentiles by nearest rank", () => {
    const events = Array.from({ length: 100 }, (_, index) => [index, 100 - index] as const)
    const columns = aggregate(events, { from: 0, to: 100, step: 100 }, ["p50", "p90", "p99"])
    assert.deepStrictEqual(
      columns.map((column) => column[0]),
      [50, 90, 99]
    )
  })

  it("holds more values in one bucket than it first makes room for", () => {
    const events = Array.from({ length: 5000 }, (_, index) => [index, 1] as const)
    const [count, sum] = aggregate(events, { from: 0, to: 10_000, step: 5000 }, ["count", "sum"])
    assert.deepStrictEqual([...count!], [5000, 0])
    assert.deepStrictEqual([...sum!], [5000, 0])
  })
})
