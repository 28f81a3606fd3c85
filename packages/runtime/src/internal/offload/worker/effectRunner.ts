/** Runs the handlers of an `RpcGroup` as fibers, the way `RpcServer` does. */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as Rpc from "effect/rpc/Rpc"
import type { RequestId } from "effect/rpc/RpcMessage"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Tracer from "effect/Tracer"
import { CurrentDeadline } from "../../../Deadline.ts"
import { fromTraceparent } from "../traceparent.ts"
import { isSuccess, makeWorkerCodec } from "./effectCodec.ts"
import type { Mover, WorkerCodec } from "./effectCodec.ts"
import { drain, EffectBatches, toThrown } from "./effectStream.ts"
import type { StreamResult, Write } from "./effectStream.ts"
import { TaskFailure } from "./task.ts"
import type { Task } from "./task.ts"
import type { Runner } from "./workerLoop.ts"

/** The task for which the current fiber works. */
export const CurrentTask = Context.Reference<Task | undefined>("@spillway/runtime/OffloadEffectWorker/CurrentTask", {
  defaultValue: () => undefined
})

/** The pool is the one client of all tasks. */
const client = new Rpc.ServerClient(0)

let requests = 0

/** Makes the runner of a task, or `undefined` when there is no handler for it. */
export const makeRunner = (rpc: Rpc.AnyWithProps, built: Context.Context<never>): Runner | undefined => {
  const handler = Context.getOrUndefined(built, Context.Service<Rpc.Handler<string>>(rpc.key))
  if (handler === undefined) return undefined
  const codec = makeWorkerCodec(rpc)
  const context = Context.merge(handler.context, built)
  const call: Call = { rpc, handler, codec, context }
  if (!RpcSchema.isStreamSchema(rpc.successSchema)) return (payload, task) => runOnce(call, payload, task)
  return (payload, task) =>
    new EffectBatches(task, codec.encodeSuccess, (write) => fork(call, task, streamEffect(call, payload, task, write)))
}

export interface Call {
  readonly rpc: Rpc.AnyWithProps
  readonly handler: Rpc.Handler<string>
  readonly codec: WorkerCodec
  readonly context: Context.Context<never>
}

/** What a handler returns, without the wrapper. */
type Result = Effect.Effect<unknown, unknown> | StreamResult

const runOnce = (call: Call, payload: unknown, task: Task): unknown => {
  const fiber = fork(call, task, onceEffect(call, payload, task))
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) return settle(exit, task)
  return new Promise((resolve, reject) => {
    task.onAbort(() => fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation))
    fiber.addObserver((exit) => (Exit.isSuccess(exit) ? resolve(exit.value) : reject(toThrown(exit.cause, task))))
  })
}

const settle = (exit: Exit.Exit<unknown, unknown>, task: Task): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  throw toThrown(exit.cause, task)
}

const fork = <A, E>({ context }: Call, task: Task, effect: Effect.Effect<A, E>) => {
  const { deadline, traceparent } = task
  let own: Context.Context<never> = context
  // First, because what the fiber caches of its context is found anew for it.
  if (traceparent !== undefined) own = Context.add(own, Tracer.ParentSpan, fromTraceparent(traceparent))
  if (deadline !== undefined) own = Context.add(own, CurrentDeadline, deadline)
  return Effect.runForkWith(Context.add(own, CurrentTask, task))(effect)
}

const onceEffect = (call: Call, payload: unknown, task: Task): Effect.Effect<unknown, unknown> => {
  const onSuccess = (value: unknown): Effect.Effect<unknown, unknown> =>
    Deferred.isDeferred(value)
      ? Effect.matchCauseEffect(Deferred.await(value), { onSuccess, onFailure })
      : call.codec.encodeSuccess(value, task)
  const onFailure = (cause: Cause.Cause<unknown>) => failWith(call, cause, task)
  const run = withPayload(call, payload, (result) => result as Effect.Effect<unknown, unknown>)
  return Effect.matchCauseEffect(run, { onSuccess, onFailure })
}

const streamEffect = (call: Call, payload: unknown, task: Task, write: Write): Effect.Effect<void, unknown> =>
  Effect.catchCause(
    withPayload(call, payload, (result) => drain(result as StreamResult, write)),
    (cause) => failWith(call, cause, task)
  )

/** Decodes the payload and runs the handler, in a scope of its own. `adapt` makes an effect of what the handler returns. */
const withPayload = <A>(
  call: Call,
  payload: unknown,
  adapt: (result: Result) => Effect.Effect<A, unknown>
): Effect.Effect<A, unknown> => {
  const decoded = call.codec.decodePayload(payload)
  if (isSuccess(decoded)) return invoke(call, decoded.value, adapt)
  return Effect.flatMap(decoded, (value) => invoke(call, value, adapt))
}

/** Runs a handler as `RpcServer` does: with its middlewares, in a scope of its own. */
export const invoke = <A>(
  { context, handler, rpc }: Call,
  payload: unknown,
  adapt: (result: Result) => Effect.Effect<A, unknown>
): Effect.Effect<A, unknown> => {
  const requestId = ++requests as number as RequestId
  const request = { rpc, client, requestId, headers: Headers.empty, payload }
  let effect = Effect.suspend(() => {
    const result = handler.handler(payload, request)
    if (!Rpc.isWrapper(result)) return adapt(result)
    const effect = adapt(result.value)
    return result.uninterruptible ? Effect.uninterruptible(effect) : effect
  })
  for (const key of rpc.middlewares) {
    // Its types are those of any middleware; the group has checked that they fit the handler.
    const middleware = Context.getUnsafe(context, key) as unknown as (
      self: typeof effect,
      options: typeof request
    ) => typeof effect
    effect = middleware(effect, request)
  }
  return Effect.scoped(effect)
}

/** Fails with the declared error, encoded; other failures stay what they are. */
export const failWith = ({ codec }: Call, cause: Cause.Cause<unknown>, mover: Mover): Effect.Effect<never, unknown> => {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  const failed =
    failure === undefined
      ? Effect.failCause(cause)
      : Effect.flatMap(codec.encodeError(failure.error, mover), (error) => Effect.fail(new TaskFailure(error)))
  return Effect.andThen(ErrorReporter.report(cause), failed)
}
