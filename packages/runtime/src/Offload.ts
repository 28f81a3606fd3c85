/**
 * Typed tasks on a bounded pool of worker threads: CPU work and blocking calls leave the event loop, and cannot drown it.
 *
 * The contract is an `RpcGroup`, as Effect users write it already. The caller sees one effect for each task, or one stream; where it
 * runs, on threads, inline in a test, or on another machine, is a layer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Metric from "effect/Metric"
import type * as Rpc from "effect/rpc/Rpc"
import type { Protocol } from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { makeClient, SaturationKey, StatsKey } from "./internal/offload/executor.ts"
import type { Executor } from "./internal/offload/executor.ts"
import { CurrentLink } from "./internal/offload/host/link.ts"
import { makeRemote } from "./internal/offload/host/remote.ts"
import { makeInline } from "./internal/offload/inline.ts"
import { resolve, resolveThreads } from "./internal/offload/options.ts"
import { makeHandlers } from "./internal/offload/rpcHandlers.ts"
import { makeWireGroup } from "./internal/offload/rpcWire.ts"
import { makeDefinitions } from "./internal/offload/taskDefinition.ts"
import { makeThreads } from "./internal/offload/threads.ts"
import type { OffloadError } from "./OffloadError.ts"
import { defaults } from "./OffloadOptions.ts"
import type { CallOptions, Options, RpcOptions, StreamOptions, ThreadsOptions } from "./OffloadOptions.ts"
import type { TaskContext } from "./OffloadWorker.ts"

/**
 * All options and their defaults.
 *
 * @category options
 * @since 0.1.0
 */
export * from "./OffloadOptions.ts"

/**
 * The call of one task: takes the payload, fails with the task's declared error or an `OffloadError`.
 *
 * **Details**
 *
 * Interruption, also by a deadline, ends the task: waiting, it is unlinked in O(1) and never runs; running, its signal aborts and its
 * thread may be killed; the caller does not wait for that. Dies with an `OffloadDefect` if the handler breaks its contract.
 *
 * A task that is declared as a stream (`RpcSchema.Stream`, or `stream: true`) is called for a stream. It runs, and holds its worker,
 * from the first pull to the end; the consumer's stopping is its interruption. The worker waits while the consumer is slow, so give
 * such a task a `timeout`.
 *
 * @category models
 * @since 0.1.0
 */
export type Call<R extends Rpc.Any> =
  R extends Rpc.Rpc<infer _Tag, infer Payload, infer Success, infer _Error, infer _Middleware, infer _Requires>
    ? Success extends RpcSchema.Stream<infer Item, infer ItemError>
      ? (
          ...args: Arguments<Payload["~type.make.in"], StreamOptions>
        ) => Stream.Stream<Item["Type"], ItemError["Type"] | Rpc.Error<R> | OffloadError, Rpc.ServicesClient<R>>
      : (
          ...args: Arguments<Payload["~type.make.in"], CallOptions>
        ) => Effect.Effect<Success["Type"], Rpc.Error<R> | OffloadError, Rpc.ServicesClient<R>>
    : never

type Arguments<Payload, Options> = void extends Payload
  ? [payload?: Payload, options?: Options]
  : [payload: Payload, options?: Options]

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
 * What an offload holds and has done, at one moment: made by `stats`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Tasks that occupy a worker, also those that nobody waits for any more. */
  readonly running: number
  /** Tasks that wait. */
  readonly queued: number
  /** How many tasks have ended in which way. */
  readonly ended: {
    readonly succeeded: number
    readonly failed: number
    readonly defect: number
    readonly interrupted: number
    readonly saturated: number
    readonly timedOut: number
    readonly deadlinePassed: number
    readonly crashed: number
    readonly unavailable: number
    readonly disconnected: number
  }
  /** The seconds from call to start, of tasks that have run. Shared by all offloads of the same name. */
  readonly wait: Metric.HistogramState
  /** The seconds from start to end. Shared by all offloads of the same name. */
  readonly run: Metric.HistogramState
  /** The worker threads that have a place. */
  readonly workers: ReadonlyArray<{
    readonly name: string
    readonly threadId: number
    readonly running: number
    readonly completed: number
    /** The share of the last one to two seconds that its event loop was busy, from 0 to 1. */
    readonly utilization: number
  }>
  /** Threads that wait to take the place of one that ends. */
  readonly spares: number
  /** Threads started so far. */
  readonly started: number
  /** Threads that were killed because of a task that did not stop. */
  readonly killed: number
  /** Threads that died of themselves. */
  readonly crashed: number
  /** Threads that were closed and replaced, or not needed any more. */
  readonly recycled: number
}

/**
 * The handlers of `layerInline`: those of `OffloadWorker.serve`, which here may also return an effect, or a stream, of encoded values.
 *
 * @category models
 * @since 0.1.0
 */
export type InlineHandlers<Rpcs extends Rpc.Any> = {
  readonly [Tag in Rpcs["_tag"]]: InlineHandler<Extract<Rpcs, { readonly _tag: Tag }>>
}

/**
 * The handler of one task of `layerInline`.
 *
 * @category models
 * @since 0.1.0
 */
export type InlineHandler<R extends Rpc.Any> =
  R extends Rpc.Rpc<infer _Tag, infer Payload, infer Success, infer Error, infer _Middleware, infer _Requires>
    ? Success extends RpcSchema.Stream<infer Item, infer ItemError>
      ? (
          payload: Payload["Encoded"],
          context: TaskContext<Error["Encoded"] | ItemError["Encoded"]>
        ) =>
          | Iterable<Item["Encoded"]>
          | AsyncIterable<Item["Encoded"]>
          | Stream.Stream<Item["Encoded"], Error["Encoded"] | ItemError["Encoded"]>
      : (
          payload: Payload["Encoded"],
          context: TaskContext<Error["Encoded"]>
        ) => Success["Encoded"] | Promise<Success["Encoded"]> | Effect.Effect<Success["Encoded"], Error["Encoded"]>
    : never

/**
 * A task as it goes between two machines: with `OffloadError` added to its errors. Made by `wireGroup`.
 *
 * @category models
 * @since 0.1.0
 */
export type Wire<R extends Rpc.Any> =
  R extends Rpc.Rpc<infer Tag, infer Payload, infer Success, infer Error, infer Middleware, infer Requires>
    ? Rpc.Rpc<
        Tag,
        Payload,
        Success,
        Schema.Codec<Error["Type"] | OffloadError, unknown, Error["DecodingServices"], Error["EncodingServices"]>,
        Middleware,
        Requires
      >
    : never

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
   *
   * In a process with several event loops all of them may share one pool: see `OffloadHost`.
   */
  readonly layerThreads: (options: ThreadsOptions) => Layer.Layer<Self, OffloadError>
  /**
   * Runs the tasks on the caller's thread, behind the same bounds and with the same errors: for tests. Takes the handlers that a worker
   * gives to `OffloadWorker.serve`, or the layer that it gives to `OffloadEffectWorker.serve`.
   *
   * Payloads and results are encoded and copied as on the way between threads, and time is that of `Clock`, so of `TestClock` in a
   * test. Nothing can be killed here: of a plain handler that ignores its signal the place is free at once, unless its task is
   * `cooperative`; an effect or stream is interrupted, and its place is free when it has ended. A handler that computes holds up
   * everything, its `timeout` included.
   *
   * When the scope closes, new tasks are refused as `Unavailable`, and so end those that are left; it waits without limit until their
   * effects, and handlers of `cooperative` tasks, have ended. The layer dies with a `RangeError` for an option outside its range, and
   * with an `Error` if a handler is missing.
   */
  readonly layerInline: {
    (handlers: InlineHandlers<Rpcs>, options?: Options): Layer.Layer<Self>
    <E, R>(
      handlers: Layer.Layer<Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>, E, R>,
      options?: Options
    ): Layer.Layer<Self, E, R>
  }
  /**
   * Runs the tasks on another machine, over any protocol of `RpcClient`: HTTP, WebSocket, a socket. There, `layerHandlers` serves them.
   *
   * `workers` times `concurrency` calls are on their way at once, the others wait here, by the same rules as for a thread. `timeout` is
   * measured here, from when the request is sent. What is left of it and of the deadline goes along (as remaining milliseconds, since
   * clocks differ), and so do `priority`, `cancellation` and the span. Interruption ends the task there too; over HTTP it aborts the
   * request. All tasks go through their schemas, also unchecked ones. Reports of progress do not travel: `onProgress` hears nothing.
   *
   * Errors of the other side's offload arrive as they are there. `Unavailable` (`Unreachable`): the request was surely not sent.
   * `Disconnected`: the connection broke, the server stopped, or something before the offload answered, so the task may have run. How
   * long a protocol tries to connect (see `openTimeout` of sockets) is bounded by `timeout` and by the deadline only.
   *
   * A stream has back-pressure: over sockets the other side sends no more while `bufferSize` items wait here, over HTTP while the
   * connection is full; that needs a serialization with frames (`layerNdjson`), or the items come all at once. When the scope closes,
   * new tasks are refused as `Unavailable`, those on their way and those that wait get `drainTimeout`.
   */
  readonly layerRpc: (options?: RpcOptions) => Layer.Layer<Self, never, Protocol | Rpc.MiddlewareClient<Rpcs>>
  /**
   * The group that `layerRpc` speaks: that of the contract, with `OffloadError` added to the errors. It is for `RpcServer`, as in
   * `layerHandlers`.
   */
  readonly wireGroup: RpcGroup.RpcGroup<Wire<Rpcs>>
  /**
   * Serves what `layerRpc` calls, by calling this offload: three lines make any of its layers a server.
   *
   * ```ts
   * const server = RpcServer.layerHttp({ group: ImageOffload.wireGroup, path: "/images", protocol: "http" }).pipe(
   *   Layer.provide(ImageOffload.layerHandlers),
   *   Layer.provide(ImageOffload.layerThreads({ worker: new URL("./images.worker.ts", import.meta.url) }))
   * )
   * ```
   *
   * A task is interrupted when its caller is, when the connection breaks, and when the time that its caller gave is over, which counts
   * as `TimedOut`. What it dies of is told with its stack: serve machines that you trust.
   */
  readonly layerHandlers: Layer.Layer<Rpc.ToHandler<Wire<Rpcs>>, never, Self>
}

/**
 * Creates the service class of an offload from its contract.
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
    const tasks = makeDefinitions(group)
    const wireGroup = makeWireGroup(group)
    const service = Context.Service<Self, Client<Rpcs>>()(id)
    const layer = <E, R>(executor: () => Effect.Effect<Executor, E, R>) =>
      Layer.effect(
        service,
        Effect.map(Effect.suspend(executor), (made) => makeClient<Client<Rpcs>>(tasks, made))
      )
    return Object.assign(service, {
      layerThreads: (options: ThreadsOptions) =>
        layer(() => {
          const resolved = resolveThreads(id, tasks, options)
          return Effect.flatMap(CurrentLink, (link) =>
            link === undefined ? makeThreads(resolved) : makeRemote(link, id, resolved)
          )
        }),
      layerInline: ((handlers: never, options: Options = {}) =>
        layer(() => makeInline(tasks, handlers, resolve("layerInline", id, options)))) as never,
      layerRpc: (options: RpcOptions = {}) =>
        layer(() => {
          const drainTimeout = Duration.fromInputUnsafe(options.drainTimeout ?? defaults.drainTimeout)
          const resolved = { ...resolve("layerRpc", id, options), drainTimeout }
          // Most programs do without, and the clients of Effect RPC take 40 ms to load.
          const loaded = Effect.promise(() => import("./internal/offload/rpcCaller.ts"))
          return Effect.flatMap(loaded, ({ makeRpc }) => makeRpc(wireGroup as never, resolved))
        }),
      wireGroup,
      // Fresh, so that two servers of one process may each have their own offload behind them.
      layerHandlers: Layer.fresh(
        wireGroup.toLayer(Effect.map(service, (client) => makeHandlers(tasks, client as never)) as never)
      ) as never
    })
  }

/**
 * What an offload holds and has done: takes the client.
 *
 * **Example** (How busy the workers are)
 *
 * ```ts
 * const { queued, workers } = yield* Offload.stats(yield* ImageOffload)
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const stats = (client: object): Effect.Effect<Stats> => {
  const found = (client as { readonly [StatsKey]?: Effect.Effect<Stats> })[StatsKey]
  return found ?? Effect.die(new TypeError("Offload.stats: this is not the client of an offload"))
}

/**
 * How near an offload is to refusing tasks, from 0 to 1: takes the client. For `LoadSignals.saturation`: it never suspends.
 *
 * **Details**
 *
 * It is the largest of how full the queue is (`maxQueued`); of the wait to expect there, which is the number of tasks that wait times their
 * mean time over the number that run at once, as a share of `maxWait`; and, while `codel` sheds tasks, of this wait as a share of that at which
 * they are shed. Where nothing may wait it is 1 while all workers are taken, else 0.
 *
 * In a process with several event loops that share a pool it is what the pool's host last said, at most some milliseconds old while the pool
 * is in use.
 *
 * **Example** (Less urgent requests give way before the pool is full)
 *
 * ```ts
 * const images = yield* ImageOffload
 * const signals = [LoadSignals.saturation("images", () => Effect.runSync(Offload.saturation(images)))]
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const saturation = (client: object): Effect.Effect<number> => {
  const found = (client as { readonly [SaturationKey]?: Effect.Effect<number> })[SaturationKey]
  return found ?? Effect.die(new TypeError("Offload.saturation: this is not the client of an offload"))
}
