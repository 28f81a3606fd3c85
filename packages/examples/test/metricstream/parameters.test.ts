import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { limits } from "@spillway/examples/metricstream/query/limits"
import { listQuery, seriesQuery } from "@spillway/examples/metricstream/query/parameters"

const now = 1_790_000_000_250
const endOfSecond = 1_790_000_001_000
const hour = 3_600_000

const refusedParameter = (effect: ReturnType<typeof seriesQuery> | ReturnType<typeof listQuery>) =>
  Effect.map(Effect.flip<unknown, unknown, never>(effect), (problem) => {
    const { extensions, status } = problem as { status: number; extensions: { errors: Array<{ parameter: string }> } }
    assert.strictEqual(status, 400)
    return extensions.errors[0]!.parameter
  })

describe("seriesQuery", () => {
  it.effect("asks for the last hour in 60 buckets by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* seriesQuery({}, now), {
        from: endOfSecond - hour,
        to: endOfSecond,
        step: 60_000,
        agg: ["count", "avg", "min", "max"]
      })
    })
  )

  it.effect("reads absolute and relative times, durations and lists", () =>
    Effect.gen(function* () {
      const relative = yield* seriesQuery({ from: "-2h", to: "-30m", step: "10m", agg: "p99,rate,p99" }, now)
      assert.deepStrictEqual(relative, {
        from: endOfSecond - 2 * hour,
        to: endOfSecond - hour / 2,
        step: 600_000,
        agg: ["p99", "rate"]
      })
      const absolute = yield* seriesQuery({ from: "1700000000000", to: "1700000060000", step: "5000" }, now)
      assert.deepStrictEqual(absolute, { ...absolute, from: 1_700_000_000_000, to: 1_700_000_060_000, step: 5000 })
    })
  )

  it.effect("refuses what it cannot read and names the parameter", () =>
    Effect.gen(function* () {
      for (const [parameter, parameters] of [
        ["from", { from: "yesterday" }],
        ["from", { from: "1.5" }],
        ["from", { from: "now" }],
        ["from", { from: "2000", to: "1000" }],
        ["from", { from: ["1", "2"] }],
        ["to", { to: "-1y" }],
        ["to", { to: "" }],
        ["step", { step: "0" }],
        ["step", { step: "-1s" }],
        ["step", { step: "fast" }],
        ["step", { from: "-1d", step: "1s" }],
        ["agg", { agg: "median" }],
        ["agg", { agg: "avg,,max" }],
        ["agg", { agg: "" }]
      ] as const) {
        assert.strictEqual(yield* refusedParameter(seriesQuery(parameters, now)), parameter, JSON.stringify(parameters))
      }
    })
  )

  it.effect("refuses times and durations that cannot be counted exactly", () =>
    Effect.gen(function* () {
      for (const [parameter, parameters] of [
        ["from", { from: "-999999999999999d" }],
        ["from", { from: "-36526d" }],
        ["to", { to: "-999999999999999" }],
        ["to", { to: "8640000000000001" }],
        ["to", { to: "9999999999999999" }],
        ["step", { step: "999999999999999d" }],
        ["step", { step: "36526d" }]
      ] as const) {
        assert.strictEqual(yield* refusedParameter(seriesQuery(parameters, now)), parameter, JSON.stringify(parameters))
      }
      const years = 36_525 * 24 * hour
      const relative = yield* seriesQuery({ from: "-36525d", step: "36525d" }, now)
      assert.deepStrictEqual(relative, { ...relative, from: endOfSecond - years, to: endOfSecond, step: years })
      const absolute = yield* seriesQuery({ from: "0", to: "8640000000000000" }, now)
      assert.deepStrictEqual(absolute, { ...absolute, from: 0, to: 8.64e15, step: 1.44e14 })
    })
  )

  it.effect("gives at most as many buckets as the limit says", () =>
    Effect.gen(function* () {
      const length = limits.buckets * 1000
      yield* seriesQuery({ from: "0", to: `${length}`, step: "1s" }, now)
      assert.strictEqual(
        yield* refusedParameter(seriesQuery({ from: "0", to: `${length + 1}`, step: "1s" }, now)),
        "step"
      )
    })
  )
})

describe("listQuery", () => {
  it.effect("reads where a page begins and how long it is", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* listQuery({}), { after: "", limit: limits.list, match: "" })
      assert.deepStrictEqual(yield* listQuery({ after: "a", limit: "1", match: "b" }), {
        after: "a",
        limit: 1,
        match: "b"
      })
      for (const limit of ["0", "-1", "x", `${limits.list + 1}`]) {
        assert.strictEqual(yield* refusedParameter(listQuery({ limit })), "limit")
      }
    })
  )
})
