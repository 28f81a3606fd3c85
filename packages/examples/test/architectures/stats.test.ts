import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { claim, join, share, Stats, vacate } from "@spillway/examples/architectures/stats/stats"

/** What `GET /metrics` would say, in a registry of its own. */
const exported = Effect.map(PrometheusMetrics.format(), (text) => text.match(/^architecture_.*$/gm) ?? [])

describe("stats", () => {
  it("counts beyond what 32 bits hold", () => {
    const stats = share(2)
    const edge = 2 ** 31 - 1
    for (const slot of [stats, join(1)]) {
      slot.set("processed", edge)
      slot.add("processed", 1)
      slot.set("refused", 2 ** 32 - 1)
      slot.add("refused", 1)
    }
    assert.strictEqual(stats.total("processed"), 2 ** 32)
    assert.strictEqual(stats.greatest("processed"), 2 ** 31)
    assert.strictEqual(stats.rejected, 2 ** 33)
    stats.add("processed", -1)
    assert.strictEqual(stats.total("processed"), 2 ** 32 - 1)
  })

  it("knows the greatest number of handlers at once, over all threads", () => {
    const [one, other] = [share(2), join(1)]
    one.began()
    other.began()
    one.add("active", -1)
    other.began()
    assert.deepStrictEqual([one.maxActive, other.maxActive, one.total("active")], [2, 2, 2])
  })

  it("gives each thread a slot of its own, and forgets what it was doing when it has ended, but not what it had done", () => {
    const all = share(2)
    const [first, second] = [claim(1), claim(2)]
    for (const slot of [first, second]) {
      slot.set("workers", 1)
      slot.add("active", 3)
      slot.add("processed", 5)
    }
    assert.throws(() => claim(3), "more threads")
    vacate(1)
    const third = claim(3)
    third.add("active", 1)
    const figures = (["workers", "active", "processed"] as const).map((field) => all.total(field))
    assert.deepStrictEqual(figures, [1, 4, 10])
    vacate(1)
    assert.strictEqual(all.total("active"), 4)
  })

  it.effect("exports the figures of all threads from one of them, for as long as that runs", () =>
    Effect.gen(function* () {
      const stats = share(2)
      const told = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(Stats.layer(stats))
          const other = join(1)
          yield* Layer.build(Stats.layerLoop(other))
          stats.add("processed", 2)
          other.add("processed", 3)
          other.set("workers", 1)
          return yield* exported
        })
      )
      assert.deepStrictEqual(
        told.filter((line) => /processed|workers/.test(line)),
        ["architecture_workers 1", "architecture_processed_requests_total 5"]
      )
      assert.deepStrictEqual(yield* exported, [])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
