/**
 * The point in time by which the current fiber must be done.
 *
 * A deadline is set once, at the edge, and everything below sees what is left of it: queues refuse what cannot make it, `Offload`
 * carries it into worker threads. Nesting only ever shortens it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import { monotonicMillis } from "./internal/monotonic.ts"
import { withoutStack } from "./internal/withoutStack.ts"

/**
 * Error of an effect whose deadline passed before it was done.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>(
  "@spillway/runtime/Deadline/DeadlineExceeded"
)("DeadlineExceeded", {
  /** The time that the effect was given, as it was when `within` or `until` began. */
  budget: Schema.Duration
}) {
  override get message() {
    return `the deadline passed: ${Duration.format(this.budget)} were given`
  }
}

/**
 * The deadline of the current fiber in milliseconds of the monotonic clock, `Infinity` when there is none. Child fibers inherit it.
 *
 * **Gotchas**
 *
 * Providing it directly carries a deadline but enforces nothing: use `within` or `until`.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentDeadline: Context.Reference<number> = Context.Reference<number>("@spillway/runtime/Deadline", {
  defaultValue: () => Infinity
})

/**
 * Runs an effect that must be done by a point in time, in milliseconds of the monotonic clock.
 *
 * **Details**
 *
 * Behaves like `within`. It is for deadlines that were set elsewhere: at the arrival of a request, on another thread.
 *
 * @category combinators
 * @since 0.1.0
 */
export const until: {
  (time: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, time: number): Effect.Effect<A, E | DeadlineExceeded, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, time: number): Effect.Effect<A, E | DeadlineExceeded, R> =>
  Effect.withFiber((fiber) => {
    const outer = fiber.getRef(CurrentDeadline)
    const left = Math.min(outer, time) - monotonicMillis(fiber.getRef(Clock.Clock))
    const exceeded = () =>
      Effect.fail(withoutStack(() => new DeadlineExceeded({ budget: Duration.millis(Math.max(left, 0)) })))
    if (left <= 0) return exceeded()
    // The outer deadline ends this effect first, and with it the fiber that waits for it.
    if (outer <= time) return self
    return Effect.timeoutOrElse(Effect.provideService(self, CurrentDeadline, time), {
      duration: Duration.millis(left),
      orElse: exceeded
    })
  })
)

/**
 * Runs an effect that must be done within a duration from now.
 *
 * **Details**
 *
 * When the time is over the effect is interrupted, its finalizers run, and the result fails with `DeadlineExceeded`. If an outer
 * deadline is earlier, that one stays in force and it is the outer `within` that fails. With no time left the effect is not started.
 * `Infinity` sets no deadline; zero or less fails at once.
 *
 * **Gotchas**
 *
 * It waits until the interrupted effect has ended, so a region that cannot be interrupted overruns its deadline.
 *
 * **Example** (A budget for two steps)
 *
 * ```ts
 * const page = Effect.all([fetchUser, fetchOrders]).pipe(Deadline.within("500 millis"))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const within: {
  (duration: Duration.Input): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E | DeadlineExceeded, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E | DeadlineExceeded, R> =>
    Effect.withFiber((fiber) =>
      until(self, monotonicMillis(fiber.getRef(Clock.Clock)) + Duration.toMillis(Duration.fromInputUnsafe(duration)))
    )
)

/**
 * The time that is left until the deadline of the current fiber: `Duration.infinity` when there is none, zero when it has passed.
 *
 * @category accessors
 * @since 0.1.0
 */
export const remaining: Effect.Effect<Duration.Duration> = Effect.withFiberSucceed((fiber) => {
  const deadline = fiber.getRef(CurrentDeadline)
  if (deadline === Infinity) return Duration.infinity
  return Duration.millis(Math.max(0, deadline - monotonicMillis(fiber.getRef(Clock.Clock))))
})
