/**
 * A bounded number of effects at once, and a bounded queue of those who wait.
 *
 * One bulkhead for each dependency keeps a slow one from taking everything down with it: what does not fit is refused at once,
 * with an estimate of when to come back.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as AdmissionQueue from "./AdmissionQueue.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { saturationOf } from "./internal/saturation.ts"
import { resolveShedding } from "./internal/shedding.ts"
import { withoutStack } from "./internal/withoutStack.ts"
import * as RuntimeMetrics from "./RuntimeMetrics.ts"

/**
 * Error of a caller that a bulkhead turned away.
 *
 * @category errors
 * @since 0.1.0
 */
export class BulkheadFull extends Schema.TaggedError<BulkheadFull>("@spillway/runtime/Bulkhead/BulkheadFull")(
  "BulkheadFull",
  {
    /** The name of the bulkhead. */
    bulkhead: Schema.String,
    /**
     * `QueueFull`: there was no place to wait. `WaitExceeded`: the caller waited for `maxWait`. `Displaced`: a caller of a higher
     * priority took its place in the full queue. `Shed`: the queue was overloaded, and `codel` took the caller out of it.
     */
    reason: Schema.Literals(["QueueFull", "WaitExceeded", "Displaced", "Shed"]),
    /** The number of permits at that time. */
    limit: Schema.Number,
    /** The number of callers that were waiting at that time. */
    queued: Schema.Number,
    /** An estimate of when a permit will be free, from the time that permits are held. */
    retryAfter: Schema.Duration
  }
) {
  override get message() {
    return `bulkhead "${this.bulkhead}" is full (${this.reason}): limit ${this.limit}, ${this.queued} queued`
  }
}

/**
 * How urgent a caller is: among those who wait, `high` goes before `normal`, and `normal` before `low`.
 *
 * @category models
 * @since 0.1.0
 */
export type Priority = "high" | "normal" | "low"

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The label of this bulkhead in metrics and errors. Use a name from a closed set, not one per user.
   *
   * @default "default"
   */
  readonly name?: string | undefined
  /** How many effects may run at once. An integer from 1, or `Infinity` for no limit. */
  readonly maxConcurrent: number
  /**
   * How many callers may wait. An integer from 0. `0` refuses whatever cannot start at once; `Infinity` removes the bound.
   *
   * @default 0
   */
  readonly maxQueued?: number | undefined
  /**
   * The longest time a caller waits. `Infinity` waits without limit, as long as the caller's own deadline allows.
   *
   * @default Infinity
   */
  readonly maxWait?: Duration.Input | undefined
  /**
   * Which waiting caller of a priority is served next: the one that waited longest (`fifo`), the newest (`lifo`), or the newest
   * only while the queue is overloaded (`adaptive`), which is the default with `codel`.
   *
   * @default "fifo"
   */
  readonly order?: AdmissionQueue.Order | undefined
  /**
   * Sheds callers early while the queue is overloaded, by the rule of `CoDel`: of use where a late answer is worth less than an
   * early refusal, and never for work that must be done some time. `target` is the delay that the queue may always have, above 0;
   * `interval` is how long a burst may last, above `target`. Neither may be infinite. Without `target` that is the mean time for which a
   * permit is held, from 5 ms to 1 second, and the interval 20 times as long; with `target` the interval is 100 ms. `undefined` sheds nobody.
   *
   * @default undefined
   */
  readonly codel?:
    | { readonly target?: Duration.Input | undefined; readonly interval?: Duration.Input | undefined }
    | undefined
}

/**
 * What a bulkhead holds at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Effects that hold a permit. */
  readonly running: number
  /** Callers that wait. */
  readonly queued: number
  /** The number of permits. */
  readonly limit: number
}

/**
 * A bulkhead, made by `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bulkhead {
  /** The label in metrics and errors. */
  readonly name: string
  /**
   * Runs an effect once a permit is free, and gives the permit back however the effect ends.
   *
   * Fails with `BulkheadFull` at once when the queue is full, after `maxWait`, or while waiting when a caller of a higher priority
   * or `codel` takes the place. Interruption while waiting takes the caller out of the queue in O(1), and the effect never starts.
   */
  readonly withPermit: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | BulkheadFull, R>
  /**
   * Does as `withPermit`, which is `withPermitPriority("normal")`, for a caller of another priority. A full queue makes place for a
   * caller by turning away the newest of the lowest priority, if that is lower than the caller's own. What runs is never
   * interrupted for it.
   */
  readonly withPermitPriority: (
    priority: Priority
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | BulkheadFull, R>
  /** What the bulkhead holds now. */
  readonly stats: Effect.Effect<Stats>
  /**
   * How near it is to refusing, from 0 to 1: the largest of how full its queue is; of the wait to expect in it, as a share of `maxWait`;
   * and, while `codel` sheds, as a share of the wait at which it does. Where nothing may wait it is 1 while all permits are out, else 0.
   * For `LoadSignals.saturation`: it never suspends.
   */
  readonly saturation: Effect.Effect<number>
  /**
   * Changes the number of permits, an integer from 0, or `Infinity`. Running effects are left alone; a smaller limit is reached as
   * they end. `0` lets nothing start. Dies with a `RangeError` for another value.
   */
  readonly resize: (limit: number) => Effect.Effect<void>
}

/** A caller that waits: how to wake its fiber, once it listens. */
interface Waiter {
  wake: (() => void) | undefined
}

/**
 * Creates a bulkhead.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range. It needs no scope: it holds no fiber and no timer of its own.
 *
 * **Example** (At most ten queries at once, fifty waiting, none longer than a second)
 *
 * ```ts
 * const database = Bulkhead.make({ name: "database", maxConcurrent: 10, maxQueued: 50, maxWait: "1 second" })
 * const rows = database.withPermit(query)
 * const report = slowQuery.pipe(database.withPermitPriority("low"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Bulkhead => {
  const { maxConcurrent, maxQueued = 0, name = "default" } = options
  if (maxConcurrent !== Infinity && !(Number.isInteger(maxConcurrent) && maxConcurrent >= 1)) {
    throw new RangeError(`Bulkhead.make: maxConcurrent must be an integer >= 1 or Infinity, got ${maxConcurrent}`)
  }
  const maxWait = Duration.fromInputUnsafe(options.maxWait ?? Duration.infinity)
  const bounds = { maxQueued, maxWait: Duration.toMillis(maxWait), ...resolveShedding(options) }
  const queue = AdmissionQueue.make<Waiter>({ limit: maxConcurrent, priorities: 3, ...bounds })
  const metrics = makeMetrics(name, queue)

  const wakeDecided = (now: number) => {
    for (let entry = queue.poll(now); entry !== undefined; entry = queue.poll(now)) entry.value.wake?.()
  }

  const refuse = (context: Context.Context<never>, reason: BulkheadFull["reason"]) => {
    metrics.refused(context, reason)
    const retryAfter = Duration.millis(Math.ceil(queue.retryAfter()))
    const fields = { bulkhead: name, reason, limit: queue.limit, queued: queue.queued, retryAfter }
    return Effect.fail(withoutStack(() => new BulkheadFull(fields, { disableChecks: true })))
  }

  /** Runs `self`, for which a permit is already taken. */
  const run = <A, E, R>(self: Effect.Effect<A, E, R>, fiber: Fiber.Fiber<unknown, unknown>, clock: Clock.Clock) => {
    const context = fiber.context
    const start = monotonicMillis(clock)
    metrics.admitted(context)
    return Effect.onExitPrimitive(self, () => {
      const now = monotonicMillis(clock)
      queue.release(now - start)
      wakeDecided(now)
      metrics.level(context)
      return undefined
    })
  }

  /** Waits until the entry is decided. Whoever calls it settles the entry afterwards. */
  const decided = (entry: AdmissionQueue.Entry<Waiter>) => {
    const wait = Effect.withFiber((fiber) =>
      Effect.callback<void>((resume) => {
        if (entry.state !== "Waiting") return resume(Effect.void)
        // Through the dispatcher: a release must not run the next fiber, and all that follow it, on its own stack.
        entry.value.wake = () => fiber.currentDispatcher.scheduleTask(() => resume(Effect.void), 0)
      })
    )
    return Duration.isFinite(maxWait)
      ? Effect.timeoutOrElse(wait, { duration: maxWait, orElse: () => Effect.void })
      : wait
  }

  /** Takes a caller that no longer waits out of the queue, and gives back the permit that it may have been given meanwhile. */
  const leave = (entry: AdmissionQueue.Entry<Waiter>, clock: Clock.Clock) => {
    if (queue.cancel(entry) || entry.state !== "Admitted") return
    queue.release()
    wakeDecided(monotonicMillis(clock))
  }

  /** Runs `self`, if its entry was admitted, or refuses it, now that it no longer waits. */
  const settle = <A, E, R>(
    entry: AdmissionQueue.Entry<Waiter>,
    self: Effect.Effect<A, E, R>,
    fiber: Fiber.Fiber<unknown, unknown>,
    clock: Clock.Clock
  ): Effect.Effect<A, E | BulkheadFull, R> => {
    const { state } = entry
    if (state === "Admitted") {
      metrics.waited(fiber.context, monotonicMillis(clock) - entry.offeredAt)
      return run(self, fiber, clock)
    }
    leave(entry, clock)
    metrics.level(fiber.context)
    return refuse(fiber.context, state === "Displaced" || state === "Shed" ? state : "WaitExceeded")
  }

  const withClass =
    (priority: number) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | BulkheadFull, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiber((fiber): Effect.Effect<A, E | BulkheadFull, R> => {
          const clock = fiber.getRef(Clock.Clock)
          if (queue.tryAcquire()) return run(restore(self), fiber, clock)
          const now = monotonicMillis(clock)
          const entry = queue.offer({ wake: undefined }, now, priority)
          if (entry.state !== "Waiting") return refuse(fiber.context, "QueueFull")
          wakeDecided(now)
          metrics.level(fiber.context)
          return Effect.matchCauseEffect(restore(decided(entry)), {
            onFailure: (cause) => {
              leave(entry, clock)
              metrics.level(fiber.context)
              return Effect.failCause(cause)
            },
            onSuccess: () => settle(entry, restore(self), fiber, clock)
          })
        })
      )

  const byPriority = { high: withClass(0), normal: withClass(1), low: withClass(2) }

  return {
    name,
    withPermit: byPriority.normal,
    withPermitPriority: (priority) => byPriority[priority],
    stats: Effect.sync(() => ({ running: queue.running, queued: queue.queued, limit: queue.limit })),
    saturation: Effect.clockWith((clock) => {
      const level = { running: queue.running, queued: queue.queued, capacity: queue.limit }
      return Effect.sync(() => saturationOf(queue, level, bounds, monotonicMillis(clock)))
    }),
    resize: (limit) =>
      Effect.withFiber((fiber) => {
        queue.resize(limit)
        wakeDecided(monotonicMillis(fiber.getRef(Clock.Clock)))
        return Effect.void
      })
  }
}

const makeMetrics = (bulkhead: string, queue: AdmissionQueue.AdmissionQueue<Waiter>) => {
  const running = Metric.withAttributes(RuntimeMetrics.bulkheadRunning, { bulkhead })
  const queued = Metric.withAttributes(RuntimeMetrics.bulkheadQueued, { bulkhead })
  const admitted = Metric.withAttributes(RuntimeMetrics.bulkheadAdmitted, { bulkhead })
  const wait = Metric.withAttributes(RuntimeMetrics.bulkheadWait, { bulkhead })
  const refusedFor = (reason: BulkheadFull["reason"]) =>
    Metric.withAttributes(RuntimeMetrics.bulkheadRefused, { bulkhead, reason })
  const refused = {
    QueueFull: refusedFor("QueueFull"),
    WaitExceeded: refusedFor("WaitExceeded"),
    Displaced: refusedFor("Displaced"),
    Shed: refusedFor("Shed")
  }
  const level = (context: Context.Context<never>) => {
    running.updateUnsafe(queue.running, context)
    queued.updateUnsafe(queue.queued, context)
  }
  return {
    level,
    admitted: (context: Context.Context<never>) => {
      admitted.updateUnsafe(1, context)
      level(context)
    },
    waited: (context: Context.Context<never>, millis: number) => wait.updateUnsafe(millis / 1000, context),
    refused: (context: Context.Context<never>, reason: BulkheadFull["reason"]) =>
      refused[reason].updateUnsafe(1, context)
  }
}
