import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { Batch, Event, limits } from "@spillway/examples/metricstream/events"
import { copies } from "./support/files.ts"

const problemsOf = (schema: typeof Event | typeof Batch, input: unknown): string => {
  const result = Schema.decodeUnknownResult(schema)(input)
  return Result.isSuccess(result) ? "" : String(result.failure)
}
const event = { name: "room.temperature_celsius", value: 21.5 }
const tags = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, "value"]))

describe("Event", () => {
  it("takes a name and a value, and at its limits a timestamp and tags", () => {
    for (const good of [
      event,
      { ...event, name: "a".repeat(limits.nameLength) },
      { ...event, name: "_a/B-9.c:d" },
      { ...event, value: -0.5e300 },
      { ...event, timestamp: limits.timestamp.minimum, tags: tags(limits.tags) },
      { ...event, tags: { ["k".repeat(limits.tagKeyLength)]: "v".repeat(limits.tagValueLength), empty: "" } }
    ]) {
      assert.strictEqual(problemsOf(Event, good), "", JSON.stringify(good))
    }
  })

  it("refuses what exceeds a limit and names the field", () => {
    for (const [field, bad] of [
      ["name", { value: 1 }],
      ["name", { ...event, name: "" }],
      ["name", { ...event, name: "a".repeat(limits.nameLength + 1) }],
      ["name", { ...event, name: "<script>" }],
      ["name", { ...event, name: "1a" }],
      ["name", { ...event, name: 1 }],
      ["value", { name: "a" }],
      ["value", { ...event, value: "21.5" }],
      ["value", { ...event, value: null }],
      ["value", { ...event, value: Infinity }],
      ["timestamp", { ...event, timestamp: 1_700_000_000 }],
      ["timestamp", { ...event, timestamp: 1_700_000_000_000_000 }],
      ["timestamp", { ...event, timestamp: 1_700_000_000_000.5 }],
      ["timestamp", { ...event, timestamp: "now" }],
      ["tags", { ...event, tags: tags(limits.tags + 1) }],
      ["tags", { ...event, tags: [] }],
      ["tags", { ...event, tags: { key: 1 } }],
      ["tags", { ...event, tags: { ["k".repeat(limits.tagKeyLength + 1)]: "" } }],
      ["tags", { ...event, tags: { key: "v".repeat(limits.tagValueLength + 1) } }]
    ] as const) {
      assert.include(problemsOf(Event, bad), `["${field}"]`, JSON.stringify(bad))
    }
  })
})

describe("Batch", () => {
  it("names the index of the event that is wrong", () => {
    assert.include(problemsOf(Batch, [event, event, { ...event, value: "x" }]), `[2]["value"]`)
  })

  it("takes as many events as the limit says", () => {
    assert.strictEqual(problemsOf(Batch, copies(limits.batch, event)), "")
    assert.include(problemsOf(Batch, copies(limits.batch + 1, event)), `at most ${limits.batch}`)
  })
})
