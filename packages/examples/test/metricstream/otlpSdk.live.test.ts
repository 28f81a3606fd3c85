import { diag, DiagLogLevel } from "@opentelemetry/api"
import { AggregationTemporalityPreference, OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http"
import { OTLPMetricExporter as ProtobufExporter } from "@opentelemetry/exporter-metrics-otlp-proto"
import { resourceFromAttributes } from "@opentelemetry/resources"
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics"
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import { FetchHttpClient } from "effect/http"
import { OtlpExporter, OtlpMetrics, OtlpSerialization } from "effect/observability"
import { join } from "node:path"
import { storedEvents, temporaryFolder } from "./support/files.ts"
import { getJson, start } from "./support/server.ts"

/** One server for all tests of this file. Each uses metrics of its own. */
class Running extends Context.Service<Running, { readonly url: string; readonly database: string }>()("test/Running") {
  static readonly layer = Layer.effect(
    Running,
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      return { url: (yield* start(database)).url, database }
    })
  )
}

/** An SDK that exports when it is told to. */
const makeProvider = (exporter: PushMetricExporter) =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new MeterProvider({
          resource: resourceFromAttributes({ "service.name": "shop", "service.instance.id": "1" }),
          readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
          views: [{ instrumentName: "*.exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }]
        })
    ),
    (provider) => Effect.promise(() => provider.shutdown())
  )

const flush = (provider: MeterProvider) => Effect.promise(() => provider.forceFlush())

/** What a series holds. */
const seriesOf = (url: string, name: string) =>
  Effect.map(getJson(`${url}/series/${encodeURIComponent(name)}?step=2h&agg=count,sum,min,max`), ({ buckets }) => {
    const { start: _, ...values } = buckets[0]
    return values
  })

const once = (value: number) => ({ count: 1, sum: value, min: value, max: value })

/** Measures with each kind of instrument, exports, measures again and exports again. */
const measure = Effect.fnUntraced(function* (provider: MeterProvider, prefix: string) {
  const meter = provider.getMeter("test", "1.0.0")
  const orders = meter.createCounter(`${prefix}.orders`, { unit: "{order}" })
  const active = meter.createUpDownCounter(`${prefix}.active`)
  const duration = meter.createHistogram(`${prefix}.duration`, {
    unit: "s",
    advice: { explicitBucketBoundaries: [1, 2, 4] }
  })
  const size = meter.createHistogram(`${prefix}.exponential`)
  meter.createObservableGauge(`${prefix}.celsius`).addCallback((result) => result.observe(21.5, { room: "kitchen" }))
  orders.add(5, { route: "/a" })
  orders.add(1, { route: "/b" })
  active.add(3)
  for (const seconds of [0.5, 1.5, 1.5, 3]) duration.record(seconds)
  for (const bytes of [100, 200, 400]) size.record(bytes)
  yield* flush(provider)
  orders.add(2, { route: "/a" })
  active.add(-1)
  duration.record(3)
  yield* flush(provider)
})

/** Asserts what is stored of that. `min` and `max` of an interval are only in deltas. */
const assertMeasured = Effect.fnUntraced(function* (url: string, prefix: string, isDelta: boolean) {
  const series = (name: string) => seriesOf(url, `${prefix}.${name}`)
  assert.deepStrictEqual(yield* series("orders"), { count: 3, sum: 8, min: 1, max: 5 })
  assert.deepStrictEqual(yield* series("active"), { count: 2, sum: 5, min: 2, max: 3 })
  assert.deepStrictEqual(yield* series("celsius"), { count: 2, sum: 43, min: 21.5, max: 21.5 })
  assert.deepStrictEqual(yield* series("duration.count"), { count: 2, sum: 5, min: 1, max: 4 })
  assert.deepStrictEqual(yield* series("duration.sum"), { count: 2, sum: 9.5, min: 3, max: 6.5 })
  assert.deepStrictEqual((yield* series("duration.p50")).min, 1.5)
  assert.deepStrictEqual(yield* series("exponential.count"), once(3))
  assert.deepStrictEqual(yield* series("exponential.sum"), once(700))
  assert.closeTo((yield* series("exponential.p50")).sum, 200, 10)
  const { series: all } = yield* getJson(`${url}/series?after=${prefix}&limit=30`)
  const names = all.map(({ name }: { readonly name: string }) => name).filter((name: string) => name.startsWith(prefix))
  assert.strictEqual(names.includes(`${prefix}.duration.max`), isDelta)
  if (isDelta) assert.deepStrictEqual((yield* series("duration.max")).sum, 3 + 3)
})

layer(Running.layer, { excludeTestServices: true })("MetricStream", (it) => {
  const exporters: ReadonlyArray<readonly [string, boolean, (url: string) => PushMetricExporter]> = [
    ["in JSON", false, (url) => new OTLPMetricExporter({ url })],
    [
      "in JSON, compressed, as deltas",
      true,
      (url) =>
        new OTLPMetricExporter({
          url,
          compression: "gzip" as never,
          temporalityPreference: AggregationTemporalityPreference.DELTA
        })
    ],
    ["in Protocol Buffers", false, (url) => new ProtobufExporter({ url })],
    [
      "in Protocol Buffers, compressed, with low memory",
      true,
      (url) =>
        new ProtobufExporter({
          url,
          compression: "gzip" as never,
          temporalityPreference: AggregationTemporalityPreference.LOWMEMORY
        })
    ]
  ]
  exporters.forEach(([how, isDelta, make], index) => {
    it.effect(`takes what the OpenTelemetry SDK exports ${how}`, () =>
      Effect.gen(function* () {
        const { database, url } = yield* Running
        const prefix = `sdk${index}`
        yield* measure(yield* makeProvider(make(`${url}/v1/metrics`)), prefix)
        yield* assertMeasured(url, prefix, isDelta)
        const [event] = storedEvents(database).filter(({ name }) => name === `${prefix}.orders`)
        assert.deepStrictEqual(JSON.parse(event!.tags!), {
          "service.name": "shop",
          "service.instance.id": "1",
          unit: "{order}",
          route: event!.value === 1 ? "/b" : "/a"
        })
      })
    )
  })

  it.effect("tells the OpenTelemetry SDK which points are not stored, and stores the others", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const warnings: Array<string> = []
      const ignore = () => {}
      const warn = (...parts: ReadonlyArray<unknown>) => void warnings.push(parts.map(String).join(" "))
      diag.setLogger({ debug: ignore, error: warn, info: ignore, verbose: ignore, warn }, DiagLogLevel.WARN)
      yield* Effect.addFinalizer(() => Effect.sync(() => diag.disable()))
      const provider = yield* makeProvider(new OTLPMetricExporter({ url: `${url}/v1/metrics` }))
      const gauge = provider.getMeter("test").createGauge("partial")
      gauge.record(NaN, { kind: "bad" })
      gauge.record(7, { kind: "good" })
      yield* flush(provider)
      assert.deepStrictEqual(yield* seriesOf(url, "partial"), once(7))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0]!, "Partial Success")
      assert.include(warnings[0]!, "1 of 2 data points were rejected")
    })
  )

  for (const temporality of ["cumulative", "delta"] as const) {
    it.effect(`takes what effect exports, ${temporality} and compressed`, () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        const prefix = `effect.${temporality}`
        const exporter = OtlpMetrics.layer({
          url: `${url}/v1/metrics`,
          resource: { serviceName: "shop" },
          compression: "gzip",
          exportInterval: "1 hour",
          temporality
        }).pipe(Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer]))
        yield* Effect.gen(function* () {
          const flusher = yield* OtlpExporter.Flusher
          const orders = Metric.counter(`${prefix}.orders`, { incremental: true })
          const duration = Metric.histogram(`${prefix}.duration`, { boundaries: [1, 2, 4] })
          const kinds = Metric.frequency(`${prefix}.kinds`)
          const sizes = Metric.summary(`${prefix}.sizes`, {
            maxAge: "1 hour",
            maxSize: 100,
            quantiles: [0.5, 1]
          })
          yield* Metric.update(orders, 5)
          yield* Metric.update(Metric.gauge(`${prefix}.celsius`), 21.5)
          for (const seconds of [0.5, 1.5, 1.5, 3]) yield* Metric.update(duration, seconds)
          for (const kind of ["a", "b", "a"]) yield* Metric.update(kinds, kind)
          for (const size of [10, 20, 30]) yield* Metric.update(sizes, size)
          yield* flusher.flush
          yield* Metric.update(orders, 3)
          yield* Metric.update(duration, 3)
          yield* flusher.flush
          const series = (name: string) => seriesOf(url, `${prefix}.${name}`)
          assert.deepStrictEqual(yield* series("orders"), { count: 2, sum: 8, min: 3, max: 5 })
          assert.deepStrictEqual(yield* series("celsius"), { count: 2, sum: 43, min: 21.5, max: 21.5 })
          assert.deepStrictEqual(yield* series("duration.count"), { count: 2, sum: 5, min: 1, max: 4 })
          assert.deepStrictEqual((yield* series("duration.p50")).min, 1.5)
          assert.deepStrictEqual(yield* series("kinds"), { count: 2, sum: 3, min: 1, max: 2 })
          assert.deepStrictEqual(yield* series("sizes.count"), once(3))
          assert.deepStrictEqual((yield* series("sizes.p50")).max, 20)
          assert.deepStrictEqual((yield* series("sizes.max")).max, 30)
        }).pipe(
          Effect.provide(exporter),
          // Only what is measured here is exported.
          Effect.provideService(Metric.MetricRegistry, new Map())
        )
      })
    )
  }
})

describe("MetricStream with a small quota", () => {
  it.live("has the OpenTelemetry SDK send again later what is over it, and stores that once", () =>
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      const { url } = yield* start(database, { METRICSTREAM_RATE_LIMIT: "2" })
      const provider = yield* makeProvider(new OTLPMetricExporter({ url: `${url}/v1/metrics` }))
      const counter = provider.getMeter("test").createCounter("quota")
      for (const [round, expected] of [
        [1, 3],
        [2, 6]
      ]) {
        for (const route of ["/a", "/b", "/c"]) counter.add(1, { route })
        yield* flush(provider)
        const { sum } = yield* seriesOf(url, "quota")
        // The first export is of the millisecond in which the counter was made, most often.
        assert.strictEqual(sum, expected, `round ${round}`)
      }
    })
  )
})
