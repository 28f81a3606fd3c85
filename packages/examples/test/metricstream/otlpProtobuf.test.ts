import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { OtlpSerialization } from "effect/observability"
import { readRequest } from "@spillway/examples/metricstream/otlp/body"
import { Budget } from "@spillway/examples/metricstream/otlp/budget"
import { message, many, scalar, scalars, TooLarge, Undecodable } from "@spillway/examples/metricstream/otlp/message"
import { fromProtobuf } from "@spillway/examples/metricstream/otlp/protobuf"
import * as writer from "@spillway/examples/metricstream/otlp/protobufWriter"
import { attributes, counter, gauge, histogram, makeBudget, nanos, requestOf } from "./support/otlp.ts"

const Inner = message({ text: scalar(1, "string") })
const Sample = message({
  int: scalar(1, "int64"),
  unsigned: scalar(2, "uint64"),
  fixed: scalar(3, "sfixed64"),
  zigzag: scalar(4, "sint32"),
  flag: scalar(5, "bool"),
  kind: scalar(6, "enum"),
  numbers: scalars(7, "uint64"),
  doubles: scalars(8, "double"),
  inner: many(16, () => Inner),
  blob: scalar(17, "bytes")
})
const absent = Sample.empty()
const read = (...bytes: ReadonlyArray<number>) => fromProtobuf(Sample, Uint8Array.from(bytes), makeBudget())
const ones = (count: number) => Array.from({ length: count }, () => 0xff)

describe("fromProtobuf", () => {
  it("reads integers of all kinds", () => {
    assert.deepStrictEqual(read(), absent)
    assert.strictEqual(read(0x08, 0xac, 0x02).int, 300)
    assert.strictEqual(read(0x08, ...ones(9), 0x01).int, -1)
    assert.strictEqual(read(0x10, ...ones(9), 0x01).unsigned, 2n ** 64n - 1n)
    assert.strictEqual(read(0x10, ...ones(7), 0x0f).unsigned, Number.MAX_SAFE_INTEGER)
    assert.strictEqual(read(0x10, ...ones(7), 0x1f).unsigned, 2n ** 54n - 1n)
    assert.strictEqual(read(0x19, ...ones(8)).fixed, -1)
    assert.strictEqual(read(0x20, 0x03).zigzag, -2)
    assert.strictEqual(read(0x20, ...ones(4), 0x0f).zigzag, -(2 ** 31))
    assert.isTrue(read(0x28, 0x01).flag)
    assert.strictEqual(read(0x30, ...ones(9), 0x01).kind, -1)
  })

  it("reads repeated numbers packed and unpacked, and repeated messages", () => {
    assert.deepStrictEqual(read(0x3a, 3, 1, 0xac, 0x02, 0x38, 7, 0x3a, 0).numbers, [1, 300, 7])
    assert.deepStrictEqual(read(0x42, 8, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f).doubles, [1])
    assert.deepStrictEqual(read(0x82, 0x01, 3, 0x0a, 1, 0x61, 0x82, 0x01, 0).inner, [{ text: "a" }, { text: "" }])
    assert.strictEqual(read(0x8a, 0x01, 2, 1, 2).blob, "AQI=")
    assert.deepStrictEqual(absent.numbers, [])
  })

  it("skips unknown fields, and those of another wire type", () => {
    const unknown = [0x78, 1, 0x79, ...ones(8), 0x7a, 2, 1, 2, 0x7d, 1, 2, 3, 4]
    assert.deepStrictEqual(read(...unknown, 0x08, 5), { ...absent, int: 5 })
    assert.deepStrictEqual(read(0x0a, 1, 0x61, 0x09, ...ones(8)), absent)
  })

  it("refuses what is cut off, too long, or not of its kind", () => {
    for (const bytes of [
      [0x08],
      [0x08, 0x80],
      [0x08, ...ones(10), 0x01],
      [0x19, 1, 2],
      [0x3a, 5, 1],
      [0x3a, 1, 0x80, 0x01],
      [0x82, 0x01, 3, 0x0a, 5, 0x61, 0x61],
      [0x82, 0x01, 3, 0x0a, 1, 0xff],
      [0x0b],
      [0x00],
      [0x7a, ...ones(9), 0x01]
    ]) {
      assert.throws(() => read(...bytes), Undecodable, undefined, String(bytes))
    }
  })

  it("refuses a message that goes beyond the one that it is in", () => {
    const Middle = message({ inner: many(1, () => Inner) })
    const Outer = message({ middle: many(1, () => Middle) })
    const readOuter = (...bytes: ReadonlyArray<number>) => fromProtobuf(Outer, Uint8Array.from(bytes), makeBudget())
    assert.deepStrictEqual(readOuter(0x0a, 5, 0x0a, 3, 0x0a, 1, 0x61), { middle: [{ inner: [{ text: "a" }] }] })
    assert.throws(() => readOuter(0x0a, 2, 0x0a, 3, 0x0a, 1, 0x61), Undecodable)
  })

  it("refuses more messages than its budget has", () => {
    const bytes = Uint8Array.from(Array.from({ length: 3 }, () => [0x82, 0x01, 0]).flat())
    assert.throws(() => fromProtobuf(Sample, bytes, new Budget(100, 3, 100)), TooLarge)
    assert.throws(() => fromProtobuf(Sample, bytes, new Budget(1, 100, 100)), Undecodable)
  })

  it("refuses more elements of lists than its budget has, packed or not", () => {
    const packed = Uint8Array.of(0x3a, 3, 1, 2, 3)
    const single = Uint8Array.of(0x38, 1, 0x38, 2, 0x38, 3)
    for (const bytes of [packed, single]) {
      assert.deepStrictEqual(fromProtobuf(Sample, bytes, new Budget(100, 100, 3)).numbers, [1, 2, 3])
      assert.throws(() => fromProtobuf(Sample, bytes, new Budget(100, 100, 2)), TooLarge)
    }
  })

  it.prop("reads any bytes or refuses them", [Schema.Uint8Array], ([bytes]) => {
    try {
      fromProtobuf(Sample, bytes, makeBudget())
    } catch (error) {
      assert.instanceOf(error, Undecodable)
    }
  })
})

describe("readRequest", () => {
  it.effect("reads the same from both encodings that effect writes", () =>
    Effect.gen(function* () {
      const dataPoint = {
        attributes: [
          ...attributes({ route: "/ü" }),
          { key: "n", value: { intValue: -5 } },
          { key: "list", value: { arrayValue: { values: [{ boolValue: true }, { doubleValue: 0.5 }] } } }
        ],
        startTimeUnixNano: nanos(1),
        timeUnixNano: nanos(10)
      }
      const histogramPoint = {
        ...dataPoint,
        count: 3,
        sum: 4.5,
        min: 1,
        max: 2,
        bucketCounts: [1, 2],
        explicitBounds: [1.5]
      }
      const quantileValues = [{ quantile: 0.5, value: 1.5 }]
      const data = requestOf(
        [
          { ...gauge("g", { ...dataPoint, asDouble: -1.5 }), unit: "s" },
          counter("c", { ...dataPoint, asInt: "9007199254740993" }, { ...dataPoint, asInt: -1 }),
          histogram("h", 2, histogramPoint),
          { name: "s", summary: { dataPoints: [{ ...dataPoint, count: 3, sum: 4.5, quantileValues }] } }
        ],
        { "service.name": "shop" }
      )
      const bytesOf = (layer: typeof OtlpSerialization.layerJson) =>
        Effect.gen(function* () {
          const { body } = (yield* OtlpSerialization.OtlpSerialization).metrics(data as never) as unknown as {
            body: Uint8Array
          }
          return body
        }).pipe(Effect.provide(layer))
      const json = readRequest(yield* bytesOf(OtlpSerialization.layerJson), "identity", "json", makeBudget())
      const protobuf = readRequest(
        yield* bytesOf(OtlpSerialization.layerProtobuf),
        "identity",
        "protobuf",
        makeBudget()
      )
      assert.strictEqual(json.resourceMetrics[0]!.scopeMetrics[0]!.metrics.length, 4)
      assert.deepStrictEqual(protobuf, json)
    })
  )
})

describe("protobufWriter", () => {
  it("writes what success and failure say", () => {
    assert.deepStrictEqual([...writer.exportResponse(0, "")], [])
    assert.deepStrictEqual([...writer.exportResponse(300, "ü")], [0x0a, 7, 0x08, 0xac, 0x02, 0x12, 2, 0xc3, 0xbc])
    assert.deepStrictEqual([...writer.status(3, "no")], [0x08, 3, 0x12, 2, 0x6e, 0x6f])
  })
})
