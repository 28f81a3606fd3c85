/**
 * The worker side of `Offload` for handlers that are effects: a worker file calls `serve` with the contract and a layer of its
 * handlers, the one that `RpcServer` would take. Each worker loads Effect, which costs about 0.1 s and 27 MB (measured); `OffloadWorker`
 * serves plain functions without that.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scope from "effect/Scope"
import { CurrentTask, makeRunner } from "./internal/offload/worker/effectRunner.ts"
import { readBoot, start } from "./internal/offload/worker/workerLoop.ts"
import type { Program, Runner } from "./internal/offload/worker/workerLoop.ts"

/**
 * A layer of everything that the tasks of a group need: the handlers (`group.toLayer`), the middlewares of the group, and the services
 * of its schemas.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers<Rpcs extends Rpc.Any, E = never> = Layer.Layer<
  Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>,
  E
>

/**
 * Serves the tasks of a group in this worker thread, each in a fiber of its own.
 *
 * **Details**
 *
 * Call it once, at the top level of the worker file. `handlers` is a layer, or a function that makes it from the pool's `data`. It is
 * built once a worker, before that takes tasks; if it fails, the worker counts as unable to start. It is released, and its finalizers
 * are waited for, when the pool closes and the worker's tasks have ended; killing a worker skips that.
 *
 * A handler is run as `RpcServer` runs it, with the middlewares of its task and a `Scope` that closes when it ends. Its fiber is
 * interrupted when the caller is, or when the task's time is over, and the worker is free once the finalizers have run. If the handler
 * computes without end instead, or they take longer than `killGrace`, the thread is killed. `Deadline.CurrentDeadline` is the caller's
 * deadline, and the caller's span is the parent of the spans that the handler opens.
 *
 * A stream is pulled only when its consumer has room for more (`bufferSize`), and is interrupted when the consumer stops. Results, items
 * and errors whose schema is one of `effect/workers/Transferable` move to the caller. What does not fit its schema, and whatever else
 * the handler dies of, is a defect with the error's name, message and stack. An interruption of the handler's own making is one too.
 *
 * **Gotchas**
 *
 * `Rpc.fork` has no effect: how many tasks a worker runs at once is the pool's `concurrency`. There are no headers, and all tasks have
 * the same `client`.
 *
 * Throws an `Error` outside a worker of an offload pool, and when called again.
 *
 * **Example** (One task)
 *
 * ```ts
 * serve(Images, Images.toLayer({ thumbnail: ({ image, width }) => resize(image, width) }).pipe(Layer.provide(Codecs.layer)))
 * ```
 *
 * @see `OffloadWorker.serve` for handlers that are plain functions.
 * @category running
 * @since 0.1.0
 */
export const serve = <Rpcs extends Rpc.Any, E, Data = undefined>(
  group: RpcGroup.RpcGroup<Rpcs>,
  handlers: Handlers<Rpcs, E> | ((data: Data) => Handlers<Rpcs, E>)
): void => {
  const boot = readBoot("OffloadEffectWorker.serve")
  const layer = Effect.sync(() => (typeof handlers === "function" ? handlers(boot.data as Data) : handlers))
  void start(boot, () => Effect.runPromise(Effect.catchCause(open(group, Layer.unwrap(layer)), cannotStart)))
}

/**
 * Tells the caller, if it listens (`onProgress`), how far the task of the current fiber is.
 *
 * **Details**
 *
 * The value must be cloneable, or this dies. It costs a message; while the last report has not been delivered, further ones are
 * dropped, so it may be used as often as one likes. Outside a task of a worker it does nothing.
 *
 * @category running
 * @since 0.1.0
 */
export const progress = (value: unknown): Effect.Effect<void> =>
  Effect.withFiberSucceed((fiber) => fiber.getRef(CurrentTask)?.progress(value))

const open = Effect.fnUntraced(function* <Rpcs extends Rpc.Any, E>(
  group: RpcGroup.RpcGroup<Rpcs>,
  handlers: Handlers<Rpcs, E>
) {
  const scope = yield* Scope.make()
  // A layer that fails releases what it has built.
  const context = yield* Layer.buildWithScope(handlers, scope)
  const runners: Record<string, Runner | undefined> = {}
  for (const [task, rpc] of group.requests) runners[task] = makeRunner(rpc as unknown as Rpc.AnyWithProps, context)
  return { runners, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) } satisfies Program
})

/** The pool shows one error: the message has what all of them say. */
const cannotStart = (cause: Cause.Cause<unknown>): Effect.Effect<never, Error> => {
  const errors = Cause.prettyErrors(cause)
  const [first] = errors
  if (errors.length === 1 && first !== undefined) return Effect.fail(first)
  return Effect.fail(new Error(errors.map(({ message, name }) => `${name}: ${message}`).join("; ")))
}
