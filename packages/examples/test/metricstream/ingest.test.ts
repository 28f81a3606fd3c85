import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Queue, Scope } from "effect"
import type { Event } from "@spillway/examples/metricstream/events"
import { Ingest, StorageUnavailable } from "@spillway/examples/metricstream/ingest"
import type { Columns } from "@spillway/examples/metricstream/storage/columns"
import { Storage } from "@spillway/examples/metricstream/storage/storage"
import type { StorageFailed } from "@spillway/examples/metricstream/storage/storage"

type Outcome = Effect.Effect<void, typeof StorageFailed.Encoded>

/** A transaction that the test decides on. */
interface Commit {
  readonly values: ReadonlyArray<number>
  readonly columns: Columns
  readonly finish: (outcome: Outcome) => Effect.Effect<void>
}

const succeeded: Outcome = Effect.void
const failed = (detail: string): Outcome => Effect.fail({ _tag: "StorageFailed", detail })

/** An `Ingest` whose commits wait for the test. */
const makeIngest = Effect.fnUntraced(function* (options: { readonly maxPending?: number } = {}) {
  const commits = yield* Queue.unbounded<Commit>()
  const append = Effect.fnUntraced(function* (columns: Columns) {
    const outcome = yield* Deferred.make<void, typeof StorageFailed.Encoded>()
    yield* Queue.offer(commits, {
      columns,
      values: [...columns.values],
      finish: (effect) => Effect.asVoid(Deferred.complete(outcome, effect))
    })
    yield* Deferred.await(outcome)
  })
  const storage = Storage.layerInline({ append, probe: () => Effect.void }, { workers: 1 })
  const scope = yield* Effect.scope
  const own = yield* Scope.fork(scope)
  const context = yield* Layer.build(Ingest.layer(options).pipe(Layer.provide(storage))).pipe(Scope.provide(own))
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
      yield* start(ingest.append([event(1), { ...event(2), timestamp: 1_700_000_000_000, tags: { host: "x" } }]))
      const { columns, finish } = yield* nextCommit
      yield* finish(succeeded)
      assert.deepStrictEqual(columns, {
        names: ["a"],
        tagSets: ['{"host":"x"}'],
        series: Uint32Array.of(0, 0),
        timestamps: Float64Array.of(0, 1_700_000_000_000),
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
})
