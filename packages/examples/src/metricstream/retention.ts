/**
 * Keeps the database within its bounds, so that the server can run for months.
 *
 * Every second it looks whether events are older than they may be, or the database is larger. If so it has the storage worker delete a little
 * at a time, with pauses between, in which groups of new events are committed: these never wait for more than one deletion. What has been deleted
 * is on the disk before the next is begun, so it may be cut off anywhere.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as metrics from "./metrics.ts"
import { Storage } from "./storage/storage.ts"

export interface Options {
  /** How old events may become. More than 0; `Infinity` keeps them for ever. */
  readonly maxAge: Duration.Input
  /** To how many bytes the database file is brought back at each look. From 0; `Infinity` sets no limit. */
  readonly maxSize: number
}

/** How often it looks, and for how many milliseconds the storage worker deletes at once. */
const [interval, budget] = [Duration.seconds(1), 10]

/** The worker deletes for at most this share of its time, so that most of it is left for new events. */
const share = 0.25

/** From this share of the size on, the oldest events go: what comes in until they have gone still fits. */
const fullness = 0.95

const byAge = Metric.withAttributes(metrics.deleted, { reason: "age" })
const bySize = Metric.withAttributes(metrics.deleted, { reason: "size" })
const usedSize = Metric.withAttributes(metrics.databaseSize, { state: "used" })
const freeSize = Metric.withAttributes(metrics.databaseSize, { state: "free" })

/**
 * The time before which events go. It moves in steps of a hundredth of their age, a minute at most, so that the few that become too old each
 * second in each of many series go together.
 */
export const keepFrom = (now: number, maxAge: number): number => {
  if (maxAge === Infinity) return -Infinity
  const step = Math.min(60_000, Math.ceil(maxAge / 100))
  return Math.floor((now - maxAge) / step) * step
}

/** Deletes once, and tells what there is. */
const deleteSome = Effect.fnUntraced(function* ({ maxAge, maxSize }: Options) {
  const storage = yield* Storage
  const now = yield* Clock.currentTimeMillis
  const from = keepFrom(now, Duration.toMillis(maxAge))
  const policy = { keepFrom: from, maxBytes: maxSize * fullness, maxFileBytes: maxSize, now, budget }
  const retained = yield* storage.retain(policy, { priority: "low" })
  yield* Metric.update(byAge, retained.aged)
  yield* Metric.update(bySize, retained.crowded)
  yield* Metric.update(usedSize, retained.usedBytes)
  yield* Metric.update(freeSize, retained.freeBytes)
  yield* Metric.update(metrics.logSize, retained.walBytes)
  yield* Metric.update(metrics.series, retained.series)
  return retained
})

/** Deletes until there is nothing to delete. */
const pass = Effect.fnUntraced(function* (options: Options) {
  const started = yield* Clock.monotonicTimeNanos
  let retained = yield* deleteSome(options)
  if (!retained.more && retained.aged + retained.crowded === 0) return
  while (retained.more) {
    yield* Effect.sleep(Math.max(1, retained.millis * (1 / share - 1)))
    retained = yield* deleteSome(options)
  }
  const seconds = Number((yield* Clock.monotonicTimeNanos) - started) / 1e9
  yield* Metric.update(metrics.passDuration, seconds)
})

const make = Effect.fnUntraced(function* (options: Options) {
  let failing = false

  /** Logs that it began to fail or works again, not each time in between. */
  const noteOutcome = Effect.fnUntraced(function* (outcome: Exit.Exit<void, unknown>) {
    if (Exit.isFailure(outcome)) yield* Metric.update(metrics.retentionFailures, 1)
    if (Exit.isFailure(outcome) === failing) return
    failing = !failing
    yield* Exit.isFailure(outcome)
      ? Effect.logError("old events cannot be deleted", outcome.cause)
      : Effect.logInfo("old events are deleted again")
  })

  yield* Effect.exit(pass(options)).pipe(
    Effect.flatMap(noteOutcome),
    Effect.andThen(Effect.sleep(interval)),
    Effect.forever,
    Effect.forkScoped
  )
})

/** Runs for as long as its scope is open. */
export const layer = (options: Options): Layer.Layer<never, never, Storage> => Layer.effectDiscard(make(options))
