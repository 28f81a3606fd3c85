/**
 * Structured concurrency: a bounded group of child fibers that ends with its parent.
 *
 * No child outlives the group, however the group ends; a child's failure is either everyone's (`failFast`) or its own (`supervise`).
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Bulkhead from "./Bulkhead.ts"

/**
 * Error of a child that a group did not take.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskGroupFull extends Schema.TaggedError<TaskGroupFull>("@spillway/runtime/TaskGroup/TaskGroupFull")(
  "TaskGroupFull",
  {
    /** `Full`: the group holds as many children as it may. `Closed`: the group is ending. */
    reason: Schema.Literals(["Full", "Closed"]),
    /** The number of children at that time. */
    children: Schema.Number
  }
) {
  override get message() {
    return this.reason === "Full" ? `the task group is full: ${this.children} children` : "the task group is closed"
  }
}

/**
 * Options of `make` and `run`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How many children run at once. An integer from 1, or `Infinity`. Others wait in the order in which they were forked.
   *
   * @default Infinity
   */
  readonly maxConcurrent?: number | undefined
  /** How many children the group holds, running and waiting. An integer from 1, or `Infinity` for no bound. */
  readonly maxChildren: number
  /**
   * What a child's failure does. `failFast`: the others are interrupted, `join` and `run` fail with it. `supervise`: it is the
   * business of whoever awaits that child's fiber, and logged as a warning.
   *
   * @default "failFast"
   */
  readonly onFailure?: "failFast" | "supervise" | undefined
  /**
   * How long children may go on when the group's scope closes, before they are interrupted. `0` interrupts at once, `Infinity`
   * waits without limit.
   *
   * @default 0
   */
  readonly drainTimeout?: Duration.Input | undefined
}

/**
 * A group of child fibers, whose failures are of type `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskGroup<E> {
  /**
   * Starts a child, or queues it when `maxConcurrent` run already. Fails with `TaskGroupFull` at the bound and once the group ends.
   *
   * Interrupting the returned fiber ends that child alone.
   */
  readonly fork: <A, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, TaskGroupFull, R>
  /** Waits, without limit, until no child is left; fails as soon as a child has failed if the group is `failFast`. */
  readonly join: Effect.Effect<void, E>
  /** The number of children now, running and waiting. */
  readonly size: Effect.Effect<number>
}

/**
 * Creates a group that ends with the surrounding scope.
 *
 * **Details**
 *
 * When the scope closes the group refuses new children, gives those it has `drainTimeout`, interrupts the rest and waits for their
 * end. Dies with a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never>(options: Options): Effect.Effect<TaskGroup<E>, never, Scope.Scope> =>
  Effect.map(makeWithFailure<E>(options), ({ group }) => group)

/** A group, and an effect that never succeeds and fails when the group does. */
const makeWithFailure = <E>(options: Options) =>
  Effect.gen(function* () {
    const { maxChildren, maxConcurrent = Infinity, onFailure = "failFast" } = options
    if (maxChildren !== Infinity && !(Number.isInteger(maxChildren) && maxChildren >= 1)) {
      throw new RangeError(`TaskGroup.make: maxChildren must be an integer >= 1 or Infinity, got ${maxChildren}`)
    }
    const bulkhead = Bulkhead.make({ name: "task-group", maxConcurrent, maxQueued: Infinity })
    const fibers = yield* FiberSet.make<unknown, E>()
    const failed = yield* Deferred.make<never, E>()
    let open = true
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        open = false
        const wait = FiberSet.awaitEmpty(fibers)
        return Effect.timeoutOption(wait, options.drainTimeout ?? Duration.zero)
      })
    )

    const onExit = <A>(exit: Exit.Exit<A, E>) => {
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return Effect.void
      if (onFailure === "supervise") return Effect.logWarning("child of a task group failed", exit.cause)
      open = false
      return Effect.withFiber((failing) => {
        for (const sibling of fibers) if (sibling !== failing) sibling.interruptUnsafe(failing.id)
        return Deferred.failCause(failed, exit.cause)
      })
    }

    const fork = <A, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, TaskGroupFull, R> =>
      Effect.suspend(() => {
        const children = fibers.state._tag === "Open" ? fibers.state.backing.size : 0
        if (!open || children >= maxChildren) {
          return Effect.fail(new TaskGroupFull({ reason: open ? "Full" : "Closed", children }))
        }
        // The queue of this bulkhead has no bound of its own, so it refuses nobody.
        const permitted = bulkhead.withPermit(self) as Effect.Effect<A, E, R>
        return FiberSet.run(fibers, Effect.onExit(permitted, onExit), { startImmediately: true })
      })

    const failure = Deferred.await(failed)
    const group: TaskGroup<E> = {
      fork,
      join: Effect.raceFirst(FiberSet.awaitEmpty(fibers), failure).pipe(
        Effect.andThen(Effect.suspend(() => (Deferred.isDoneUnsafe(failed) ? failure : Effect.void)))
      ),
      size: FiberSet.size(fibers)
    }
    return { group, failure }
  })

/**
 * Runs `body` with a group, then waits for the children, and returns what `body` returned.
 *
 * **Details**
 *
 * If the group is `failFast` and a child fails, `body` and the other children are interrupted and the result fails with that
 * failure. If `body` fails or is interrupted, so are the children, after `drainTimeout`. Nothing is left when it returns.
 *
 * **Example** (Two downloads at a time)
 *
 * ```ts
 * const all = TaskGroup.run({ maxConcurrent: 2, maxChildren: 100 }, (group) =>
 *   Effect.forEach(urls, (url) => group.fork(download(url)))
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <E, A, E2, R>(
  options: Options,
  body: (group: TaskGroup<E>) => Effect.Effect<A, E2, R>
): Effect.Effect<A, E | E2, Exclude<R, Scope.Scope>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { group, failure } = yield* makeWithFailure<E>(options)
      const result = yield* Effect.raceFirst(body(group), failure)
      yield* group.join
      return result
    })
  )
