/**
 * Group commit: one fsync for everything that arrived while the last one ran.
 *
 * A transaction costs a write to the disk whether it holds one event or thousands. So events are collected while the storage worker
 * commits, and go to it as one transaction when it is free: alone when the server is idle, which costs no waiting, and in ever larger
 * groups as the load grows, which is what lets it grow.
 */
import type { OffloadError } from "@spillway/runtime/OffloadError"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as metrics from "./metrics.ts"
import { StorageUnavailable } from "./refusals.ts"
import { without } from "./storage/admission.ts"
import { ColumnsBuilder } from "./storage/columns.ts"
import type { Columns } from "./storage/columns.ts"
import { Storage } from "./storage/storage.ts"
import type { Appended, StorageFailed } from "./storage/storage.ts"

export interface Options {
  /**
   * How many events may wait for their commit, those that are being committed included. More are refused. An integer from 1.
   *
   * @default 100000
   */
  readonly maxPending?: number | undefined
  /**
   * How long after the beginning of a commit the next one is begun at the earliest, while requests share their commits. From 0.
   *
   * A commit costs as much for one event as for a hundred. Where events come one after the other, each is committed at once; where many come at
   * the same time, some milliseconds of waiting halve the work, as PostgreSQL's `commit_delay` does with its `commit_siblings`.
   *
   * @default "4 millis"
   */
  readonly commitInterval?: Duration.Input | undefined
}

/**
 * Hears of a group that is on the disk: the events that were stored, and for each name how many its series has then, or 0 where none of the
 * events is of this name.
 */
export type CommitListener = (columns: Columns, counts: Appended["counts"]) => void

/** What goes into one transaction, and the news of it that its requests wait for: the rows that were refused. */
class Group {
  readonly columns = new ColumnsBuilder()
  readonly committed = Deferred.makeUnsafe<Uint32Array, StorageUnavailable>()
  requests = 0
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** How long a client is told to wait: for a commit, or for somebody who makes room on a disk or ends a lock. */
const [whenFull, whenFailed] = [Duration.seconds(1), Duration.seconds(5)]

/** What a client is told. What exactly happened to a worker is in the log. */
const toUnavailable = (error: StorageFailed | OffloadError): StorageUnavailable => {
  const reason = error._tag === "StorageFailed" ? error.detail : "the storage is restarting"
  return new StorageUnavailable({ detail: `the events were not stored: ${reason}`, retryAfter: whenFailed })
}

/** Collects events into groups and commits these, one after the other. */
export class GroupCommit {
  readonly #storage: Storage["Service"]
  readonly #context: Context.Context<never>
  readonly #maxPending: number
  readonly #interval: number
  readonly #arrived = Latch.makeUnsafe(false)
  readonly #idle = Latch.makeUnsafe(true)
  readonly #listeners = new Set<CommitListener>()
  #open = new Group()
  #committing = 0
  #stored = 0
  /** When the last commit was begun, in milliseconds of the monotonic clock, and of how many requests. */
  #begun = -Infinity
  #shared = 1
  #failing = false

  private constructor(storage: Storage["Service"], context: Context.Context<never>, options: Options) {
    this.#storage = storage
    this.#context = context
    this.#maxPending = options.maxPending ?? 100_000
    this.#interval = Duration.toMillis(options.commitInterval ?? "4 millis")
  }

  /** Commits until its scope closes; then what was accepted is committed first. */
  static readonly make = Effect.fnUntraced(function* (options: Options) {
    const self = new GroupCommit(yield* Storage, yield* Effect.context<never>(), options)
    yield* self.#arrived.await.pipe(
      Effect.andThen(self.#pause),
      Effect.andThen(Effect.uninterruptible(self.#commitNext)),
      Effect.forever,
      Effect.forkScoped
    )
    // Runs before the fiber above is interrupted.
    yield* Effect.addFinalizer(() => self.#idle.await)
    return self
  })

  /** Events that were stored, and those that wait for it. */
  get stats(): { readonly stored: number; readonly pending: number } {
    return { stored: this.#stored, pending: this.#open.columns.size + this.#committing }
  }

  /** Puts events into the next group and waits for its commit: for the rows of it that were refused. */
  submit(events: number, add: (columns: ColumnsBuilder) => void): Effect.Effect<Uint32Array, StorageUnavailable> {
    const { pending } = this.stats
    if (pending + events > this.#maxPending) {
      metrics.refuse("Pending", events, this.#context)
      const detail = `${pending} events wait to be stored already`
      return Effect.fail(new StorageUnavailable({ detail, retryAfter: whenFull }))
    }
    const group = this.#open
    add(group.columns)
    group.requests++
    this.#idle.closeUnsafe()
    // This runs the fiber that commits at once if it is waiting, and that opens the next group.
    this.#arrived.openUnsafe()
    return Deferred.await(group.committed)
  }

  /** Has a function told of each group that is on the disk, until the scope closes. */
  onCommit(listener: CommitListener) {
    const added = Effect.sync(() => this.#listeners.add(listener))
    return Effect.asVoid(Effect.acquireRelease(added, () => Effect.sync(() => this.#listeners.delete(listener))))
  }

  /** Lets the next group grow. */
  readonly #pause = Effect.flatMap(monotonicMillis, (now) => {
    const rest = this.#begun + this.#interval - now
    return this.#shared > 1 && rest >= 1 ? Effect.sleep(rest) : Effect.void
  })

  readonly #commitNext = Effect.gen({ self: this }, function* () {
    const group = this.#open
    this.#open = new Group()
    this.#committing = group.columns.size
    this.#arrived.closeUnsafe()
    const columns = group.columns.build()
    this.#begun = yield* monotonicMillis
    this.#shared = group.requests
    const outcome = yield* Effect.exit(this.#storage.append(columns))
    const seconds = ((yield* monotonicMillis) - this.#begun) / 1000
    const stored = Exit.isSuccess(outcome) ? without(columns, outcome.value.refused) : undefined
    this.#measure(columns, stored, seconds)
    this.#committing = 0
    if (this.#open.columns.size === 0) this.#idle.openUnsafe()
    const answer = Exit.mapBoth(outcome, { onFailure: toUnavailable, onSuccess: ({ refused }) => refused })
    yield* Deferred.done(group.committed, answer)
    yield* this.#log(outcome)
    if (Exit.isSuccess(outcome)) yield* this.#tell(stored!, outcome.value.counts)
  })

  #measure(columns: Columns, stored: Columns | undefined, seconds: number): void {
    metrics.commitDuration.updateUnsafe(seconds, this.#context)
    metrics.groupSize.updateUnsafe(columns.values.length, this.#context)
    if (stored === undefined) return metrics.refuse("Storage", columns.values.length, this.#context)
    this.#stored += stored.values.length
    metrics.accepted.updateUnsafe(stored.values.length, this.#context)
  }

  /** A listener that fails for a bug must not end the commits. */
  #tell(...committed: Parameters<CommitListener>) {
    return Effect.catchCause(
      Effect.sync(() => {
        for (const listener of this.#listeners) listener(...committed)
      }),
      (cause) => Effect.logError("a listener of commits failed", cause)
    )
  }

  /** Logs that storing began to fail or works again, not each of the many groups in between. */
  #log(outcome: Exit.Exit<unknown, StorageFailed | OffloadError>) {
    if (Exit.isFailure(outcome) === this.#failing) return Effect.void
    this.#failing = !this.#failing
    return Exit.isFailure(outcome)
      ? Effect.logError("events are not stored", outcome.cause)
      : Effect.logInfo("events are stored again")
  }
}
