import { assert, describe, it } from "@effect/vitest"
import { Duration, Exit } from "effect"
import { OffloadError, Saturated, TimedOut } from "@spillway/runtime/OffloadError"
import { gzipSync } from "node:zlib"
import { limits as events } from "@spillway/examples/metricstream/events"
import { deposit, most, plainSize } from "@spillway/examples/metricstream/otlp/cost"
import { limits } from "@spillway/examples/metricstream/otlp/limits"
import { costOfExit } from "@spillway/examples/metricstream/otlp/route"
import { BadRequest, RequestTooLarge } from "@spillway/examples/metricstream/otlp/tasks"
import { makeReader } from "@spillway/examples/metricstream/otlp/reader"
import { counter, gauge, millis, nanos, point, requestOf } from "./support/otlp.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

/** What the worker says of a body that is read or not. */
const costOf = (body: Uint8Array<ArrayBuffer>, encoding: "identity" | "gzip" = "identity") => {
  const payload = { request: 1, encoding, format: "json", isFromSdk: true, now: millis(1000), outcomes: [] } as const
  const context = { fail: (error: unknown) => error, transfer: (value: unknown) => value }
  try {
    return (makeReader(events, millis(0)).read({ ...payload, body }, context as never) as { cost: number }).cost
  } catch (error) {
    return (error as { cost: number }).cost
  }
}

describe("cost", () => {
  it("is that of the points, whether they become events or not", () => {
    const points = Array.from({ length: 50 }, () => ({}))
    assert.strictEqual(costOf(bytes(JSON.stringify(requestOf([gauge("a", ...points)])))), 50)
    assert.strictEqual(costOf(bytes("{}")), 1)
  })

  it("is that of the values if they are more, also of a body that cannot be read", () => {
    // Each of these objects might have a value: that is how many there may be at most.
    const values = (text: string) => costOf(bytes(`{"x":[${"{},".repeat(1600)}1]${text}`))
    assert.deepStrictEqual([values("}"), values(`,"resourceMetrics":1}`), values("")], [201, 201, 201])
  })

  it("is that of the bytes once they are decompressed if they are more", () => {
    const text = bytes(JSON.stringify({ x: "x".repeat(100 * 1024 - 8) }))
    assert.strictEqual(costOf(text), 100)
    assert.strictEqual(costOf(new Uint8Array(gzipSync(text)), "gzip"), 100)
    assert.strictEqual(costOf(new Uint8Array(gzipSync(new Uint8Array(limits.bodySize + 1))), "gzip"), 20_480)
  })

  it("is not above what it may be of a body of which nobody knows, and its deposit covers usual ones", () => {
    const tags = Array.from({ length: 5 }, (_, index) => ({
      key: `key.${index}`,
      value: { stringValue: `value.${index}` }
    }))
    const usual = Array.from({ length: 1000 }, (_, asInt) =>
      point({ asInt, attributes: tags, timeUnixNano: nanos(10) })
    )
    const body = bytes(JSON.stringify(requestOf([counter("a", ...usual)])))
    assert.isBelow(costOf(body), deposit(body.length))
    assert.isBelow(costOf(body), 3 * usual.length)
    const smallest = bytes(JSON.stringify(requestOf([gauge("a", ...Array.from({ length: 5000 }, () => ({})))])))
    assert.isAtMost(costOf(smallest), most(smallest.length))
  })
})

describe("costOfExit", () => {
  it("is what the reader says, nothing if it did not begin, and what it may be if nobody knows", () => {
    const cost = costOfExit(3000)
    const offload = (reason: OffloadError["reason"]) => cost(Exit.fail(new OffloadError({ task: "read", reason })))
    assert.strictEqual(cost(Exit.fail(new BadRequest({ field: "", detail: "bad", cost: 7 }))), 7)
    assert.strictEqual(cost(Exit.fail(new RequestTooLarge({ detail: "large", cost: 8 }))), 8)
    const full = new Saturated({ why: "QueueFull", queued: 8, retryAfter: Duration.seconds(1) })
    assert.strictEqual(offload(full), 0)
    assert.strictEqual(offload(new TimedOut({ timeout: Duration.seconds(1) })), 1000)
    assert.deepStrictEqual([cost(Exit.interrupt()), cost(Exit.die("a bug"))], [1000, 1000])
    assert.strictEqual(costOfExit(limits.bodySize)(Exit.interrupt()), limits.points)
  })
})

describe("plainSize", () => {
  it("is what a gzip says, wherever it lies", () => {
    const packed = gzipSync(new Uint8Array(300_000))
    const shared = new Uint8Array(packed.length + 10)
    shared.set(packed, 5)
    assert.strictEqual(plainSize(shared.subarray(5, 5 + packed.length), "gzip"), 300_000)
    assert.strictEqual(plainSize(packed, "identity"), packed.length)
    assert.strictEqual(plainSize(new Uint8Array(3), "gzip"), 0)
  })
})
