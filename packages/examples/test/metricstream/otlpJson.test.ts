import { assert, describe, it } from "@effect/vitest"
import { gzipSync } from "node:zlib"
import { readRequest } from "@spillway/examples/metricstream/otlp/body"
import { Budget } from "@spillway/examples/metricstream/otlp/budget"
import { fromJson } from "@spillway/examples/metricstream/otlp/json"
import { limits } from "@spillway/examples/metricstream/otlp/limits"
import { message, optional, scalar, TooLarge, Undecodable } from "@spillway/examples/metricstream/otlp/message"
import { ExportMetricsServiceRequest } from "@spillway/examples/metricstream/otlp/messages"
import { gauge, makeBudget, requestOf } from "./support/otlp.ts"

const Scalars = message({
  text: scalar(1, "string"),
  flag: scalar(2, "bool"),
  double: scalar(3, "double"),
  int: scalar(4, "int64"),
  unsigned: scalar(5, "fixed64"),
  small: scalar(6, "sint32"),
  kind: scalar(7, "enum"),
  maybe: optional(8, "double")
})
const read = (value: unknown) => fromJson(Scalars, value, makeBudget())

/** Where and why a request is refused. */
const refusalOf = (value: unknown) => {
  try {
    fromJson(ExportMetricsServiceRequest, value, makeBudget())
  } catch (error) {
    if (error instanceof Undecodable) return [error.field, error.message]
    throw error
  }
  return undefined
}

const bytes = (text: string) => new TextEncoder().encode(text)

describe("fromJson", () => {
  it("gives absent fields and null their defaults, and ignores unknown fields", () => {
    const empty = { text: "", flag: false, double: 0, int: 0, unsigned: 0, small: 0, kind: 0, maybe: undefined }
    assert.deepStrictEqual(read({}), empty)
    assert.deepStrictEqual(read({ text: null, maybe: null, unknown: [{}], Text: "x" }), empty)
  })

  it("takes 64-bit integers as numbers and as strings, exactly", () => {
    assert.strictEqual(read({ int: 12 }).int, 12)
    assert.strictEqual(read({ int: "-12" }).int, -12)
    assert.strictEqual(read({ int: "9007199254740993" }).int, 9007199254740993n)
    assert.strictEqual(read({ int: "-9223372036854775808" }).int, -(2n ** 63n))
    assert.strictEqual(read({ unsigned: "18446744073709551615" }).unsigned, 2n ** 64n - 1n)
  })

  it("takes the greatest 64-bit integers as numbers, which JSON.parse rounds up", () => {
    const parsed = JSON.parse('{"int":9223372036854775807,"unsigned":18446744073709551615}')
    const { int, unsigned } = read(parsed)
    assert.deepStrictEqual([int, unsigned], [2n ** 63n - 1n, 2n ** 64n - 1n])
    for (const beyond of [{ int: 2 ** 63 + 2 ** 11 }, { unsigned: 2 ** 64 + 2 ** 12 }, { small: 2 ** 31 }]) {
      assert.throws(() => read(beyond), Undecodable)
    }
  })

  it("takes doubles as numbers, strings, and what JSON does not have", () => {
    assert.strictEqual(read({ double: 1.5 }).double, 1.5)
    assert.strictEqual(read({ double: "-1.5e3" }).double, -1500)
    assert.isNaN(read({ double: "NaN" }).double)
    assert.strictEqual(read({ double: "-Infinity" }).double, -Infinity)
  })

  it("refuses what is not of the type of its field", () => {
    const bad: ReadonlyArray<object> = [
      { text: 1 },
      { flag: "true" },
      { double: true },
      { double: "" },
      { double: "0x10" },
      { int: 1.5 },
      { int: "1.5" },
      { int: "" },
      { int: "9223372036854775808" },
      { unsigned: -1 },
      { unsigned: "18446744073709551616" },
      { small: 2 ** 31 },
      { kind: "CUMULATIVE" },
      { kind: 1.5 }
    ]
    for (const value of bad) assert.throws(() => read(value), Undecodable, /^expected /, JSON.stringify(value))
  })

  it("names the place that is wrong", () => {
    assert.deepStrictEqual(refusalOf([]), ["", "expected an object"])
    assert.deepStrictEqual(refusalOf({ resourceMetrics: {} }), ["resourceMetrics", "expected an array"])
    assert.deepStrictEqual(refusalOf({ resourceMetrics: [null] }), ["resourceMetrics[0]", "expected an object"])
    assert.deepStrictEqual(refusalOf(requestOf([gauge("a", {}, { asInt: "x" })])), [
      "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[1].asInt",
      `expected an integer from ${-(2n ** 63n)} to ${2n ** 63n - 1n}, as a number or a string`
    ])
  })

  it("refuses attributes that are nested too deeply", () => {
    let value: object = { stringValue: "x" }
    for (let depth = 0; depth < 200; depth++) value = { arrayValue: { values: [value] } }
    const attributes = [{ key: "a", value }]
    assert.include(refusalOf(requestOf([gauge("a", { attributes })]))![1], "nested more than 100 levels")
  })

  it("refuses more messages than its budget has", () => {
    const body = requestOf([gauge("a", {}, {}, {})])
    const readWith = (messages: number) =>
      fromJson(ExportMetricsServiceRequest, body, new Budget(limits.depth, messages, limits.values))
    assert.strictEqual(readWith(10).resourceMetrics.length, 1)
    assert.throws(() => readWith(9), TooLarge)
  })
})

describe("readRequest", () => {
  const body = JSON.stringify(requestOf([gauge("a", { asInt: 1 })]))

  it("reads JSON, plain or gzip", () => {
    const plain = readRequest(bytes(body), "identity", "json", makeBudget())
    assert.strictEqual(plain.resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!.name, "a")
    assert.deepStrictEqual(readRequest(gzipSync(body), "gzip", "json", makeBudget()), plain)
  })

  it("refuses what is not JSON, not UTF-8, not gzip, cut off, or nested too deeply", () => {
    const refused = (input: Uint8Array, encoding: "identity" | "gzip", words: string) =>
      assert.throws(() => readRequest(input, encoding, "json", makeBudget()), Undecodable, words)
    refused(bytes(""), "identity", "end of JSON")
    refused(bytes(body.slice(0, -5)), "identity", "JSON")
    refused(bytes("\uFEFF{}"), "identity", "JSON")
    refused(Uint8Array.of(0x22, 0xff, 0x22), "identity", "UTF-8")
    refused(bytes(body), "gzip", "not gzip")
    refused(gzipSync(body).subarray(0, 40), "gzip", "not gzip")
    refused(bytes('{"resourceMetrics":' + "[".repeat(900_000)), "identity", "JSON")
  })

  it("refuses more objects and lists than it parses", () => {
    const body = (count: number) => bytes(`{"a":[${Array.from({ length: count }, () => "{}").join(",")}]}`)
    assert.deepStrictEqual(readRequest(body(limits.messages - 2), "identity", "json", makeBudget()), {
      resourceMetrics: []
    })
    assert.throws(() => readRequest(body(limits.messages - 1), "identity", "json", makeBudget()), TooLarge)
  })

  it("refuses more members and elements than it parses, also of fields that it does not read", () => {
    const members = Array.from({ length: limits.values }, (_, index) => `"${index.toString(36)}":0`)
    const object = (count: number) => bytes(`{"a":{${members.slice(0, count).join()}}}`)
    const list = (count: number) => bytes(`{"a":[${members.fill("0").slice(0, count).join()}]}`)
    for (const body of [object, list]) {
      // Two begin an object or a list, and there is a comma less than there are values.
      assert.deepStrictEqual(readRequest(body(limits.values - 1), "identity", "json", makeBudget()), {
        resourceMetrics: []
      })
      assert.throws(
        () => readRequest(body(limits.values), "identity", "json", makeBudget()),
        TooLarge,
        `${limits.values} values`
      )
    }
  })

  it("does not take the text of strings for objects, lists and values", () => {
    const text = `\\"\\\\${"{[,".repeat(limits.values)}\\\\`
    assert.deepStrictEqual(readRequest(bytes(`{"a":"${text}","b":"\\\\"}`), "identity", "json", makeBudget()), {
      resourceMetrics: []
    })
    // A string without an end has all of the rest.
    assert.throws(() => readRequest(bytes(`{"a":"${text}\\"}`), "identity", "json", makeBudget()), Undecodable)
  })

  it("refuses a small body that becomes a large one", () => {
    const bomb = gzipSync(new Uint8Array(limits.bodySize + 1))
    assert.isBelow(bomb.length, 100_000)
    assert.throws(() => readRequest(bomb, "gzip", "json", makeBudget()), TooLarge, `${limits.bodySize} bytes`)
  })

  it("does not decompress more than the gzip says it is", () => {
    const members = new Uint8Array(Buffer.concat([gzipSync("{" + " ".repeat(1000)), gzipSync("}")]))
    assert.throws(() => readRequest(members, "gzip", "json", makeBudget()), Undecodable, "more than the 1 bytes")
    assert.throws(() => readRequest(new Uint8Array(gzipSync("")), "gzip", "json", makeBudget()), Undecodable, "JSON")
  })
})
