import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as metrics from "@spillway/examples/metricstream/metrics"
import * as Retention from "@spillway/examples/metricstream/retention"
import { Storage } from "@spillway/examples/metricstream/storage/storage"
import type { Policy, Retained } from "@spillway/examples/metricstream/storage/retainer"

const nothing: Retained = {
  aged: 0,
  crowded: 0,
  more: false,
  millis: 5,
  series: 2,
  usedBytes: 4096,
  freeBytes: 8192,
  walBytes: 100
}

/** Runs the retention on a storage that answers as it is told, and notes when it was asked for what. */
const run = Effect.fnUntraced(function* (
  options: Retention.Options,
  answers: ReadonlyArray<Partial<Retained> | "locked">
) {
  const calls: Array<{ readonly policy: Policy; readonly at: number }> = []
  const storage = Storage.layerInline(
    {
      append: () => Effect.die("nothing is stored here"),
      probe: () => Effect.void,
      retain: (policy) =>
        Effect.gen(function* () {
          const answer = answers[calls.length] ?? {}
          calls.push({ policy, at: yield* Effect.clockWith((clock) => clock.currentTimeMillis) })
          if (answer === "locked") return yield* Effect.fail({ _tag: "StorageFailed", detail: "locked" } as const)
          return { ...nothing, ...answer }
        })
    },
    { workers: 1 }
  )
  yield* Layer.build(Retention.layer(options).pipe(Layer.provide(storage)))
  return calls
})

/** Metrics of this test alone. */
const ownMetrics = Effect.provideService(Metric.MetricRegistry, new Map())

describe("Retention", () => {
  it.effect(
    "looks every second, and deletes with pauses of three times the work until there is nothing more to do",
    () =>
      Effect.gen(function* () {
        const more = { more: true, aged: 10, millis: 8 }
        const calls = yield* run({ maxAge: "1 hour", maxSize: 1000 }, [{}, more, more, { aged: 3, crowded: 4 }])
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(
          calls.map(({ at }) => at),
          [0, 1000, 1024, 1048]
        )
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(
          calls.slice(4).map(({ at }) => at),
          [2048, 3048]
        )
        const value = <I, S>(metric: Metric.Metric<I, S>) => Metric.value(metric)
        const { count } = yield* value(Metric.withAttributes(metrics.deleted, { reason: "age" }))
        assert.strictEqual(count, 23)
        assert.strictEqual((yield* value(Metric.withAttributes(metrics.deleted, { reason: "size" }))).count, 4)
        assert.strictEqual((yield* value(Metric.withAttributes(metrics.databaseSize, { state: "free" }))).value, 8192)
        assert.strictEqual((yield* value(metrics.series)).value, 2)
        const passes = yield* value(metrics.passDuration)
        assert.deepStrictEqual([passes.count, passes.max], [1, 0.048])
      }).pipe(ownMetrics)
  )

  it.effect("asks for what is too old by steps of a hundredth of the age, and for less in use than the size", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000_123)
      const calls = yield* run({ maxAge: "50 seconds", maxSize: 1000 }, [])
      yield* TestClock.adjust("1 second")
      const policy = { maxBytes: 950, maxFileBytes: 1000, budget: 10 }
      assert.deepStrictEqual(
        calls.map((call) => call.policy),
        [
          { ...policy, keepFrom: 999_950_000, now: 1_000_000_123 },
          { ...policy, keepFrom: 999_951_000, now: 1_000_001_123 }
        ]
      )
    })
  )

  it.effect("keeps all for ever if it is told so", () =>
    Effect.gen(function* () {
      const calls = yield* run({ maxAge: Duration.infinity, maxSize: Infinity }, [])
      yield* TestClock.adjust("1 second")
      assert.deepInclude(calls[0]!.policy, { keepFrom: -Infinity, maxBytes: Infinity, maxFileBytes: Infinity })
    })
  )

  it.effect("goes on after a failure, and tells once that it began and that it ended", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Effect.provide(
        Logger.layer([Logger.make(({ message }) => logged.push(String([message].flat()[0])))])
      )
      const calls = yield* run({ maxAge: "1 hour", maxSize: 1000 }, ["locked", "locked", {}, {}]).pipe(logger)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(calls.length, 4)
      assert.deepStrictEqual(logged, ["old events cannot be deleted", "old events are deleted again"])
      assert.strictEqual((yield* Metric.value(metrics.retentionFailures)).count, 2)
    }).pipe(ownMetrics)
  )

  it("never steps by more than a minute", () => {
    const day = 86_400_000
    assert.strictEqual(Retention.keepFrom(100 * day + 59_999, 30 * day), 70 * day)
    assert.strictEqual(Retention.keepFrom(100 * day + 60_000, 30 * day), 70 * day + 60_000)
  })
})
