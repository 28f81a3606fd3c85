import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Metric, Queue } from "effect"
import { TestClock } from "effect/testing"
import { RateLimited } from "@spillway/http/RateLimit"
import { limits } from "@spillway/examples/metricstream/events"
import type { Event } from "@spillway/examples/metricstream/events"
import { EventsRefused, Ingest, StorageUnavailable } from "@spillway/examples/metricstream/ingest"
import * as metrics from "@spillway/examples/metricstream/metrics"
import { Otlp } from "@spillway/examples/metricstream/otlp/otlp"
import type { Allowance, Body } from "@spillway/examples/metricstream/otlp/otlp"
import { makeReader } from "@spillway/examples/metricstream/otlp/reader"
import type { Outcome as Told } from "@spillway/examples/metricstream/otlp/tasks"
import { BadRequest, OtlpReader, RequestTooLarge } from "@spillway/examples/metricstream/otlp/tasks"
import { Storage } from "@spillway/examples/metricstream/storage/storage"
import { gzipSync } from "node:zlib"
import { counter, gauge, histogram, millis, nanos, point, requestOf } from "./support/otlp.ts"

type Outcome = Effect.Effect<void, StorageUnavailable | EventsRefused>

/** Events on their way to the disk; the test decides what becomes of them. */
interface Append {
  readonly events: ReadonlyArray<Event>
  readonly finish: (outcome: Outcome) => Effect.Effect<void>
}

/** An `Otlp` that began at second 0, whose storage waits for the test. */
const makeOtlp = Effect.gen(function* () {
  const appends = yield* Queue.unbounded<Append>()
  const append = Effect.fnUntraced(function* (events: ReadonlyArray<Event>) {
    const done = yield* Deferred.make<void, StorageUnavailable | EventsRefused>()
    yield* Queue.offer(appends, { events, finish: (outcome) => Effect.asVoid(Deferred.complete(done, outcome)) })
    yield* Deferred.await(done)
  })
  const reader = makeReader(limits, millis(0))
  const told: Array<ReadonlyArray<Told>> = []
  const read: typeof reader.read = (payload, context) => {
    told.push(payload.outcomes)
    return reader.read(payload, context)
  }
  const dependencies = Layer.merge(Layer.mock(Ingest)({ append }), OtlpReader.layerInline({ read }, { workers: 1 }))
  const context = yield* Layer.build(Otlp.layerNoDeps.pipe(Layer.provide(dependencies)))
  const otlp = yield* Effect.provideContext(Otlp, context)
  return { otlp, told, next: Queue.take(appends) }
})

const bodyOf = (request: unknown, members: Partial<Body> = {}): Body => ({
  bytes: new TextEncoder().encode(JSON.stringify(request)),
  encoding: "identity",
  format: "json",
  isFromSdk: true,
  ...members
})

const free: Allowance = { read: (_, read) => read, pay: () => Effect.void }
const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
const unavailable = new StorageUnavailable({ detail: "the disk is full", retryAfter: Duration.seconds(5) })
const counted = (second: number, asInt: number) =>
  bodyOf(requestOf([counter("a", { startTimeUnixNano: nanos(1), timeUnixNano: nanos(second), asInt })]))
const valuesOf = ({ events }: Append) => events.map(({ value }) => value)

describe("Otlp", () => {
  it.effect("answers once the events are stored", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const answer = yield* fork(otlp.accept(counted(10, 5), free))
      const { events, finish } = yield* next
      assert.deepStrictEqual(events, [{ name: "a", value: 5, timestamp: millis(10) }])
      assert.isUndefined(answer.pollUnsafe())
      yield* finish(Effect.void)
      assert.deepStrictEqual(yield* Fiber.join(answer), { rejected: 0, message: "" })
    })
  )

  it.effect("counts again what was not stored, when it is sent again", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const failed = yield* fork(otlp.accept(counted(10, 5), free))
      yield* (yield* next).finish(Effect.fail(unavailable))
      assert.deepStrictEqual(yield* Fiber.await(failed), Exit.fail(unavailable))
      for (const [value, added] of [
        [5, 5],
        [8, 3]
      ] as const) {
        const answer = yield* fork(otlp.accept(counted(10 + value, value), free))
        const append = yield* next
        assert.deepStrictEqual(valuesOf(append), [added])
        yield* append.finish(Effect.void)
        yield* Fiber.join(answer)
      }
    })
  )

  it.effect("counts again what was not paid for", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const refusal = new RateLimited({ policies: [], cost: 1, burst: 1, retryAfter: Duration.seconds(1), headers: {} })
      const asked: Array<number> = []
      const pay = (events: number) => {
        asked.push(events)
        return Effect.fail(refusal)
      }
      assert.deepStrictEqual(yield* Effect.exit(otlp.accept(counted(10, 5), { ...free, pay })), Exit.fail(refusal))
      assert.deepStrictEqual(asked, [1])
      yield* fork(otlp.accept(counted(10, 5), free))
      assert.deepStrictEqual(valuesOf(yield* next), [5])
    })
  )

  it.effect("asks to be paid for the events that are made of the points, not for the points", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const asked: Array<number> = []
      const pay = (events: number) => Effect.sync(() => void asked.push(events))
      const send = Effect.fnUntraced(function* (request: unknown) {
        const answer = yield* fork(otlp.accept(bodyOf(request), { ...free, pay }))
        const { events, finish } = yield* next
        yield* finish(Effect.void)
        yield* Fiber.join(answer)
        return events.length
      })
      const whole = point({ count: 2, sum: 3, min: 1, max: 2, bucketCounts: [1, 1], explicitBounds: [1] })
      const at = (second: number) =>
        counter("a", { startTimeUnixNano: nanos(1), timeUnixNano: nanos(second), asInt: 5 })
      const stored = [
        yield* send(requestOf([histogram("h", 1, whole), at(10)])),
        // A counter that has not grown, a value that is none, and a gauge.
        yield* send(requestOf([at(20), gauge("b", point({ asDouble: "NaN" }), point({ asInt: 1 }))]))
      ]
      assert.deepStrictEqual(stored, [8, 1])
      assert.deepStrictEqual(asked, stored)
    })
  )

  it.effect("stores what a client sent that does not wait for the answer, once", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const gone = yield* fork(otlp.accept(counted(10, 5), free))
      const append = yield* next
      yield* Fiber.interrupt(gone)
      yield* append.finish(Effect.void)
      yield* fork(otlp.accept(counted(20, 8), free))
      assert.deepStrictEqual(valuesOf(yield* next), [3])
    })
  )

  it.effect("counts again what was not stored after its client had gone", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const gone = yield* fork(otlp.accept(counted(10, 5), free))
      const append = yield* next
      yield* Fiber.interrupt(gone)
      yield* append.finish(Effect.fail(unavailable))
      yield* fork(otlp.accept(counted(20, 8), free))
      assert.deepStrictEqual(valuesOf(yield* next), [8])
    })
  )

  it.effect("leaves out the points of which events are refused, whole, and says which", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const body = bodyOf(
        requestOf([
          gauge("old", point({ asInt: 1 })),
          histogram("new", 1, point({ count: 2, sum: 3 })),
          gauge("b", point({}), point({ asInt: 2 }))
        ])
      )
      const answer = yield* fork(otlp.accept(body, free))
      const first = yield* next
      assert.deepStrictEqual(
        first.events.map(({ name }) => name),
        ["old", "new.count", "new.sum", "b"]
      )
      const refused = { detail: "it is too old", alone: false } as const
      yield* first.finish(Effect.fail(new EventsRefused({ ...refused, reason: "TooOld", indexes: [0] })))
      const second = yield* next
      const full = { ...refused, reason: "SeriesLimit", detail: "there are too many series" } as const
      yield* second.finish(Effect.fail(new EventsRefused({ ...full, indexes: [1] })))
      const third = yield* next
      assert.deepStrictEqual(
        third.events.map(({ name }) => name),
        ["b"]
      )
      yield* third.finish(Effect.void)
      assert.deepStrictEqual(yield* Fiber.join(answer), {
        rejected: 3,
        message:
          '1 of 4 data points were rejected: 1 because it has no value (first of "b"); ' +
          '2 of 4 data points were rejected: 1 because it is too old (first of "old"), 1 because there are too many series (first of "new.sum")'
      })
    })
  )

  it.effect("counts as refused the events that it leaves out, and not those that are stored without them", () =>
    Effect.gen(function* () {
      const storage = Storage.layerInline(
        {
          append: ({ values }) => ({ refused: new Uint32Array(), counts: Float64Array.of(values.length) }),
          retain: () => Effect.die("nothing is deleted here"),
          probe: () => Effect.void
        },
        { workers: 1 }
      )
      const dependencies = Layer.merge(
        Ingest.layer({ retention: "1 hour", commitInterval: 0 }).pipe(Layer.provide(storage)),
        OtlpReader.layerInline(makeReader(limits, millis(0)), { workers: 1 })
      )
      const context = yield* Layer.build(Otlp.layerNoDeps.pipe(Layer.provide(dependencies)))
      const otlp = yield* Effect.provideContext(Otlp, context)
      yield* TestClock.setTime(millis(10_000))
      const late = histogram("late", 1, point({ count: 2, sum: 3 }))
      const soon = point({ asInt: 1, timeUnixNano: nanos(9999) })
      const body = bodyOf(requestOf([late, gauge("soon", soon, soon, soon)]))
      assert.strictEqual((yield* otlp.accept(body, free)).rejected, 1)
      const { count: refused } = yield* Metric.value(Metric.withAttributes(metrics.refused, { reason: "TooOld" }))
      const { count: accepted } = yield* Metric.value(metrics.accepted)
      assert.deepStrictEqual({ accepted, refused }, { accepted: 3, refused: 2 })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("gives up when events are refused without end", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const metrics = Array.from({ length: 10 }, (_, index) => gauge(`a${index}`, point({ asInt: 1 })))
      const answer = yield* fork(otlp.accept(bodyOf(requestOf(metrics)), free))
      const refusal = new EventsRefused({ reason: "SeriesLimit", detail: "no", indexes: [0], alone: false })
      for (let attempt = 1; attempt <= 5; attempt++) yield* (yield* next).finish(Effect.fail(refusal))
      assert.deepStrictEqual(yield* Fiber.await(answer), Exit.fail(refusal))
    })
  )

  it.effect("refuses bodies that cannot be read or are too large, and goes on", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const bad = bodyOf({ resourceMetrics: [{ scopeMetrics: 1 }] })
      const field = "resourceMetrics[0].scopeMetrics"
      assert.deepStrictEqual(
        yield* Effect.exit(otlp.accept(bad, free)),
        Exit.fail(new BadRequest({ field, detail: "expected an array", cost: 1 }))
      )
      const bomb = bodyOf({}, { bytes: gzipSync(new Uint8Array(21 * 2 ** 20)), encoding: "gzip" })
      assert.deepStrictEqual(
        yield* Effect.exit(otlp.accept(bomb, free)),
        Exit.fail(new RequestTooLarge({ detail: "send at most 20971520 bytes, decompressed", cost: 20_480 }))
      )
      yield* fork(otlp.accept(counted(10, 5), free))
      assert.deepStrictEqual(valuesOf(yield* next), [5])
    })
  )

  it.effect("tells the worker once what became of each request", () =>
    Effect.gen(function* () {
      const { next, otlp, told } = yield* makeOtlp
      const send = Effect.fnUntraced(function* (outcome: Outcome) {
        const answer = yield* fork(otlp.accept(counted(10, 5), free))
        yield* (yield* next).finish(outcome)
        yield* Fiber.await(answer)
      })
      yield* send(Effect.void)
      yield* send(Effect.fail(unavailable))
      yield* Effect.exit(otlp.accept(bodyOf([]), free))
      yield* send(Effect.void)
      assert.deepStrictEqual(told, [
        [],
        [{ request: 1, stored: true }],
        [{ request: 2, stored: false }],
        [{ request: 3, stored: false }]
      ])
    })
  )

  it.effect("leaves the buffer that a body shares with others as it is", () =>
    Effect.gen(function* () {
      const { next, otlp } = yield* makeOtlp
      const { bytes } = counted(10, 5)
      const shared = new Uint8Array(bytes.length + 10)
      shared.set(bytes, 5)
      yield* fork(otlp.accept({ ...counted(10, 5), bytes: shared.subarray(5, 5 + bytes.length) }, free))
      assert.deepStrictEqual(valuesOf(yield* next), [5])
      assert.strictEqual(shared.length, bytes.length + 10)
    })
  )
})
