/**
 * Tasks that run as fibers of this process, or by way of one: behind the same bounds as those on threads, and with the same errors. What
 * the fiber does, run a handler or ask another machine, is its backend.
 *
 * The fiber of a call is not its caller's: a caller that leaves, or whose time is over, does not wait until the work has stopped, but the
 * permit is out until it has.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bulkhead from "../../Bulkhead.ts"
import { CurrentDeadline } from "../../Deadline.ts"
import { DeadlinePassed, Saturated, TimedOut, Unavailable } from "../../OffloadError.ts"
import { monotonicMillis } from "../monotonic.ts"
import { BoundedCall } from "./boundedCall.ts"
import type { Ending } from "./boundedCall.ts"
import { CallMetrics } from "./callMetrics.ts"
import type { CallOptions, Executor } from "./executor.ts"
import { resolveBufferSize, resolveTimeout } from "./options.ts"
import { offloadError } from "./outcome.ts"
import { pullFrom, StreamBuffer } from "./streamBuffer.ts"
import type { TaskDefinition } from "./taskDefinition.ts"

export interface BoundedOptions extends Omit<Bulkhead.Options, "maxConcurrent"> {
  readonly name: string
  readonly workers: number
  readonly concurrency: number
  /** Milliseconds: that of calls which do not say. */
  readonly timeout: number
  /** How long calls may go on when the scope closes. */
  readonly drainTimeout: Duration.Duration
}

export interface Backend {
  /**
   * Does the work of a call, for a stream until its last item is emitted. It fails with the declared error, or an `OffloadError`, and
   * ends when the work has truly stopped, also after an interruption.
   */
  readonly run: (call: BoundedCall) => Effect.Effect<unknown, unknown>
  /** From what was emitted to the items of the stream. */
  readonly decodeItems: (
    task: TaskDefinition,
    items: ReadonlyArray<unknown>
  ) => Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>>
}

type End = Exit.Exit<unknown, unknown>

export const makeBounded = Effect.fnUntraced(function* (
  options: BoundedOptions,
  backend: Backend
): Effect.fn.Return<Executor, never, Scope.Scope> {
  const context = yield* Effect.context<never>()
  const bounded = yield* Effect.acquireRelease(
    Effect.sync(() => new Bounded(options, backend, context)),
    (bounded) => bounded.close
  )
  yield* bounded.metrics.observed
  return bounded
})

class Bounded implements Executor {
  readonly metrics: CallMetrics
  readonly #options: BoundedOptions
  readonly #backend: Backend
  readonly #bulkhead: Bulkhead.Bulkhead
  readonly #calls = new Set<BoundedCall>()
  #closed = false

  constructor(options: BoundedOptions, backend: Backend, context: Context.Context<never>) {
    this.#options = options
    this.#backend = backend
    this.#bulkhead = Bulkhead.make({ ...options, maxConcurrent: options.workers * options.concurrency })
    this.metrics = new CallMetrics(options.name, context, () => Effect.runSync(this.#bulkhead.stats))
  }

  readonly run: Executor["run"] = (task, payload, options) =>
    Effect.withFiber((caller) =>
      Effect.callback((resume) => {
        const call = this.#begin(caller, task, payload, options, resume, () => {})
        return Effect.sync(() => call.end(Exit.interrupt()))
      })
    )

  readonly stream: Executor["stream"] = (task, payload, options) => {
    const bufferSize = resolveBufferSize(task, options)
    return Stream.unwrap(
      Effect.withFiber((caller) => {
        const buffer = new StreamBuffer<End>()
        const settle = (exit: End) => buffer.settle(undefined, exit)
        const begun = Effect.acquireRelease(
          Effect.sync(() => this.#begin(caller, task, payload, { ...options, bufferSize }, settle, buffer.items)),
          (call) => Effect.sync(() => call.end(Exit.interrupt()))
        )
        const pull = (call: BoundedCall) =>
          pullFrom(buffer, {
            grant: (consumed) => call.onGrant?.(consumed),
            decode: (items) => this.#backend.decodeItems(task, items),
            end: (exit) => (Exit.isSuccess(exit) ? Cause.done() : (exit as Exit.Exit<never, unknown>))
          })
        return Effect.map(begun, (call) => Stream.fromPull(Effect.succeed(pull(call))))
      })
    )
  }

  readonly stats = Effect.sync(() => this.metrics.stats)

  readonly saturation = Effect.suspend(() => this.#bulkhead.saturation)

  /** Refuses new calls, gives those that are left their time, and ends the others. Waits until their work has stopped. */
  readonly close = Effect.gen({ self: this }, function* () {
    this.#closed = true
    const fibers = Array.from(this.#calls, ({ fiber }) => fiber!)
    if (fibers.length === 0) return
    yield* Effect.timeoutOption(Fiber.awaitAll(fibers), this.#options.drainTimeout)
    for (const call of this.#calls) call.end(closed(call.request.task))
    yield* Fiber.awaitAll(fibers)
  })

  #begin(
    caller: Fiber.Fiber<unknown, unknown>,
    task: TaskDefinition,
    payload: unknown,
    options: CallOptions,
    resume: (exit: End) => void,
    emit: (items: ReadonlyArray<unknown>) => void
  ): BoundedCall {
    const call = new BoundedCall(
      {
        task,
        payload,
        options,
        deadline: caller.getRef(CurrentDeadline),
        timeout: resolveTimeout(task, options, this.#options.timeout),
        caller
      },
      now(caller),
      (exit: End, ending: Ending) => {
        this.metrics.ended(task.name, ending)
        resume(exit)
      },
      emit
    )
    if (this.#closed) {
      call.settle(closed(task))
      return call
    }
    this.#calls.add(call)
    call.fiber = Effect.runForkWith(caller.context)(this.#admitted(call))
    // It may have been ended while its fiber ran for the first time.
    if (call.settled) call.fiber.interruptUnsafe()
    call.fiber.addObserver((exit) => {
      this.#calls.delete(call)
      call.settle(exit)
    })
    return call
  }

  /** Waits for a permit and runs the call. Whatever else it fails with than its own end is the bulkhead's refusal. */
  #admitted(call: BoundedCall): Effect.Effect<unknown, unknown> {
    const { options, task } = call.request
    const outcome = this.#bulkhead.withPermitPriority(options.priority ?? "normal")(Effect.exit(this.#running(call)))
    const refused = ({ queued, reason, retryAfter }: Bulkhead.BulkheadFull) =>
      Effect.fail(offloadError(task.name, () => new Saturated({ why: reason, queued, retryAfter })))
    return Effect.flatten(Effect.catch(outcome, refused))
  }

  #running(call: BoundedCall): Effect.Effect<unknown, unknown> {
    return Effect.withFiber((fiber) => {
      const { deadline, task, timeout } = call.request
      const startedAt = now(fiber)
      if (deadline <= startedAt) return Effect.fail(offloadError(task.name, () => new DeadlinePassed()))
      const work = Effect.onExit(this.#backend.run(call), () =>
        Effect.sync(() => this.metrics.ran(startedAt - call.submittedAt, now(fiber) - startedAt))
      )
      return timeout === Infinity ? work : Effect.andThen(Effect.forkChild(limit(call), immediately), work)
    })
  }
}

const immediately = { startImmediately: true }

const now = (fiber: Fiber.Fiber<unknown, unknown>): number => monotonicMillis(fiber.getRef(Clock.Clock))

/** Ends a call when its time is over, unless the fiber of the call, whose child it is, ends first. */
const limit = (call: BoundedCall): Effect.Effect<void> => {
  const timeout = Duration.millis(call.request.timeout)
  const timedOut = () => Exit.fail(offloadError(call.request.task.name, () => new TimedOut({ timeout })))
  return Effect.andThen(
    Effect.sleep(timeout),
    Effect.sync(() => call.end(timedOut()))
  )
}

const closed = (task: TaskDefinition): End =>
  Exit.fail(offloadError(task.name, () => new Unavailable({ why: "Closed" })))
