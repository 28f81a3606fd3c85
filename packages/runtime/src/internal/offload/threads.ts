/** The pool of worker threads as a scoped effect: its timers are fibers, its end is a finalizer, its events are metrics. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import { CurrentDeadline } from "../../Deadline.ts"
import type { OffloadError } from "../../OffloadError.ts"
import { Unavailable } from "../../OffloadError.ts"
import * as RuntimeMetrics from "../../RuntimeMetrics.ts"
import { offloadError, toEffect } from "./outcome.ts"
import type { TaskCodec } from "./taskCodec.ts"
import { ThreadPool } from "./threadPool.ts"
import type { PoolHost, PoolOptions } from "./threadPool.ts"
import type { After } from "./workerCrew.ts"

export interface ThreadsOptions extends PoolOptions {
  readonly drainTimeout: Duration.Duration
}

/** What one call asks for, with every default filled in. */
export interface CallRequest {
  readonly timeout: number
  readonly priority: number
  readonly mayKill: boolean
}

/** How long `close` of the workers may take, and then how long a killed thread may take to be gone. */
const closeTimeout = Duration.seconds(1)
const killTimeout = Duration.seconds(5)

export const makeThreads = Effect.fnUntraced(function* (
  options: ThreadsOptions
): Effect.fn.Return<ThreadPool, OffloadError, Scope.Scope> {
  const context = yield* Effect.context<never>()
  const runTimer = yield* FiberSet.makeRuntime<never, void>()
  const after: After = (millis, callback) => {
    const fiber = runTimer(Effect.andThen(Effect.sleep(millis), Effect.sync(callback)))
    return () => fiber.interruptUnsafe()
  }
  let pool: ThreadPool
  const host = makeHost(options.name, context, after, () => pool)
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      pool = new ThreadPool(options, host)
    }),
    () => shutdown(pool, options.drainTimeout)
  )
  yield* listen((done) => pool.whenStarted(done))
  const { unavailable } = pool!.crew
  if (unavailable === undefined) return pool!
  return yield* Effect.fail(offloadError(options.name, () => new Unavailable({ detail: unavailable })))
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
export const callThreads = (
  pool: ThreadPool,
  task: string,
  codec: TaskCodec,
  payload: unknown,
  request: CallRequest
): Effect.Effect<unknown, unknown> =>
  Effect.withFiber((fiber) =>
    Effect.callback((resume) => {
      const deadline = fiber.getRef(CurrentDeadline)
      const submitted = pool.submit({
        name: task,
        payload,
        deadline: deadline === Infinity ? undefined : deadline,
        ...request,
        settle: (poolTask, outcome) => resume(toEffect(poolTask, outcome, codec, () => load(pool)))
      })
      return Effect.sync(() => pool.cancel(submitted, { type: "interrupted" }))
    })
  )

const load = (pool: ThreadPool) => ({
  queued: pool.queue.queued,
  retryAfter: Duration.millis(Math.ceil(pool.queue.retryAfter()))
})

const makeHost = (offload: string, context: Context.Context<never>, after: After, pool: () => ThreadPool): PoolHost => {
  const running = Metric.withAttributes(RuntimeMetrics.offloadRunning, { offload })
  const queued = Metric.withAttributes(RuntimeMetrics.offloadQueued, { offload })
  const workers = Metric.withAttributes(RuntimeMetrics.offloadWorkers, { offload })
  const wait = Metric.withAttributes(RuntimeMetrics.offloadWait, { offload })
  const run = Metric.withAttributes(RuntimeMetrics.offloadRun, { offload })
  const ended = (cause: string) => Metric.withAttributes(RuntimeMetrics.offloadWorkersEnded, { offload, cause })
  const tasks = new Map<string, ReturnType<typeof outcomeCounter>>()
  const outcomeCounter = (task: string, outcome: string) =>
    Metric.withAttributes(RuntimeMetrics.offloadTasks, { offload, task, outcome })
  return {
    after,
    changed: () => {
      running.updateUnsafe(pool().queue.running, context)
      queued.updateUnsafe(pool().queue.queued, context)
      workers.updateUnsafe(pool().crew.ready, context)
    },
    dispatched: (waited) => wait.updateUnsafe(waited / 1000, context),
    ended: (task, { type }, ran) => {
      const key = `${task.name} ${type}`
      let counter = tasks.get(key)
      if (counter === undefined) tasks.set(key, (counter = outcomeCounter(task.name, type)))
      counter.updateUnsafe(1, context)
      if (ran !== undefined) run.updateUnsafe(ran / 1000, context)
    },
    workerEnded: (gone) => ended(gone.cause).updateUnsafe(1, context)
  }
}
