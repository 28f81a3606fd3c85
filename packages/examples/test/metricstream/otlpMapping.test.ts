import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Event, limits as events } from "@spillway/examples/metricstream/events"
import { limits } from "@spillway/examples/metricstream/otlp/limits"
import {
  attributes,
  counter,
  gauge,
  histogram,
  makeMapper,
  millis,
  nanos,
  point,
  requestOf,
  valuesOf
} from "./support/otlp.ts"
import type { Json } from "./support/otlp.ts"

const [delta, cumulative] = [1, 2]

/** A histogram point: 4 values from 1 to 40. */
const four = (members: Json = {}) =>
  point({ count: "4", sum: 60, explicitBounds: [10, 20], bucketCounts: [1, 2, 1], min: 1, max: 40, ...members })

/** A delta exponential histogram of one point. */
const exponential = (members: Json) => ({
  name: "a",
  exponentialHistogram: { aggregationTemporality: delta, dataPoints: [point(members)] }
})

/** A delta sum, monotonic, of one point. */
const increase = (members: Json) => ({
  name: "a",
  sum: { aggregationTemporality: delta, isMonotonic: true, dataPoints: [point(members)] }
})

/** How many points of a request are rejected, and why. */
const rejectionOf = (...metrics: ReadonlyArray<Json>) => {
  const { message, rejected } = makeMapper()(requestOf(metrics))
  return [rejected, message] as const
}

describe("mapRequest", () => {
  it("stores a gauge as it is, at its own time", () => {
    const { columns: _, ...mapped } = makeMapper()(
      requestOf([gauge("room.celsius", point({ asDouble: 21.5 }), { asInt: "-3" })])
    )
    assert.deepStrictEqual(mapped, {
      points: 2,
      rejected: 0,
      message: "",
      events: [
        { name: "room.celsius", value: 21.5, timestamp: millis(10) },
        // It has no time: when it arrived.
        { name: "room.celsius", value: -3, timestamp: millis(1000) }
      ]
    })
  })

  it("stores of a cumulative monotonic sum what it has grown by", () => {
    const map = makeMapper()
    const at = (second: number, asInt: number) =>
      map(requestOf([counter("a", { startTimeUnixNano: nanos(1), timeUnixNano: nanos(second), asInt })])).events
    assert.deepStrictEqual(
      [at(10, 5), at(20, 8), at(30, 8)],
      [[{ name: "a", value: 5, timestamp: millis(10) }], [{ name: "a", value: 3, timestamp: millis(20) }], []]
    )
  })

  it("stores a delta sum as it is, and another cumulative sum as a gauge", () => {
    const sum = (aggregationTemporality: number, isMonotonic: boolean, ...values: ReadonlyArray<number>) => ({
      name: "a",
      sum: { aggregationTemporality, isMonotonic, dataPoints: values.map((asInt) => point({ asInt })) }
    })
    assert.deepStrictEqual(valuesOf(sum(delta, true, 5, 0, 5)), [
      ["a", 5],
      ["a", 5]
    ])
    assert.deepStrictEqual(valuesOf(sum(delta, false, -5, 0)), [["a", -5]])
    assert.deepStrictEqual(valuesOf(sum(cumulative, false, -5, 0)), [
      ["a", -5],
      ["a", 0]
    ])
  })

  it("stores of a delta histogram the count, sum, percentiles and extremes", () => {
    assert.deepStrictEqual(valuesOf(histogram("h", delta, four())), [
      ["h.count", 4],
      ["h.sum", 60],
      ["h.p50", 15],
      ["h.p90", 32],
      ["h.p99", 39.2],
      ["h.min", 1],
      ["h.max", 40]
    ])
  })

  it("stores of a cumulative histogram what is new, without the extremes, which are not", () => {
    const map = makeMapper()
    map(requestOf([histogram("h", cumulative, four())]))
    const later = four({ timeUnixNano: nanos(20), count: 6, sum: 90, bucketCounts: [1, 4, 1] })
    const { events } = map(requestOf([histogram("h", cumulative, later)]))
    assert.deepStrictEqual(
      events.map(({ name, value }) => [name, value]),
      [
        ["h.count", 2],
        ["h.sum", 30],
        ["h.p50", 15],
        ["h.p90", 19],
        ["h.p99", 19.9]
      ]
    )
    assert.deepStrictEqual(map(requestOf([histogram("h", cumulative, later)])).events, [])
  })

  it("stores what a histogram does say, without buckets, sum or values", () => {
    const bare = point({ count: 2 })
    assert.deepStrictEqual(valuesOf(histogram("h", delta, bare)), [["h.count", 2]])
    assert.deepStrictEqual(valuesOf(histogram("h", delta, point({ count: 2, sum: "NaN", min: "Infinity" }))), [
      ["h.count", 2]
    ])
    assert.deepStrictEqual(valuesOf(histogram("h", delta, four({ count: 0, bucketCounts: [0, 0, 0] }))), [])
  })

  it("takes a last bound of infinity for none", () => {
    const unknown = { min: null, max: null }
    const infinite = four({ ...unknown, explicitBounds: [10, 20, "Infinity"], bucketCounts: [1, 2, 1, 0] })
    const values = valuesOf(histogram("h", delta, infinite))
    assert.deepStrictEqual(values.at(-1), ["h.p99", 20])
    assert.deepStrictEqual(values, valuesOf(histogram("h", delta, four(unknown))))
  })

  it("stores an exponential histogram like any other", () => {
    const dataPoint = point({ count: 2, sum: 12, scale: 0, zeroCount: 0, positive: { offset: 2, bucketCounts: ["2"] } })
    const exponential = (aggregationTemporality: number) => ({
      name: "e",
      exponentialHistogram: { aggregationTemporality, dataPoints: [dataPoint] }
    })
    const values = valuesOf(exponential(delta))
    assert.deepStrictEqual(values.slice(0, 2), [
      ["e.count", 2],
      ["e.sum", 12]
    ])
    assert.strictEqual(values[2]![0], "e.p50")
    assert.closeTo(values[2]![1], 4 * Math.SQRT2, 1e-9)
    assert.deepStrictEqual(valuesOf(exponential(cumulative)), values)
  })

  it("takes a count for the sum of its buckets, also of both signs and where doubles round", () => {
    const countsOf = (...metrics: ReadonlyArray<Json>) =>
      valuesOf(...metrics).filter(([name]) => name.endsWith("count"))
    const buckets = { positive: { bucketCounts: [1, 2] }, negative: { bucketCounts: ["3"] } }
    assert.deepStrictEqual(countsOf(exponential({ count: 10, zeroCount: 4, ...buckets })), [["a.count", 10]])
    const huge = four({
      count: "18446744073709551615",
      bucketCounts: ["9223372036854775807", "9223372036854775806", 2]
    })
    assert.deepStrictEqual(countsOf(histogram("h", delta, huge)), [["h.count", 2 ** 64]])
    const odd = four({ count: "9007199254740995", bucketCounts: ["9007199254740993", 1, 1] })
    assert.deepStrictEqual(countsOf(histogram("h", delta, odd)), [["h.count", 2 ** 53 + 4]])
  })

  it("stores the quantiles of a summary as they are, and its count and sum as increases", () => {
    const quantileValues = [0, 0.5, 0.29, 0.999, 1].map((quantile) => ({ quantile, value: quantile * 10 }))
    const summary = { name: "s", summary: { dataPoints: [point({ count: 3, sum: 9, quantileValues })] } }
    assert.deepStrictEqual(valuesOf(summary), [
      ["s.count", 3],
      ["s.sum", 9],
      ["s.min", 0],
      ["s.p50", 5],
      ["s.p29", 2.9],
      ["s.p99.9", 9.99],
      ["s.max", 10]
    ])
  })

  it("stores nothing of a point that only ends its stream, of a metric without data, of an empty request", () => {
    const ended = point({ flags: 1, asInt: 5 })
    const map = makeMapper()
    for (const request of [requestOf([gauge("a", ended), { name: "b" }]), {}, { resourceMetrics: [{}] }]) {
      const { events, rejected } = map(request)
      assert.deepStrictEqual([events, rejected], [[], 0])
    }
  })

  it("tags events with what identifies their service, the unit, and their attributes", () => {
    const resource = { "service.name": "shop", "service.instance.id": "1", "telemetry.sdk.name": "x" }
    const metric = { ...gauge("a", { attributes: attributes({ route: "/a" }), asInt: 1 }), unit: "s" }
    const [event] = makeMapper()(requestOf([metric], resource)).events
    assert.deepStrictEqual(event!.tags, {
      "service.name": "shop",
      "service.instance.id": "1",
      unit: "s",
      route: "/a"
    })
  })

  it("writes values of attributes as text, and cuts what is too long or too many", () => {
    const values: ReadonlyArray<Json> = [
      { intValue: "9007199254740993" },
      { boolValue: false },
      { doubleValue: 0.5 },
      { bytesValue: "AQI=" },
      { arrayValue: { values: [{ stringValue: "a" }, {}, { intValue: "9007199254740993" }] } },
      { kvlistValue: { values: [{ key: "__proto__", value: { doubleValue: "NaN" } }] } },
      { stringValue: "😀".repeat(events.tagValueLength) },
      {}
    ]
    const many = Array.from({ length: 20 }, (_, index) => ({ key: `x${index}`, value: { intValue: index } }))
    const pairs = values.map((value, index) => ({ key: `${index}`.padEnd(100, "k"), value }))
    const [event] = makeMapper()(requestOf([gauge("a", { attributes: [...pairs, ...many], asInt: 1 })])).events
    const tags = Object.entries(event!.tags!)
    assert.strictEqual(tags.length, events.tags)
    assert.deepStrictEqual(
      tags.slice(0, 9).map(([, value]) => value),
      [
        "9007199254740993",
        "false",
        "0.5",
        "AQI=",
        '["a",null,"9007199254740993"]',
        '{"__proto__":"NaN"}',
        "😀".repeat(Math.floor(events.tagValueLength / 2)),
        "",
        "0"
      ]
    )
    assert.isTrue(tags.slice(0, 8).every(([key]) => key.length === events.tagKeyLength))
  })

  it("keeps streams of other attributes, scopes and senders apart, in whatever order attributes come", () => {
    const map = makeMapper()
    const value = (second: number, asInt: number, texts: Readonly<Record<string, string>>, resource = "1") => {
      const dataPoint = { startTimeUnixNano: nanos(1), timeUnixNano: nanos(second), asInt }
      const metric = counter("a", { ...dataPoint, attributes: attributes(texts) })
      return map(requestOf([metric], { id: resource })).events[0]?.value
    }
    assert.strictEqual(value(10, 5, { a: "1", b: "2" }), 5)
    assert.strictEqual(value(20, 7, { b: "2", a: "1" }), 2)
    assert.strictEqual(value(20, 7, { a: "2", b: "1" }), 7)
    assert.strictEqual(value(20, 7, { a: "1", b: "2" }, "2"), 7)
  })

  it("keeps senders with the same attributes apart by their start", () => {
    const map = makeMapper()
    const value = (start: number, second: number, asInt: number) =>
      map(requestOf([counter("a", { startTimeUnixNano: nanos(start), timeUnixNano: nanos(second), asInt })])).events[0]
        ?.value
    assert.deepStrictEqual([value(1, 10, 100), value(2, 10, 5), value(1, 20, 101), value(2, 20, 7)], [100, 5, 1, 2])
  })

  it("takes a stream that says to begin after its point for one that does not know", () => {
    const map = makeMapper()
    const value = (timeUnixNano: string, asInt: number) =>
      map(requestOf([counter("a", { startTimeUnixNano: nanos(100), timeUnixNano, asInt })])).events[0]?.value
    assert.deepStrictEqual([value(nanos(10), 5), value(nanos(20), 8)], [undefined, 3])
  })

  it("makes names fit", () => {
    const names = ["http.server/request-duration_s:x", "grüße 😀", "9lives", "__proto__"]
    assert.deepStrictEqual(
      valuesOf(...names.map((name) => gauge(name, { asInt: 1 }))).map(([name]) => name),
      ["http.server/request-duration_s:x", "gr__e__", "_9lives", "__proto__"]
    )
  })

  it("rejects points that cannot be stored, counts them, and says why", () => {
    const cases: ReadonlyArray<readonly [reason: string, metric: Json]> = [
      ["its metric has no name", gauge("", { asInt: 1 })],
      ["the name of its metric has more than 255 characters", gauge("a".repeat(256), { asInt: 1 })],
      ["the name of its metric has more than 239 characters", histogram("a".repeat(240), delta, four())],
      ["it has no value", gauge("a", {})],
      ["its value is not a finite number", counter("a", { asDouble: "NaN" })],
      ["its time is not in the years 2000 to 2100", gauge("a", { asInt: 1, timeUnixNano: "1700000000000" })],
      ["its time is not in the years 2000 to 2100", gauge("a", { asInt: 1, timeUnixNano: "18446744073709551615" })],
      ["its aggregation temporality is neither delta nor cumulative", histogram("a", 0, four())],
      ["it does not have one bucket more than bounds", histogram("a", delta, four({ bucketCounts: [1, 2] }))],
      ["its count is not the sum of its buckets", histogram("a", delta, four({ count: "600" }))],
      ["its count is not the sum of its buckets", histogram("a", cumulative, four({ count: 3 }))],
      ["its count is not the sum of its buckets", histogram("a", delta, four({ bucketCounts: [1, 2 ** 41, 2] }))],
      ["its count is not the sum of its buckets", exponential({ count: 2, zeroCount: 1 })],
      ["its count is not the sum of its buckets", exponential({ positive: { bucketCounts: [1] } })],
      ["it is negative, though its sum is monotonic", increase({ asInt: "-1" })],
      ["it is negative, though its sum is monotonic", increase({ asInt: "-9223372036854775808" })],
      ["it is negative, though its sum is monotonic", counter("a", point({ asDouble: -0.5 }))],
      ["its bounds do not ascend", histogram("a", delta, four({ explicitBounds: [20, 10] }))],
      ["its bounds do not ascend", histogram("a", delta, four({ explicitBounds: ["NaN", 10] }))],
      [
        `it has more than ${limits.buckets} buckets`,
        histogram("a", delta, four({ bucketCounts: Array.from({ length: limits.buckets + 1 }, () => 0) }))
      ],
      ["its scale is not from -10 to 20", exponential({ scale: 21 })],
      ["a quantile is not from 0 to 1", { name: "a", summary: { dataPoints: [{ quantileValues: [{ quantile: 2 }] }] } }]
    ]
    for (const [reason, metric] of cases) {
      const [rejected, message] = rejectionOf(metric, gauge("good", { asInt: 1 }))
      assert.strictEqual(rejected, 1, reason)
      assert.include(message, `1 of 2 data points were rejected: 1 because ${reason} (first of "`)
    }
  })

  it("stores the others, and gives each reason once, the most frequent first", () => {
    const { events, message, rejected } = makeMapper()(
      requestOf([gauge("a", {}, { asInt: 1 }, { asDouble: "NaN" }), gauge("b", { asDouble: "NaN" })])
    )
    assert.deepStrictEqual(
      events.map(({ name }) => name),
      ["a"]
    )
    assert.strictEqual(rejected, 3)
    assert.strictEqual(
      message,
      '3 of 4 data points were rejected: 2 because its value is not a finite number (first of "a"), 1 because it has no value (first of "a")'
    )
  })

  it("rejects the points beyond what one request may make", () => {
    const points = Array.from({ length: limits.events + 3 }, () => ({ asInt: 1 }))
    const { events, message, rejected } = makeMapper()(requestOf([gauge("a", ...points)]))
    assert.strictEqual(events.length, limits.events)
    assert.strictEqual(rejected, 3)
    assert.include(message, `one request makes at most ${limits.events} events`)
  })

  const Text = Schema.String
  const Fuzzy = Schema.Struct({
    name: Text,
    unit: Text,
    value: Schema.Union([Schema.Number, Schema.Undefined]),
    seconds: Schema.Int.check(Schema.isBetween({ minimum: -3e9, maximum: 8e9 })),
    attributes: Schema.Array(Schema.Struct({ key: Text, value: Schema.Struct({ stringValue: Text }) })),
    resource: Schema.Record(Schema.Literals(["service.name", "service.instance.id", "other"]), Text)
  })
  it.prop(
    "makes only events that could have been posted, and rejects all others",
    [Schema.Array(Fuzzy)],
    ([inputs]) => {
      const metrics = inputs.map(({ attributes, name, seconds, unit, value }) => {
        const timeUnixNano = seconds === 0 ? "0" : `${Math.max(0, 1_700_000_000 + seconds)}000000000`
        return { unit, ...gauge(name, { attributes, timeUnixNano, asDouble: value }) }
      })
      const { events, points, rejected } = makeMapper()(requestOf(metrics, inputs[0]?.resource))
      assert.strictEqual(points, inputs.length)
      assert.strictEqual(events.length + rejected, points)
      for (const event of events) Schema.decodeUnknownSync(Event)(event)
    }
  )
})
