/**
 * The options of an `Offload` and of its calls, with their defaults.
 *
 * @since 0.1.0
 */
import type { ResourceLimits, WorkerOptions } from "node:worker_threads"
import type * as Duration from "effect/Duration"
import type * as AdmissionQueue from "./AdmissionQueue.ts"

/**
 * Options of one call.
 *
 * @category options
 * @since 0.1.0
 */
export interface CallOptions {
  /**
   * How long the task may run, from its start in the worker and not from the call. More than 0; `Infinity` sets no limit, so that only
   * the caller's deadline or interruption ends it.
   *
   * @default the `timeout` of the layer
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * `high` goes before `normal`, `normal` before `low`; when the queue is full a task displaces the newest one of a lower priority.
   *
   * @default "normal"
   */
  readonly priority?: "high" | "normal" | "low" | undefined
  /**
   * What happens to the task if it runs and nobody waits for it any more: see `OffloadTask.Cancellation`.
   *
   * @default the annotation of the task
   */
  readonly cancellation?: "kill" | "cooperative" | undefined
  /**
   * Told what the handler reports by its `progress`. Reports come in order, but some are left out while this side is busy. Must return
   * at once; if it throws, the task ends with that as its defect.
   *
   * @default nothing is reported
   */
  readonly onProgress?: ((report: unknown) => void) | undefined
}

/**
 * Options of one call of a task that answers with a stream.
 *
 * @category options
 * @since 0.1.0
 */
export interface StreamOptions extends CallOptions {
  /**
   * How many items the worker may be ahead of the consumer: at that number it waits, and its thread with it. An integer from 1 to
   * 2147483647.
   *
   * @default 16
   */
  readonly bufferSize?: number | undefined
}

/**
 * Options that bound the queue and the time of tasks, wherever they run.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The label in metrics, errors and thread names.
   *
   * @default the key of the service
   */
  readonly name?: string | undefined
  /**
   * How many workers there are. An integer from 1. For CPU-bound tasks more than cores only adds switching.
   *
   * @default the available parallelism
   */
  readonly workers?: number | undefined
  /**
   * How many tasks a worker runs at once. An integer from 1. More than 1 is of use only for tasks that wait: computing ones take turns
   * anyway, and one that is cancelled can be killed only once its neighbours are done.
   *
   * @default 1
   */
  readonly concurrency?: number | undefined
  /**
   * How many tasks may wait. An integer from 0. `0` refuses whatever cannot start at once, `Infinity` removes the bound.
   *
   * @default 256
   */
  readonly maxQueued?: number | undefined
  /**
   * How long a task may wait. From 0; `Infinity` waits without limit, as long as the caller's deadline allows.
   *
   * @default "30 seconds"
   */
  readonly maxWait?: Duration.Input | undefined
  /**
   * Which waiting task of a priority is served next: see `AdmissionQueue.Order`. With `codel` the default is `adaptive`.
   *
   * @default "fifo"
   */
  readonly order?: AdmissionQueue.Order | undefined
  /**
   * Turns tasks away by how long they waited, as soon as waiting has become the rule: see `CoDel`. `{}` is for a pool behind a server, whose
   * clients wait: without it a pool that is asked for more than it can do serves each task when its client is about to give up, or has.
   * Leave it away where all tasks must be done some time.
   *
   * @default none are turned away so
   */
  readonly codel?: CoDelOptions | undefined
  /**
   * How long a task may run, unless its call says otherwise; see `CallOptions`.
   *
   * @default Infinity
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * When waiting tasks are turned away, see `CoDel`.
 *
 * @category options
 * @since 0.1.0
 */
export interface CoDelOptions {
  /**
   * The wait that is acceptable. More than 0.
   *
   * @default as long as a task runs, on average, from 5 ms to 1 second
   */
  readonly target?: Duration.Input | undefined
  /**
   * For how long every task must have waited longer than that. More than the target.
   *
   * @default "100 millis", or 20 times the target if that follows the tasks
   */
  readonly interval?: Duration.Input | undefined
}

/**
 * Options of `layerThreads`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ThreadsOptions extends Options {
  /** The worker file, which calls `serve` of `OffloadWorker`: `new URL("./images.worker.ts", import.meta.url)`. */
  readonly worker: URL
  /**
   * Given to each worker's handlers when it starts. Must be cloneable (structured clone).
   *
   * @default undefined
   */
  readonly data?: unknown
  /**
   * The fewest workers that there are. An integer from 1, at most `maxWorkers`.
   *
   * @default `workers`
   */
  readonly minWorkers?: number | undefined
  /**
   * The most workers that there are. More than `minWorkers`, there is one more as soon as a task has to wait and none is on its way,
   * and one less when it has had nothing to do for `idleTimeout`. An integer from `minWorkers`, and from `workers` if that is given.
   *
   * @default `workers`
   */
  readonly maxWorkers?: number | undefined
  /**
   * How long a worker beyond `minWorkers` may have nothing to do before it is closed. More than 0; `Infinity` keeps it.
   *
   * @default "10 seconds"
   */
  readonly idleTimeout?: Duration.Input | undefined
  /**
   * How many further short tasks may lie in the port of a worker while it runs one. It hides the way between the threads, which costs
   * a task of a few microseconds most of its time: as much is prefetched as the worker is expected to get to within 2 ms, by the mean
   * time that a task has run, so tasks of more than 2 ms never are. Prefetched tasks count as waiting (`maxQueued`, `maxWait`), never
   * run if their caller leaves, and go to another worker if theirs is not done with the one before within 5 ms. Those whose payload has
   * more than 64 KiB are not prefetched; smaller buffers that are to move are copied, which is cheaper than to wake a thread for each, and
   * then detached. An integer from 0; `0` sends a task only to a worker that is free.
   *
   * @default 16
   */
  readonly prefetch?: number | undefined
  /**
   * After how many tasks a worker is replaced: for handlers that leak. An integer from 1, or `Infinity`.
   *
   * @default Infinity
   */
  readonly maxTasks?: number | undefined
  /**
   * The size of a worker's heap in MiB above which it is replaced, once it has ended what it runs. It is looked at after a task, at
   * most every 50 ms, garbage included. More than 0, or `Infinity`. `resourceLimits` kills, this replaces in time.
   *
   * @default Infinity
   */
  readonly maxHeap?: number | undefined
  /**
   * How many more workers are kept started, so that one that dies is replaced in about a millisecond. An integer from 0. Each costs the
   * memory of a thread, and runs what the worker file does at its start.
   *
   * @default 1
   */
  readonly spares?: number | undefined
  /**
   * How long a cancelled task has to notice its `signal` before its thread is killed. `0` kills at once; `Infinity` never.
   *
   * @default "100 millis"
   */
  readonly killGrace?: Duration.Input | undefined
  /**
   * How long running and queued tasks may go on when the layer's scope closes. `0` ends them at once, `Infinity` waits without limit.
   *
   * @default "10 seconds"
   */
  readonly drainTimeout?: Duration.Input | undefined
  /**
   * How long a worker may take from its start to its call of `serve`. More than 0.
   *
   * @default "10 seconds"
   */
  readonly startTimeout?: Duration.Input | undefined
  /**
   * After how many failed starts in a row, with no worker left, tasks fail with `Unavailable` instead of waiting. An integer from 1.
   * Starting is tried on, every 5 s at the slowest, and a worker that starts ends that state.
   *
   * @default 5
   */
  readonly maxStartAttempts?: number | undefined
  /**
   * Limits of each worker's memory, in MiB, as `node:worker_threads` takes them. A worker that exceeds them dies, and its task fails
   * with `Crashed`.
   *
   * @default those of Node.js
   */
  readonly resourceLimits?: ResourceLimits | undefined
  /**
   * The environment variables of each worker, as `node:worker_threads` takes them: a record instead of those of the process, or
   * `SHARE_ENV`.
   *
   * @default a copy of `process.env`
   */
  readonly env?: WorkerOptions["env"]
  /**
   * The options of Node.js for each worker, such as `--import`. Those that concern the whole process (V8's, `--max-old-space-size`) are
   * refused: the layer dies.
   *
   * @default those of the process
   */
  readonly execArgv?: ReadonlyArray<string> | undefined
  /**
   * What is appended to `process.argv` in each worker.
   *
   * @default nothing
   */
  readonly argv?: ReadonlyArray<string> | undefined
}

/**
 * Options of `layerRpc`.
 *
 * @category options
 * @since 0.1.0
 */
export interface RpcOptions extends Options {
  /**
   * How long tasks on their way and queued ones may go on when the layer's scope closes. `0` ends them at once, `Infinity` waits without
   * limit.
   *
   * @default "10 seconds"
   */
  readonly drainTimeout?: Duration.Input | undefined
}

/**
 * The defaults of `Options`, `ThreadsOptions` and `RpcOptions`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = {
  concurrency: 1,
  maxQueued: 256,
  maxWait: "30 seconds",
  order: "fifo",
  timeout: Infinity,
  bufferSize: 16,
  idleTimeout: "10 seconds",
  prefetch: 16,
  maxTasks: Infinity,
  maxHeap: Infinity,
  spares: 1,
  killGrace: "100 millis",
  drainTimeout: "10 seconds",
  startTimeout: "10 seconds",
  maxStartAttempts: 5
} as const
