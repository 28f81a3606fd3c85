/** Tasks on a pool of worker threads: its timers are fibers, its end is a finalizer, its calls are effects and streams. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CurrentDeadline } from "../../Deadline.ts"
import type { OffloadError } from "../../OffloadError.ts"
import { monotonicMillis as clockMillis } from "../monotonic.ts"
import { makeCrashLog } from "./crashLog.ts"
import { priorityClass } from "./executor.ts"
import type { CallOptions, Executor } from "./executor.ts"
import { resolveBufferSize, resolveTimeout } from "./options.ts"
import { offloadError, toEffect, unavailable } from "./outcome.ts"
import { ThreadPool } from "./pool/threadPool.ts"
import type { PoolHost, PoolOptions } from "./pool/threadPool.ts"
import type { Caller, PoolTask } from "./pool/poolTask.ts"
import { closeTimeout } from "./pool/workerCrew.ts"
import type { After } from "./pool/workerCrew.ts"
import { monotonicMillis, toErrorData } from "./protocol.ts"
import { isDone } from "./taskDefinition.ts"
import type { EncodedPayload, TaskDefinition } from "./taskDefinition.ts"
import { toTraceparent } from "./traceparent.ts"
import { pullFrom, StreamBuffer } from "./streamBuffer.ts"
import { ThreadMetrics } from "./threadMetrics.ts"

export interface ThreadsOptions extends PoolOptions {
  readonly drainTimeout: Duration.Duration
  /** Milliseconds: that of calls which do not say. */
  readonly timeout: number
}

/** That of the threads, whose time no other clock of this side can set: that of a test must not stop what watches over them. */
const liveClock = Context.get(Context.empty(), Clock.Clock)

/** How long killed threads may take to be gone. */
const killTimeout = Duration.seconds(5)

export const makeThreads = Effect.fnUntraced(function* (
  options: ThreadsOptions
): Effect.fn.Return<Executor, OffloadError, Scope.Scope> {
  const runTimer = yield* FiberSet.makeRuntime<never, void>()
  const after: After = (millis, callback) => {
    const fiber = runTimer(Effect.andThen(liveClock.sleep(Duration.millis(millis)), Effect.sync(callback)))
    return () => fiber.interruptUnsafe()
  }
  const metrics = new ThreadMetrics(options.name, yield* Effect.context<never>(), () => pool, options.maxWorkers)
  const crashLog = makeCrashLog(options.name)
  const host: PoolHost = {
    after,
    ended: (task, { type }) => metrics.ended(task.kind.name, type),
    ran: (_, waited, ran) => metrics.ran(waited, ran),
    workerEnded: (gone) => {
      metrics.workerEnded(gone)
      const log = crashLog(gone)
      if (log !== undefined) runTimer(log)
    }
  }
  const pool: ThreadPool = yield* Effect.acquireRelease(
    Effect.sync(() => new ThreadPool(options, host)),
    (pool) => Effect.provideService(shutdown(pool, options.drainTimeout), Clock.Clock, liveClock)
  )
  yield* metrics.observed
  yield* listen((done) => pool.whenStarted(done))
  const { trouble } = pool.crew
  if (trouble !== undefined) return yield* Effect.fail(offloadError(options.name, () => unavailable(trouble)))
  return {
    run: (task, payload, call) => run(pool, options, task, payload, call),
    stream: (task, payload, call) => stream(pool, options, task, payload, call),
    stats: Effect.sync(() => metrics.stats)
  }
})

/** Waits for a callback of the pool. Interruption stops waiting, nothing else. */
const listen = (register: (done: () => void) => void) =>
  Effect.callback<void>((resume) => register(() => resume(Effect.void)))

const shutdown = (pool: ThreadPool, drainTimeout: Duration.Duration) =>
  Effect.gen(function* () {
    yield* Effect.timeoutOption(
      listen((done) => pool.drain(done)),
      drainTimeout
    )
    const closed = Effect.timeoutOption(
      listen((done) => pool.close(done)),
      closeTimeout
    )
    if ((yield* closed)._tag === "Some") return
    pool.crew.kill()
    const killed = Effect.timeoutOption(
      listen((done) => pool.close(done)),
      killTimeout
    )
    if ((yield* killed)._tag === "None") yield* Effect.logError("worker threads did not end after being killed")
  })

/** Runs one task: its effect ends as the task does, and its interruption cancels the task. */
const run = (
  pool: ThreadPool,
  options: ThreadsOptions,
  task: TaskDefinition,
  payload: unknown,
  call: CallOptions
): Effect.Effect<unknown, unknown> =>
  Effect.withFiber((fiber) =>
    whenEncoded(task, payload, (encoded) =>
      Effect.callback((resume) => {
        const submitted = submit(pool, options, fiber, task, encoded, call, {
          settle: (poolTask, outcome) => resume(toEffect(poolTask, outcome, task.codec, () => load(pool)))
        })
        return Effect.sync(() => pool.cancel(submitted, { type: "interrupted" }))
      })
    )
  )

const stream = (
  pool: ThreadPool,
  options: ThreadsOptions,
  task: TaskDefinition,
  payload: unknown,
  call: CallOptions
): Stream.Stream<unknown, unknown> => {
  const bufferSize = resolveBufferSize(task, call)
  return Stream.unwrap(
    Effect.withFiber((fiber) =>
      whenEncoded(task, payload, (encoded) => {
        const buffer = new StreamBuffer()
        const submitted = Effect.acquireRelease(
          Effect.sync(() => submit(pool, options, fiber, task, encoded, { ...call, bufferSize }, buffer)),
          (poolTask) => Effect.sync(() => pool.cancel(poolTask, { type: "interrupted" }))
        )
        const pull = (poolTask: PoolTask) =>
          pullFrom(buffer, {
            grant: (consumed) => pool.grant(poolTask, consumed),
            decode: task.codec.decodeItems,
            end: (outcome) =>
              outcome.type === "succeeded"
                ? Cause.done()
                : (toEffect(poolTask, outcome, task.codec, () => load(pool)) as Effect.Effect<never, unknown>)
          })
        return Effect.map(submitted, (poolTask) => Stream.fromPull(Effect.succeed(pull(poolTask))))
      })
    )
  )
}

/** Goes on at once when the payload was encoded at once, as it nearly always is. */
const whenEncoded = <A, R>(
  task: TaskDefinition,
  payload: unknown,
  f: (encoded: EncodedPayload) => Effect.Effect<A, unknown, R>
): Effect.Effect<A, unknown, R> => {
  const encoded = task.codec.encodePayload(payload)
  return isDone(encoded) && Exit.isSuccess(encoded) ? f(encoded.value) : Effect.flatMap(encoded, f)
}

const submit = (
  pool: ThreadPool,
  options: ThreadsOptions,
  fiber: Fiber.Fiber<unknown, unknown>,
  task: TaskDefinition,
  { transfer, value }: EncodedPayload,
  call: CallOptions,
  caller: Pick<Caller, "settle" | "items">
): PoolTask => {
  /** A listener that throws is a bug of the caller, and ends its task like one. */
  const deliver = (listener: (value: unknown) => void, report: unknown) => {
    try {
      listener(report)
    } catch (error) {
      pool.cancel(submitted, { type: "defect", error: toErrorData(error) })
    }
  }
  const submitted: PoolTask = pool.submit({
    index: task.index,
    payload: value,
    transfer,
    deadline: deadlineOf(fiber),
    timeout: resolveTimeout(task, call, options.timeout),
    priority: priorityClass[call.priority ?? "normal"],
    mayKill: (call.cancellation ?? task.cancellation) === "kill",
    credit: call.bufferSize ?? 0,
    traceparent: toTraceparent(fiber),
    caller: {
      settle: caller.settle,
      items: caller.items,
      progress: call.onProgress === undefined ? undefined : (report) => deliver(call.onProgress!, report)
    }
  })
  return submitted
}

/** The deadline of the caller by the clock of the threads. */
const deadlineOf = (fiber: Fiber.Fiber<unknown, unknown>): number | undefined => {
  const deadline = fiber.getRef(CurrentDeadline)
  if (deadline === Infinity) return undefined
  const clock = fiber.getRef(Clock.Clock)
  return clock === liveClock ? deadline : deadline - clockMillis(clock) + monotonicMillis()
}

const load = (pool: ThreadPool) => ({
  queued: pool.queued,
  retryAfter: Duration.millis(Math.ceil(pool.retryAfter()))
})
