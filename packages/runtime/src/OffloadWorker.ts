/**
 * The worker side of `Offload`: a worker file calls `serve` with its handlers. It loads no module of Effect, so a worker thread
 * starts in the time of a bare one (about 60 ms instead of 400 ms) and takes its memory.
 *
 * @since 0.1.0
 */
import type { Transferable } from "node:worker_threads"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as RpcSchema from "effect/rpc/RpcSchema"
import { noMiddlewares } from "./internal/offload/protocol.ts"
import type { Boot } from "./internal/offload/protocol.ts"
import { toBatches } from "./internal/offload/worker/streaming.ts"
import { TaskFailure } from "./internal/offload/worker/task.ts"
import { readBoot, start } from "./internal/offload/worker/workerLoop.ts"
import type { Runner } from "./internal/offload/worker/workerLoop.ts"

export {
  /**
   * What a handler throws to fail with its declared error. Made by `TaskContext.fail`.
   *
   * @category errors
   * @since 0.1.0
   */
  TaskFailure
}

/**
 * What a handler is told about its task.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskContext<in E> {
  /**
   * Aborts when the caller was interrupted or the task's time is over. `signal.aborted` and `signal.throwIfAborted()` are up to date
   * inside a synchronous loop too, which is how a computation can end of its own accord instead of with its thread.
   */
  readonly signal: AbortSignal
  /** The time by which the caller needs the answer, in milliseconds of the monotonic clock; `undefined` when there is none. */
  readonly deadline: number | undefined
  /** Milliseconds until `deadline`, never below 0; `Infinity` when there is none. */
  readonly remaining: () => number
  /** Makes the value to throw for the task's declared error, given in its encoded form: `throw fail({ ... })`. */
  readonly fail: (error: E) => TaskFailure
  /**
   * Tells the caller, if it listens (`onProgress`), how far the task is. The value must be cloneable. It costs a message; while the
   * last report has not been delivered, further ones are dropped, so it may be called as often as one likes.
   */
  readonly progress: (value: unknown) => void
  /**
   * Returns `value`, and has these parts of it moved to the caller instead of copied: `return transfer(image, [image.buffer])`. They
   * are unusable here afterwards. For a stream it is about the item that is yielded next.
   */
  readonly transfer: <A>(value: A, transferables: ReadonlyArray<Transferable>) => A
  /** The span of the caller as W3C Trace Context writes it (`00-<trace>-<span>-<flags>`); `undefined` when there is none. */
  readonly traceparent: string | undefined
}

/**
 * The handler of one task: takes the payload as the schema encodes it and returns the result, or a promise of it, encoded likewise.
 * The handler of a stream (`RpcSchema.Stream`) returns something to iterate over, also asynchronously: a generator, most often.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<R extends Rpc.Any> =
  R extends Rpc.Rpc<infer _Tag, infer Payload, infer Success, infer Error, infer _Middleware, infer _Requires>
    ? Success extends RpcSchema.Stream<infer Item, infer ItemError>
      ? (
          payload: Payload["Encoded"],
          context: TaskContext<Error["Encoded"] | ItemError["Encoded"]>
        ) => Iterable<Item["Encoded"]> | AsyncIterable<Item["Encoded"]>
      : (
          payload: Payload["Encoded"],
          context: TaskContext<Error["Encoded"]>
        ) => Success["Encoded"] | Promise<Success["Encoded"]>
    : never

/**
 * A handler for every task of a group.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers<G extends RpcGroup.Any> = {
  readonly [Tag in RpcGroup.Rpcs<G>["_tag"]]: Handler<Extract<RpcGroup.Rpcs<G>, { readonly _tag: Tag }>>
}

/**
 * Options of `serve`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Runs when the pool closes and this worker's tasks have ended: close files and connections here. Killing a worker skips it. The
   * pool waits for it for a second. Then the thread exits, whatever is still open in it.
   *
   * @default nothing
   */
  readonly close?: (() => void | Promise<void>) | undefined
}

/**
 * Serves the tasks of a group in this worker thread.
 *
 * **Details**
 *
 * Call it once, at the top level of the worker file. `handlers` are plain functions, or a function that makes them, sync or async,
 * from the pool's `data`: open files and warm up there, once a worker. If it throws, the worker counts as unable to start. So it does
 * when a task of the contract has middlewares, which only `OffloadEffectWorker` runs.
 *
 * A thrown `fail(error)` is the task's declared error; anything else thrown is a defect that carries the task's name and the error's
 * name, message and stack. The worker lives on in both cases. Throws an `Error` outside a worker of an offload pool, and when called
 * again.
 *
 * **Example** (One task)
 *
 * ```ts
 * serve<typeof Images>({ thumbnail: ({ image, width }, { signal }) => resize(image, width, signal) })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const serve = <G extends RpcGroup.Any, Data = undefined>(
  handlers: Handlers<G> | ((data: Data) => Handlers<G> | Promise<Handlers<G>>),
  options: Options = {}
): void => {
  const boot = readBoot("OffloadWorker.serve")
  const { close = () => {} } = options
  void start(boot, async () => {
    const given = typeof handlers === "function" ? await handlers(boot.data as Data) : handlers
    return { runners: toRunners(boot, given as Readonly<Record<string, Runner>>), close }
  })
}

const toRunners = ({ tasks }: Boot, handlers: Readonly<Record<string, Runner>>): Readonly<Record<string, Runner>> => {
  const guarded = tasks.filter(({ middlewares }) => middlewares === true)
  if (guarded.length > 0) throw new Error(noMiddlewares(guarded))
  const runners: Record<string, Runner> = {}
  for (const { name, stream } of tasks) {
    const method = handlers[name]
    if (typeof method !== "function") continue
    // It may use `this`.
    const handler = method.bind(handlers)
    runners[name] = stream ? (payload, task) => toBatches(handler(payload, task)) : handler
  }
  return runners
}
