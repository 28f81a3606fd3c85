import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Event } from "@spillway/examples/metricstream/events"
import { EventsRefused, Ingest, StorageUnavailable } from "@spillway/examples/metricstream/ingest"
import type { Options } from "@spillway/examples/metricstream/ingest"
import type { Columns } from "@spillway/examples/metricstream/storage/columns"
import { Storage } from "@spillway/examples/metricstream/storage/storage"
import type { Appended, StorageFailed } from "@spillway/examples/metricstream/storage/storage"

type Outcome = Effect.Effect<Appended, typeof StorageFailed.Encoded>

/** A transaction that the test decides on. */
interface Commit {
  readonly values: ReadonlyArray<number>
  readonly columns: Columns
  readonly finish: (outcome: Outcome) => Effect.Effect<void>
}

/** Stored, but for the requests of these rows, so that the series has so many events. */
const storedBut = (rows: ReadonlyArray<number>, count: number): Outcome =>
  Effect.succeed({ refused: Uint32Array.from(rows), counts: Float64Array.of(count) })
const succeeded = storedBut([], 1)
const failed = (detail: string): Outcome => Effect.fail({ _tag: "StorageFailed", detail })

/** An `Ingest` whose commits wait for the test. */
const makeIngest = Effect.fnUntraced(function* (options: Options = {}) {
  const commits = yield* Queue.unbounded<Commit>()
  const append = Effect.fnUntraced(function* (columns: Columns) {
    const outcome = yield* Deferred.make<Appended, typeof StorageFailed.Encoded>()
    yield* Queue.offer(commits, {
      columns,
      values: [...columns.values],
      finish: (effect) => Effect.asVoid(Deferred.complete(outcome, effect))
    })
    return yield* Deferred.await(outcome)
  })
  const retain = () => Effect.die("nothing is deleted here")
  const storage = Storage.layerInline({ append, retain, probe: () => Effect.void }, { workers: 1 })
  const scope = yield* Effect.scope
  const own = yield* Scope.fork(scope)
  const context = yield* Layer.build(Ingest.layer({ commitInterval: 0, ...options }).pipe(Layer.provide(storage))).pipe(
    Scope.provide(own)
  )
  const ingest = yield* Effect.provideContext(Ingest, context)
  return { ingest, nextCommit: Queue.take(commits), close: Scope.close(own, Exit.void) }
})

const event = (value: number): Event => ({ name: "a", value })
const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("Ingest", () => {
  it.effect("commits the first events at once, and what arrives meanwhile as one group", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest()
      const first = yield* start(ingest.append([event(1)]))
      const commit1 = yield* nextCommit
      const others = yield* Effect.forEach([[event(2)], [event(3), event(4)], [event(5)]], (events) =>
        start(ingest.append(events))
      )
      assert.deepStrictEqual(commit1.values, [1])
      yield* commit1.finish(succeeded)
      yield* Fiber.join(first)
      const commit2 = yield* nextCommit
      assert.deepStrictEqual(commit2.values, [2, 3, 4, 5])
      assert.isUndefined(others[0]!.pollUnsafe())
      yield* commit2.finish(succeeded)
      yield* Effect.forEach(others, Fiber.join)
    })
  )

  it.effect("gives events without a timestamp the present time", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest()
      yield* start(ingest.append([event(1), { ...event(2), timestamp: 5000, tags: { host: "x" } }]))
      const { columns, finish } = yield* nextCommit
      yield* finish(succeeded)
      assert.deepStrictEqual(columns, {
        names: ["a"],
        tagSets: ['{"host":"x"}'],
        requests: Uint32Array.of(0),
        series: Uint32Array.of(0, 0),
        timestamps: Float64Array.of(0, 5000),
        values: Float64Array.of(1, 2),
        tags: Int32Array.of(-1, 0)
      })
    })
  )

  it.effect("accepts nothing at once", () =>
    Effect.gen(function* () {
      const { ingest } = yield* makeIngest()
      yield* ingest.append([])
    })
  )

  it.effect("fails every request of a group that was not stored, and goes on with the next", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest()
      const first = yield* start(Effect.exit(ingest.append([event(1)])))
      const commit1 = yield* nextCommit
      const second = yield* start(Effect.exit(ingest.append([event(2)])))
      yield* commit1.finish(failed("the disk is full"))
      const unavailable = new StorageUnavailable({
        detail: "the events were not stored: the disk is full",
        retryAfter: Duration.seconds(5)
      })
      assert.deepStrictEqual(yield* Fiber.join(first), Exit.fail(unavailable))
      yield* (yield* nextCommit).finish(succeeded)
      assert.deepStrictEqual(yield* Fiber.join(second), Exit.void)
    })
  )

  it.effect("goes on after a defect of the storage", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest()
      const first = yield* start(Effect.exit(ingest.append([event(1)])))
      yield* (yield* nextCommit).finish(Effect.die("a bug"))
      assert.isTrue(Exit.hasDies(yield* Fiber.join(first)))
      const second = yield* start(ingest.append([event(2)]))
      yield* (yield* nextCommit).finish(succeeded)
      yield* Fiber.join(second)
    })
  )

  it.effect("refuses events beyond those that may wait, and takes them again after the commit", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest({ maxPending: 3 })
      yield* start(ingest.append([event(1), event(2)]))
      const commit = yield* nextCommit
      yield* start(ingest.append([event(3)]))
      const refused = new StorageUnavailable({
        detail: "3 events wait to be stored already",
        retryAfter: Duration.seconds(1)
      })
      assert.deepStrictEqual(yield* Effect.exit(ingest.append([event(4)])), Exit.fail(refused))
      yield* commit.finish(succeeded)
      const commit2 = yield* nextCommit
      const last = yield* start(ingest.append([event(4), event(5)]))
      yield* commit2.finish(succeeded)
      const commit3 = yield* nextCommit
      assert.deepStrictEqual(commit3.values, [4, 5])
      yield* commit3.finish(succeeded)
      yield* Fiber.join(last)
    })
  )

  it.effect("stores the events of a caller that was interrupted while it waited, and answers the others", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest()
      yield* start(ingest.append([event(1)]))
      const commit1 = yield* nextCommit
      const gone = yield* start(ingest.append([event(2)]))
      const stays = yield* start(ingest.append([event(3)]))
      yield* Fiber.interrupt(gone)
      yield* commit1.finish(succeeded)
      const commit2 = yield* nextCommit
      assert.deepStrictEqual(commit2.values, [2, 3])
      yield* commit2.finish(succeeded)
      yield* Fiber.join(stays)
    })
  )

  it.effect("commits what it has accepted before its scope closes", () =>
    Effect.gen(function* () {
      const { close, ingest, nextCommit } = yield* makeIngest()
      const first = yield* start(ingest.append([event(1)]))
      const commit1 = yield* nextCommit
      const second = yield* start(ingest.append([event(2)]))
      const closing = yield* start(close)
      yield* commit1.finish(succeeded)
      assert.isUndefined(closing.pollUnsafe())
      yield* (yield* nextCommit).finish(succeeded)
      yield* Effect.forEach([first, second, closing], Fiber.join)
    })
  )

  it.effect("refuses a batch with events older than the retention, or more than a day ahead, and names these", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest({ retention: "1 hour" })
      yield* TestClock.adjust("2 hours")
      const at = (...hours: ReadonlyArray<number>) =>
        hours.map((hour) => ({ name: "a", value: 1, timestamp: hour * 3_600_000 }))
      const old = (alone: boolean, ...indexes: ReadonlyArray<number>) =>
        new EventsRefused({ reason: "TooOld", detail: "events are kept for 1h; this one is older", indexes, alone })
      const early = new EventsRefused({
        reason: "TooNew",
        detail: "this event is more than a day ahead of the server's clock",
        indexes: [1],
        alone: false
      })
      assert.deepStrictEqual(yield* Effect.flip(ingest.append(at(0.9), { alone: true })), old(true, 0))
      assert.deepStrictEqual(yield* Effect.flip(ingest.append(at(0, 1, 30, 0.9))), old(false, 0, 3))
      assert.deepStrictEqual(yield* Effect.flip(ingest.append(at(26, 26.1))), early)
      const taken = yield* start(ingest.append(at(1, 26)))
      yield* (yield* nextCommit).finish(succeeded)
      yield* Fiber.join(taken)
    })
  )

  it.effect("refuses the batches whose series are too many, and acknowledges the others of their group", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest({ maxSeries: 7 })
      const told: Array<unknown> = []
      yield* ingest.onCommit(({ names, values }, counts) => told.push([[...names], [...values], [...counts]]))
      yield* start(ingest.append([event(1)]))
      const commit = yield* nextCommit
      const batches = yield* Effect.forEach([[2], [3, 4], [5], [6, 7, 8]], (values) =>
        start(Effect.exit(ingest.append(values.map(event))))
      )
      yield* commit.finish(succeeded)
      const { columns, finish } = yield* nextCommit
      assert.deepStrictEqual(columns.requests, Uint32Array.of(0, 1, 3, 4))
      yield* finish(storedBut([2, 4, 6], 3))
      const refused = (...indexes: ReadonlyArray<number>) =>
        Exit.fail(
          new EventsRefused({
            reason: "SeriesLimit",
            detail: "there are 7 series already, as many as may be (METRICSTREAM_MAX_SERIES): this would be a new one",
            indexes,
            alone: false
          })
        )
      assert.deepStrictEqual(yield* Effect.forEach(batches, Fiber.join), [
        Exit.void,
        refused(1),
        Exit.void,
        refused(0, 2)
      ])
      assert.deepStrictEqual(told, [
        [["a"], [1], [1]],
        [["a"], [2, 5], [3]]
      ])
      assert.deepStrictEqual(yield* ingest.stats, { stored: 3, pending: 0 })
    })
  )

  it.effect("goes on if a listener of commits throws", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest()
      let told = 0
      yield* ingest.onCommit(() => {
        told++
        throw new Error("a bug")
      })
      for (const value of [1, 2]) {
        const fiber = yield* start(ingest.append([event(value)]))
        yield* (yield* nextCommit).finish(succeeded)
        yield* Fiber.join(fiber)
      }
      assert.strictEqual(told, 2)
    })
  )

  it.effect("lets a group grow for some milliseconds after one that requests shared, and not after a single one", () =>
    Effect.gen(function* () {
      const { ingest, nextCommit } = yield* makeIngest({ commitInterval: "4 millis" })
      yield* start(ingest.append([event(1)]))
      yield* (yield* nextCommit).finish(succeeded)
      // Nobody shared the first one: the second begins at once.
      yield* start(ingest.append([event(2)]))
      const second = yield* nextCommit
      yield* start(ingest.append([event(3)]))
      yield* start(ingest.append([event(4)]))
      yield* second.finish(succeeded)
      const third = yield* nextCommit
      assert.deepStrictEqual(third.values, [3, 4])
      yield* TestClock.adjust("1 millis")
      yield* start(ingest.append([event(5)]))
      yield* third.finish(succeeded)
      const fourth = yield* start(nextCommit)
      yield* TestClock.adjust("2 millis")
      yield* start(ingest.append([event(6)]))
      assert.isUndefined(fourth.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { finish, values } = yield* Fiber.join(fourth)
      assert.deepStrictEqual(values, [5, 6])
      yield* finish(succeeded)
    })
  )
})
