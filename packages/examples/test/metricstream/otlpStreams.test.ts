import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Streams, Totals } from "@spillway/examples/metricstream/otlp/streams"
import { makeStreams, nanos } from "./support/otlp.ts"

interface Options {
  readonly key?: string
  readonly source?: string
  readonly start?: number | undefined
  readonly isFirstHand?: boolean
}

/** Long after all that happens here. */
const now = BigInt(nanos(1_000_000))

const totals = (...numbers: ReadonlyArray<number | bigint>): Totals => ({ numbers, distribution: undefined })

/** What a point at a second adds; its request is stored. */
const makeAdd = (streams: Streams) => {
  let request = 0
  return (
    second: number,
    value: number | bigint,
    { key = "a", source = "s", start = 1, isFirstHand = true }: Options = {}
  ) => {
    streams.open(++request, now)
    const point = {
      key,
      source,
      start: start === 0 ? 0 : BigInt(nanos(start)),
      time: BigInt(nanos(second)),
      isFirstHand
    }
    const added = streams.advance(request, { ...point, totals: totals(value) })
    streams.settle(request)
    return added?.numbers[0]
  }
}

describe("Streams", () => {
  it("counts the first point of a stream that began later than the table, and then what is added", () => {
    const add = makeAdd(makeStreams())
    assert.deepStrictEqual([add(10, 5), add(20, 8), add(30, 8)], [5, 3, 0])
  })

  it("takes the first point of a stream that began before the table for where the next begins", () => {
    const add = makeAdd(makeStreams())
    assert.deepStrictEqual([add(10, 5, { start: -1 }), add(20, 8, { start: -1 })], [undefined, 3])
  })

  it("does so for a stream that does not know when it began", () => {
    const add = makeAdd(makeStreams())
    assert.deepStrictEqual([add(10, 5, { start: 0 }), add(20, 8, { start: 0 })], [undefined, 3])
    const same = { key: "b", source: "b", start: 10, isFirstHand: false }
    assert.deepStrictEqual([add(10, 5, same), add(20, 8, same)], [undefined, 3])
  })

  it("counts a first point of the instant in which its program began to count", () => {
    const add = makeAdd(makeStreams())
    assert.deepStrictEqual([add(10, 5, { start: 10 }), add(20, 8, { start: 10 })], [5, 3])
  })

  it("counts the first point of a stream that its sender did not have before", () => {
    const add = makeAdd(makeStreams())
    add(10, 5, { start: -1 })
    const late = { key: "b", start: -1 }
    assert.deepStrictEqual([add(20, 3, late), add(30, 4, late)], [3, 1])
    assert.isUndefined(add(20, 3, { key: "c", start: -1, source: "other" }))
    // Without a start it cannot be told whose it is.
    add(10, 5, { start: 0, source: "unknown" })
    assert.isUndefined(add(20, 3, { key: "d", start: 0, source: "unknown" }))
  })

  it("does not count the streams of a sender that come in the same report as its first", () => {
    const add = makeAdd(makeStreams())
    add(10, 5, { start: -1 })
    assert.isUndefined(add(10, 3, { key: "b", start: -1 }))
  })

  it("adds nothing for a point that comes again or late", () => {
    const add = makeAdd(makeStreams())
    add(10, 5)
    add(20, 8)
    assert.deepStrictEqual([add(20, 8), add(10, 5), add(30, 9)], [0, undefined, 1])
  })

  it("counts anew when the values of a stream without a start fall", () => {
    const add = makeAdd(makeStreams())
    const unknown = { start: 0 }
    add(10, 5, unknown)
    assert.deepStrictEqual([add(20, 2, unknown), add(30, 3, unknown), add(15, 1, unknown)], [2, 1, undefined])
  })

  it("is exact beyond the integers that doubles hold", () => {
    const add = makeAdd(makeStreams())
    add(10, 2n ** 60n)
    assert.strictEqual(add(20, 2n ** 60n + 1n), 1n)
  })

  it("counts again what was not stored, once it comes again", () => {
    const streams = makeStreams()
    const advance = (request: number, second: number, value: number) => {
      streams.open(request, now)
      const [start, time] = [BigInt(nanos(1)), BigInt(nanos(second))]
      return streams.advance(request, { key: "a", source: "s", start, time, isFirstHand: true, totals: totals(value) })
        ?.numbers[0]
    }
    assert.strictEqual(advance(1, 10, 5), 5)
    streams.revert(1)
    assert.strictEqual(streams.size, 0)
    assert.strictEqual(advance(2, 10, 5), 5)
    assert.strictEqual(advance(3, 20, 8), 3)
    streams.revert(3)
    streams.revert(3)
    streams.settle(2)
    assert.strictEqual(advance(4, 30, 10), 5)
  })

  it("owes to a later point what a request before it did not store", () => {
    const streams = makeStreams()
    const advance = (request: number, second: number, value: number | bigint) => {
      streams.open(request, now)
      const [start, time] = [BigInt(nanos(1)), BigInt(nanos(second))]
      return streams.advance(request, { key: "a", source: "s", start, time, isFirstHand: true, totals: totals(value) })
        ?.numbers[0]
    }
    advance(1, 10, 5)
    advance(2, 20, 8)
    advance(3, 30, 9)
    streams.revert(2)
    streams.settle(3)
    assert.strictEqual(advance(4, 40, 11), 3 + 2)
  })

  it("does not take a sender for known by a request that was not stored", () => {
    const streams = makeStreams()
    const advance = (request: number, second: number, key: string) => {
      streams.open(request, now)
      const [start, time] = [BigInt(nanos(-1)), BigInt(nanos(second))]
      return streams.advance(request, { key, source: "s", start, time, isFirstHand: true, totals: totals(5) })
    }
    advance(1, 10, "a")
    streams.revert(1)
    assert.isUndefined(advance(2, 20, "a"))
  })

  it("forgets the stream that was quiet for longest, and does not count it whole when it comes back", () => {
    const streams = makeStreams({ maxNumbers: 60 })
    const add = makeAdd(streams)
    const of = (key: string, start = 1) => ({ key, source: key, start })
    add(10, 5, of("a"))
    add(10, 5, of("b"))
    add(10, 5, of("c"))
    assert.strictEqual(streams.size, 3)
    add(20, 6, of("a"))
    add(20, 7, of("d", 15))
    assert.strictEqual(streams.size, 3)
    assert.deepStrictEqual([add(30, 8, of("a")), add(30, 9, of("b"))], [2, undefined])
    assert.strictEqual(add(40, 10, of("b")), 1)
    assert.strictEqual(add(40, 3, of("e", 35)), 3)
  })

  it("does not know the sender of a stream that it forgot before its request was stored", () => {
    const streams = makeStreams({ maxNumbers: 40 })
    const advance = (request: number, second: number, key: string, source: string) => {
      const [start, time] = [BigInt(nanos(-1)), BigInt(nanos(second))]
      return streams.advance(request, { key, source, start, time, isFirstHand: true, totals: totals(5) })
    }
    streams.open(1, now)
    for (const [key, source] of [
      ["a", "s"],
      ["b", "t"],
      ["c", "t"]
    ] as const)
      advance(1, 10, key, source)
    streams.settle(1)
    assert.strictEqual(streams.size, 2)
    streams.open(2, now)
    // What a new stream of a sender has counted that is known is new, but not that of one that is as unknown as at the start.
    assert.deepStrictEqual([advance(2, 20, "d", "t"), advance(2, 20, "e", "s")], [totals(5), undefined])
  })

  /** What points of some streams add at a second, in a request that stays open. They began before the table. */
  const makeReport =
    (streams: Streams) =>
    (request: number, second: number, value: number, ...keys: Array<string>) => {
      streams.open(request, now)
      const [start, time] = [BigInt(nanos(-1)), BigInt(nanos(second))]
      return keys.map((key) => {
        const point = { key, source: key[0]!, start, time, isFirstHand: true, totals: totals(value) }
        return streams.advance(request, point)?.numbers[0]
      })
    }

  it("does not take a stream for new that it forgot while it held others of its sender", () => {
    const streams = makeStreams({ maxNumbers: 40 })
    const report = makeReport(streams)
    report(1, 10, 1000, "a1", "a2", "a3")
    streams.settle(1)
    assert.strictEqual(streams.size, 2)
    assert.deepStrictEqual(report(2, 20, 1001, "a1", "a2", "a3"), [undefined, undefined, undefined])
  })

  it("does so too if its request was stored only later, and ever after", () => {
    const streams = makeStreams({ maxNumbers: 60 })
    const report = makeReport(streams)
    report(1, 10, 1000, "a1", "a2")
    report(2, 11, 7, "b1", "b2")
    streams.settle(1)
    streams.settle(2)
    report(3, 20, 1001, "a2")
    streams.settle(3)
    assert.deepStrictEqual(report(4, 30, 1001, "a1"), [undefined])
  })

  it("does so too if all streams of its sender were forgotten before its request was stored", () => {
    const streams = makeStreams({ maxNumbers: 40 })
    const report = makeReport(streams)
    report(1, 10, 1000, "a1")
    report(2, 11, 7, "b1", "b2")
    report(3, 12, 1000, "a2")
    streams.settle(1)
    streams.settle(3)
    assert.deepStrictEqual(report(4, 20, 1001, "a1"), [undefined])
  })

  it("does not take streams for old because of a clock that was far ahead", () => {
    const streams = makeStreams({ maxNumbers: 40 })
    const add = makeAdd(streams)
    add(90_000_000, 5, { key: "a", source: "a", start: 80_000_000 })
    add(10, 5, { key: "b", source: "b" })
    add(10, 5, { key: "c", source: "c" })
    assert.strictEqual(streams.size, 2)
    assert.strictEqual(add(1_000_020, 7, { key: "d", source: "d", start: 1_000_010 }), 7)
  })

  it("takes the first of too many open requests for stored, whether there are many or they change much", () => {
    const [start, time] = [BigInt(nanos(1)), BigInt(nanos(10))]
    const point = (key: string) => ({ key, source: "s", start, time, isFirstHand: true, totals: totals(5) })
    // A request and a point in it weigh 33.
    const change = (changes: ReadonlyArray<number>) => {
      const streams = makeStreams({ maxOpen: 70 })
      changes.forEach((count, request) => {
        streams.open(request, now)
        for (let i = 0; i < count; i++) streams.advance(request, point(`${request}.${i}`))
      })
      changes.forEach((_, request) => streams.revert(request))
      return streams.size
    }
    assert.strictEqual(change([1, 1]), 0)
    assert.strictEqual(change([1, 0, 0, 0]), 1)
    assert.strictEqual(change([1, 3]), 1)
    assert.strictEqual(change([2, 4, 1]), 6)
  })

  const Report = Schema.Struct({
    stream: Schema.Literals(["a", "b", "c"]),
    grown: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
    fate: Schema.Literals(["stored", "refused", "repeated", "late"])
  })
  it.prop(
    "adds up to what each stream has counted, whatever is refused, repeated or late",
    [Schema.Array(Report)],
    ([reports]) => {
      const streams = makeStreams()
      const counted = new Map<string, number>()
      const stored = new Map<string, number>()
      const constant = { start: BigInt(nanos(1)), isFirstHand: true }
      let request = 0
      const send = (key: string, value: number, time: bigint, isStored: boolean) => {
        streams.open(++request, now)
        const added = streams.advance(request, { ...constant, key, source: key, time, totals: totals(value) })
        if (!isStored) return streams.revert(request)
        stored.set(key, (stored.get(key) ?? 0) + Number(added?.numbers[0] ?? 0))
        streams.settle(request)
      }
      reports.forEach(({ fate, grown, stream }, index) => {
        const before = counted.get(stream) ?? 0
        const value = before + grown
        counted.set(stream, value)
        const time = BigInt(nanos(10 + index))
        send(stream, value, time, fate !== "refused")
        if (fate === "repeated") send(stream, value, time, true)
        if (fate === "late") send(stream, before, time - 1n, true)
      })
      for (const [stream, value] of counted) send(stream, value, BigInt(nanos(10_000)), true)
      assert.deepStrictEqual(stored, counted)
    }
  )

  const Round = Schema.Struct({
    sender: Schema.Literals(["a", "b", "c"]),
    /** Streams that it has from then on. */
    begun: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 })),
    isStored: Schema.Boolean,
    /** How many of the open requests end after it. */
    ended: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))
  })
  it.prop(
    "stores no more than was counted, however few streams it holds",
    { rounds: Schema.Array(Round), maxNumbers: Schema.Int.check(Schema.isBetween({ minimum: 20, maximum: 120 })) },
    ({ maxNumbers, rounds }) => {
      const streams = makeStreams({ maxNumbers })
      const report = makeReport(streams)
      const counts: Record<string, number> = { a: 1, b: 1, c: 1 }
      const stored = new Map<string, number>()
      const open: Array<() => void> = []
      rounds.forEach(({ begun, ended, isStored, sender }, request) => {
        counts[sender]! += begun
        const keys = Array.from({ length: counts[sender]! }, (_, index) => `${sender}${index}`)
        const added = report(request, 10 + request, 1000 + request, ...keys)
        open.push(() => {
          if (!isStored) return streams.revert(request)
          keys.forEach((key, index) => stored.set(key, (stored.get(key) ?? 0) + Number(added[index] ?? 0)))
          streams.settle(request)
        })
        for (const end of open.splice(0, ended)) end()
      })
      for (const end of open) end()
      for (const sum of stored.values()) assert.isAtMost(sum, 1000 + rounds.length)
    }
  )
})
