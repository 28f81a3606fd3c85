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
import type { Caller, Outcome, PoolTask, TaskRequest } from "./pool/poolTask.ts"
import { poolSaturation } from "./pool/saturation.ts"
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
export const liveClock = Context.get(Context.empty(), Clock.Clock)

/** How long killed threads may take to be gone. */
const killTimeout = Duration.seconds(5)

/** A task as its caller knows it. */
type Submitted = Pick<PoolTask, "kind" | "request">

/** What runs the calls of `makeCalls`: a pool of this thread, or one of the host of its process. */
export interface TaskPool<Task extends Submitted> {
  readonly submit: (request: TaskRequest) => Task
  readonly cancel: (task: Task, outcome: Outcome) => void
  readonly grant: (task: Task, items: number) => void
  readonly queued: number
  /** Milliseconds. */
  readonly retryAfter: () => number
}

export const makeThreads = Effect.fnUntraced(function* (
  options: ThreadsOptions
): Effect.fn.Return<Executor, OffloadError, Scope.Scope> {
  const { metrics, pool } = yield* makePool(options)
  yield* listen((done) => pool.whenStarted(done))
  const { trouble } = pool.crew
  if (trouble !== undefined) return yield* Effect.fail(offloadError(options.name, () => unavailable(trouble)))
  return {
    ...makeCalls(pool, options.timeout),
    stats: Effect.sync(() => metrics.stats),
    saturation: Effect.sync(() => poolSaturation(pool, options))
  }
})

/** Makes a pool, which starts its threads, with its metrics. It ends with the scope. `onRan`: a worker is done with a task. */
export const makePool = Effect.fnUntraced(function* (
  options: PoolOptions & Pick<ThreadsOptions, "drainTimeout">,
  onRan: () => void = () => {}
) {
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
    ran: (_, waited, ran) => {
      metrics.ran(waited, ran)
      onRan()
    },
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
  return { pool, metrics }
})

/** Waits for a callback of the pool. Interruption stops waiting, nothing else. */
export const listen = (register: (done: () => void) => void) =>
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

/** The calls of an offload. `timeout` is that of calls which do not say, in milliseconds. */
export const makeCalls = <Task extends Submitted>(
  pool: TaskPool<Task>,
  timeout: number
): Pick<Executor, "run" | "stream"> => ({
  run: (task, payload, call) => run(pool, timeout, task, payload, call),
  stream: (task, payload, call) => stream(pool, timeout, task, payload, call)
})

/** Runs one task: its effect ends as the task does, and its interruption cancels the task. */
const run = <Task extends Submitted>(
  pool: TaskPool<Task>,
  timeout: number,
  task: TaskDefinition,
  payload: unknown,
  call: CallOptions
): Effect.Effect<unknown, unknown> =>
  Effect.withFiber((fiber) =>
    whenEncoded(task, payload, (encoded) =>
      Effect.callback((resume) => {
        const submitted = submit(pool, timeout, fiber, task, encoded, call, {
          settle: (ended, outcome) => resume(toEffect(ended, outcome, task.codec, () => load(pool, outcome)))
        })
        return Effect.sync(() => pool.cancel(submitted, { type: "interrupted" }))
      })
    )
  )

const stream = <Task extends Submitted>(
  pool: TaskPool<Task>,
  timeout: number,
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
          Effect.sync(() => submit(pool, timeout, fiber, task, encoded, { ...call, bufferSize }, buffer)),
          (poolTask) => Effect.sync(() => pool.cancel(poolTask, { type: "interrupted" }))
        )
        const pull = (poolTask: Task) =>
          pullFrom(buffer, {
            grant: (consumed) => pool.grant(poolTask, consumed),
            decode: task.codec.decodeItems,
            end: (outcome) =>
              outcome.type === "succeeded"
                ? Cause.done()
                : (toEffect(poolTask, outcome, task.codec, () => load(pool, outcome)) as Effect.Effect<never, unknown>)
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

const submit = <Task extends Submitted>(
  pool: TaskPool<Task>,
  timeout: number,
  fiber: Fiber.Fiber<unknown, unknown>,
  task: TaskDefinition,
  { transfer, value }: EncodedPayload,
  call: CallOptions,
  caller: Pick<Caller, "settle" | "items">
): Task => {
  /** A listener that throws is a bug of the caller, and ends its task like one. */
  const deliver = (listener: (value: unknown) => void, report: unknown) => {
    try {
      listener(report)
    } catch (error) {
      pool.cancel(submitted, { type: "defect", error: toErrorData(error) })
    }
  }
  const submitted: Task = pool.submit({
    index: task.index,
    payload: value,
    transfer,
    deadline: deadlineOf(fiber),
    timeout: resolveTimeout(task, call, timeout),
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

/** That of when the task was turned away, where it is known. */
const load = (pool: Pick<TaskPool<Submitted>, "queued" | "retryAfter">, outcome: Outcome) => {
  const known = outcome.type === "saturated" ? outcome.load : undefined
  return {
    queued: known?.queued ?? pool.queued,
    retryAfter: Duration.millis(Math.ceil(known?.retryAfter ?? pool.retryAfter()))
  }
}
