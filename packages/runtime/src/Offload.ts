/**
 * Typed tasks on a bounded pool of worker threads: CPU work and blocking calls leave the event loop, and cannot drown it.
 *
 * The contract is an `RpcGroup`, as Effect users write it already. The caller sees one effect for each task; where it runs, on threads
 * or inline in a test, is a layer.
 *
 * @since 0.1.0
 */
import { availableParallelism } from "node:os"
import type { ResourceLimits } from "node:worker_threads"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type * as AdmissionQueue from "./AdmissionQueue.ts"
import * as Bulkhead from "./Bulkhead.ts"
import { callInline } from "./internal/offload/inline.ts"
import type { InlineHandler } from "./internal/offload/inline.ts"
import { makeTaskCodec } from "./internal/offload/taskCodec.ts"
import type { TaskCodec } from "./internal/offload/taskCodec.ts"
import { callThreads, makeThreads } from "./internal/offload/threads.ts"
import type { OffloadError } from "./OffloadError.ts"
import type { TaskContext } from "./OffloadWorker.ts"

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
   * What happens to a running task that nobody waits for any more. `kill`: its signal aborts, and if it has not ended after `killGrace`
   * its thread is ended and replaced. `cooperative`: its signal aborts, and its thread stays busy until it ends by itself.
   *
   * @default "kill"
   */
  readonly cancellation?: "kill" | "cooperative" | undefined
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
   * Which waiting task of a priority is served next, the one that waited longest or the newest.
   *
   * @default "fifo"
   */
  readonly order?: AdmissionQueue.Order | undefined
  /**
   * How long a task may run, unless its call says otherwise; see `CallOptions`.
   *
   * @default Infinity
   */
  readonly timeout?: Duration.Input | undefined
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
}

/**
 * The defaults of `Options` and `ThreadsOptions`.
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
  spares: 1,
  killGrace: "100 millis",
  drainTimeout: "10 seconds",
  startTimeout: "10 seconds",
  maxStartAttempts: 5
} as const

/**
 * The call of one task: takes the payload, fails with the task's declared error or an `OffloadError`.
 *
 * **Details**
 *
 * Interruption, also by a deadline, ends the task: waiting, it is unlinked in O(1) and never runs; running, its signal aborts and its
 * thread may be killed; the caller does not wait for that. Dies with an `OffloadDefect` if the handler breaks its contract.
 *
 * @category models
 * @since 0.1.0
 */
export type Call<R extends Rpc.Any> =
  R extends Rpc.Rpc<infer _Tag, infer Payload, infer Success, infer Error, infer _Middleware, infer _Requires>
    ? (
        ...args: void extends Payload["~type.make.in"]
          ? [payload?: void, options?: CallOptions]
          : [payload: Payload["~type.make.in"], options?: CallOptions]
      ) => Effect.Effect<Success["Type"], Error["Type"] | OffloadError, Rpc.ServicesClient<R>>
    : never

/**
 * A call for every task of a group.
 *
 * @category models
 * @since 0.1.0
 */
export type Client<Rpcs extends Rpc.Any> = {
  readonly [Tag in Rpcs["_tag"]]: Call<Extract<Rpcs, { readonly _tag: Tag }>>
}

/**
 * The handlers of `layerInline`: like those of `OffloadWorker.serve`, but they may also return an effect.
 *
 * @category models
 * @since 0.1.0
 */
export type InlineHandlers<Rpcs extends Rpc.Any> = {
  readonly [Tag in Rpcs["_tag"]]: Extract<Rpcs, { readonly _tag: Tag }> extends Rpc.Rpc<
    infer _Tag,
    infer Payload,
    infer Success,
    infer Error,
    infer _Middleware,
    infer _Requires
  >
    ? (
        payload: Payload["Encoded"],
        context: TaskContext<Error["Encoded"]>
      ) => Success["Encoded"] | Promise<Success["Encoded"]> | Effect.Effect<Success["Encoded"], Error["Encoded"]>
    : never
}

/**
 * What `Service` makes: a service class with its layers.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, Rpcs extends Rpc.Any> extends Context.ServiceClass<
  Self,
  Id,
  Client<Rpcs>
> {
  /**
   * Runs the tasks on worker threads.
   *
   * The layer is ready when all workers are. It fails with `Unavailable` if the worker file cannot start, after `maxStartAttempts`; it
   * dies with a `RangeError` for an option outside its range. When its scope closes, new tasks are refused as `Unavailable`, those that
   * run and wait get `drainTimeout`, then the workers run their `close` for at most a second and end.
   */
  readonly layerThreads: (options: ThreadsOptions) => Layer.Layer<Self, OffloadError>
  /** Runs the tasks on the caller's thread, behind the same bounds and with the same errors: for tests. */
  readonly layerInline: (handlers: InlineHandlers<Rpcs>, options?: Options) => Layer.Layer<Self>
}

/**
 * Creates the service class of an offload from its contract.
 *
 * **Details**
 *
 * Throws a `RangeError` for a group with a stream: tasks answer once.
 *
 * **Example** (Thumbnails on four threads)
 *
 * ```ts
 * class ImageOffload extends Offload.Service<ImageOffload>()("app/ImageOffload", Images) {}
 *
 * const layer = ImageOffload.layerThreads({ worker: new URL("./images.worker.ts", import.meta.url), workers: 4 })
 * const small = Effect.flatMap(ImageOffload, (images) => images.thumbnail({ image, width: 64 }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, Rpcs extends Rpc.Any>(
    id: Id,
    group: RpcGroup.RpcGroup<Rpcs>
  ): ServiceClass<Self, Id, Rpcs> => {
    const codecs = makeCodecs(group)
    const service = Context.Service<Self, Client<Rpcs>>()(id)
    return Object.assign(service, {
      layerThreads: (options: ThreadsOptions) => Layer.effect(service, makeThreadsClient<Rpcs>(id, codecs, options)),
      layerInline: (handlers: InlineHandlers<Rpcs>, options: Options = {}) =>
        Layer.sync(service, () => makeInlineClient<Rpcs>(id, codecs, handlers, options))
    })
  }

type Codecs = ReadonlyMap<string, TaskCodec>

const makeCodecs = (group: { readonly requests: ReadonlyMap<string, Rpc.Any> }): Codecs => {
  const codecs = new Map<string, TaskCodec>()
  for (const [task, rpc] of group.requests) {
    const { successSchema } = rpc as Rpc.AnyWithProps
    if (RpcSchema.isStreamSchema(successSchema)) throw new RangeError(`Offload.Service: task "${task}" is a stream`)
    codecs.set(task, makeTaskCodec(rpc as Rpc.AnyWithProps))
  }
  return codecs
}

const priorityClass = { high: 0, normal: 1, low: 2 }

const makeThreadsClient = <Rpcs extends Rpc.Any>(id: string, codecs: Codecs, options: ThreadsOptions) =>
  Effect.gen(function* () {
    const { name, timeout, ...bounds } = resolve("layerThreads", id, options)
    const millis = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))
    const pool = yield* makeThreads({
      ...bounds,
      name,
      tasks: [...codecs.keys()],
      worker: options.worker,
      data: options.data,
      spares: integer("layerThreads", "spares", options.spares ?? defaults.spares, 0),
      killGrace: millis(options.killGrace ?? defaults.killGrace),
      startTimeout: millis(options.startTimeout ?? defaults.startTimeout),
      maxStartAttempts: integer(
        "layerThreads",
        "maxStartAttempts",
        options.maxStartAttempts ?? defaults.maxStartAttempts,
        1
      ),
      resourceLimits: options.resourceLimits,
      drainTimeout: Duration.fromInputUnsafe(options.drainTimeout ?? defaults.drainTimeout)
    })
    return makeClient<Rpcs>(codecs, (task, codec, payload, call) =>
      callThreads(pool, task, codec, payload, {
        timeout: call.timeout === undefined ? timeout : millis(call.timeout),
        priority: priorityClass[call.priority ?? "normal"],
        mayKill: call.cancellation !== "cooperative"
      })
    )
  })

const makeInlineClient = <Rpcs extends Rpc.Any>(
  id: string,
  codecs: Codecs,
  handlers: InlineHandlers<Rpcs>,
  options: Options
): Client<Rpcs> => {
  const { concurrency, maxQueued, maxWait, name, order, timeout, workers } = resolve("layerInline", id, options)
  const bulkhead = Bulkhead.make({ name, maxConcurrent: workers * concurrency, maxQueued, maxWait, order })
  return makeClient<Rpcs>(codecs, (task, codec, payload, call) => {
    const handler = handlers[task as Rpcs["_tag"]] as unknown as InlineHandler
    const limit = call.timeout === undefined ? timeout : Duration.toMillis(Duration.fromInputUnsafe(call.timeout))
    return callInline(bulkhead, task, handler, codec, payload, limit)
  })
}

const makeClient = <Rpcs extends Rpc.Any>(
  codecs: Codecs,
  run: (task: string, codec: TaskCodec, payload: unknown, call: CallOptions) => Effect.Effect<unknown, unknown>
): Client<Rpcs> => {
  const calls: Record<string, unknown> = {}
  for (const [task, codec] of codecs) {
    calls[task] = (payload: unknown, options: CallOptions = {}) =>
      Effect.flatMap(codec.encodePayload(payload), (encoded) => run(task, codec, encoded, options))
  }
  return calls as Client<Rpcs>
}

const resolve = (where: string, id: string, options: Options) => ({
  name: options.name ?? id,
  workers: integer(where, "workers", options.workers ?? availableParallelism(), 1),
  concurrency: integer(where, "concurrency", options.concurrency ?? defaults.concurrency, 1),
  maxQueued: options.maxQueued ?? defaults.maxQueued,
  maxWait: Duration.toMillis(Duration.fromInputUnsafe(options.maxWait ?? defaults.maxWait)),
  order: options.order ?? defaults.order,
  timeout: Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? defaults.timeout))
})

const integer = (where: string, option: string, value: number, least: number): number => {
  if (Number.isInteger(value) && value >= least) return value
  throw new RangeError(`Offload.${where}: ${option} must be an integer >= ${least}, got ${value}`)
}
