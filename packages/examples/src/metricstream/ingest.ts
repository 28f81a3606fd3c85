/**
 * Group commit: one fsync for everything that arrived while the last one ran.
 *
 * A transaction costs a write to the disk whether it holds one event or thousands. So events are collected while the storage worker
 * commits, and go to it as one transaction when it is free: alone when the server is idle, which costs no waiting, and in ever larger
 * groups as the load grows, which is what lets it grow.
 */
import * as Problem from "@spillway/http/Problem"
import type { OffloadError } from "@spillway/runtime/OffloadError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Respondable from "effect/http/HttpServerRespondable"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Event } from "./events.ts"
import { ColumnsBuilder } from "./storage/columns.ts"
import { Storage } from "./storage/storage.ts"
import type { StorageFailed } from "./storage/storage.ts"

/** Events are not stored now; sending them again later may succeed. Answered 503 with `Retry-After`. */
export class StorageUnavailable extends Schema.TaggedError<StorageUnavailable>("metricstream/StorageUnavailable")(
  "StorageUnavailable",
  {
    detail: Schema.String,
    retryAfter: Schema.Duration
  }
) {
  override get message() {
    return this.detail
  }
  [Respondable.symbol]() {
    return Effect.succeed(Problem.toResponse(Problem.unavailable(this.detail, Duration.toSeconds(this.retryAfter))))
  }
}

export interface Options {
  /**
   * How many events may wait for their commit, those that are being committed included. More are refused. An integer from 1.
   *
   * @default 100000
   */
  readonly maxPending?: number | undefined
}

/** What goes into one transaction, and the news of it that its requests wait for. */
class Group {
  readonly columns = new ColumnsBuilder()
  readonly committed = Deferred.makeUnsafe<void, StorageUnavailable>()
}

const make = Effect.fnUntraced(function* ({ maxPending = 100_000 }: Options) {
  const storage = yield* Storage
  const arrived = Latch.makeUnsafe(false)
  const idle = Latch.makeUnsafe(true)
  let open = new Group()
  let committing = 0
  let failing = false

  const append = (events: ReadonlyArray<Event>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (events.length === 0) return Effect.void
      const pending = open.columns.size + committing
      if (pending + events.length > maxPending) {
        return new StorageUnavailable({ detail: `${pending} events wait to be stored already`, retryAfter: whenFull })
      }
      const group = open
      for (const event of events) group.columns.add(event, now)
      idle.closeUnsafe()
      // This runs the fiber below at once if it is waiting, and that opens the next group.
      arrived.openUnsafe()
      return Deferred.await(group.committed)
    })

  const commitNext = Effect.gen(function* () {
    const group = open
    open = new Group()
    committing = group.columns.size
    arrived.closeUnsafe()
    const outcome = yield* Effect.exit(storage.append(group.columns.build()))
    committing = 0
    if (open.columns.size === 0) idle.openUnsafe()
    yield* Deferred.done(group.committed, Exit.mapError(outcome, toUnavailable))
    yield* noteOutcome(outcome)
  })

  /** Logs that storing began to fail or works again, not each of the many groups in between. */
  const noteOutcome = (outcome: Exit.Exit<void, StorageFailed | OffloadError>) => {
    if (Exit.isFailure(outcome) === failing) return Effect.void
    failing = !failing
    return Exit.isFailure(outcome)
      ? Effect.logError("events are not stored", outcome.cause)
      : Effect.logInfo("events are stored again")
  }

  yield* arrived.await.pipe(Effect.andThen(Effect.uninterruptible(commitNext)), Effect.forever, Effect.forkScoped)
  // Runs before the fiber above is interrupted: what was accepted is stored.
  yield* Effect.addFinalizer(() => idle.await)
  return { append }
})

/** How long a client is told to wait: for a commit, or for somebody who makes room on a disk or ends a lock. */
const [whenFull, whenFailed] = [Duration.seconds(1), Duration.seconds(5)]

/** What a client is told. What exactly happened to a worker is in the log. */
const toUnavailable = (error: StorageFailed | OffloadError): StorageUnavailable => {
  const reason = error._tag === "StorageFailed" ? error.detail : "the storage is restarting"
  return new StorageUnavailable({ detail: `the events were not stored: ${reason}`, retryAfter: whenFailed })
}

/** Service that stores events. */
export class Ingest extends Context.Service<
  Ingest,
  {
    /**
     * Stores events, all or none, and succeeds once they are on the disk. An event without a timestamp gets the present time.
     *
     * Fails with `StorageUnavailable` at once when `maxPending` events wait, and when the transaction fails. Interruption gives up
     * waiting only: the events may be stored all the same.
     */
    readonly append: (events: ReadonlyArray<Event>) => Effect.Effect<void, StorageUnavailable>
  }
>()("metricstream/Ingest") {
  /** When the layer's scope closes, all that was accepted is committed first. */
  static readonly layer = (options: Options = {}): Layer.Layer<Ingest, never, Storage> =>
    Layer.effect(Ingest, make(options))
}
