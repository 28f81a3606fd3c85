/**
 * The handlers of tasks that run on the caller's own thread: functions as a worker serves them, which may also return effects, or a layer
 * of those of Effect RPC.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as Stream from "effect/Stream"
import type { InlineRunner, InlineTask } from "./inlineTask.ts"
import { noMiddlewares } from "./protocol.ts"
import type { TaskDefinition } from "./taskDefinition.ts"
import { makeWorkerCodec } from "./worker/effectCodec.ts"
import { failWith, invoke } from "./worker/effectRunner.ts"
import { drain } from "./worker/effectStream.ts"
import type { StreamResult } from "./worker/effectStream.ts"
import { toBatches } from "./worker/streaming.ts"
import { TaskFailure } from "./worker/task.ts"

export type InlineFunction = (payload: unknown, task: InlineTask) => unknown

/** A runner for every task. Throws an `Error` if there is none for one. */
export const makeRunners = (
  tasks: ReadonlyArray<TaskDefinition>,
  make: (task: TaskDefinition) => InlineRunner | undefined
): ReadonlyArray<InlineRunner> => {
  const runners = tasks.map(make)
  const missing = tasks.filter((_, index) => runners[index] === undefined).map(({ name }) => `"${name}"`)
  if (missing.length > 0) throw new Error(`Offload.layerInline: there is no handler for ${missing.join(", ")}`)
  return runners as ReadonlyArray<InlineRunner>
}

/**
 * Runs a function, and the effect or stream that it returns in the context of the layer. Throws an `Error` for a task with middlewares.
 */
export const fromFunctions =
  (functions: Readonly<Record<string, InlineFunction | undefined>>, context: Context.Context<never>) =>
  (definition: TaskDefinition): InlineRunner | undefined => {
    const { middlewares, name, stream } = definition
    if (middlewares) throw new Error(`Offload.layerInline: ${noMiddlewares([definition])}`)
    const method = functions[name]
    if (typeof method !== "function") return undefined
    const handler = method.bind(functions)
    const fork = (effect: Effect.Effect<unknown, unknown>, task: InlineTask) =>
      task.fork(
        Effect.mapError(effect, (error) => new TaskFailure(error)),
        context
      )
    return (payload, task) => {
      const result = handler(payload, task)
      if (Effect.isEffect(result)) return fork(result as Effect.Effect<unknown, unknown>, task)
      if (!stream) return result
      return Stream.isStream(result) ? fork(drain(result as StreamResult, task.write), task) : toBatches(result)
    }
  }

/** Runs what `group.toLayer` has made, as a worker of `OffloadEffectWorker` does. */
export const fromContext =
  (built: Context.Context<never>) =>
  ({ rpc, stream }: TaskDefinition): InlineRunner | undefined => {
    const handler = Context.getOrUndefined(built, Context.Service<Rpc.Handler<string>>(rpc.key))
    if (handler === undefined) return undefined
    const codec = makeWorkerCodec(rpc)
    const context = Context.merge(handler.context, built)
    const call = { rpc, handler, codec, context }
    const send = (task: InlineTask) => (values: ReadonlyArray<unknown>) =>
      Effect.flatMap(
        Effect.forEach(values, (value) => codec.encodeSuccess(value, task)),
        task.write
      )
    const run = stream
      ? (payload: unknown, task: InlineTask) =>
          invoke(call, payload, (result) => drain(result as StreamResult, send(task)))
      : (payload: unknown, task: InlineTask) =>
          invoke(call, payload, (result) => result as Effect.Effect<unknown, unknown>).pipe(
            Effect.flatMap((value) => (Deferred.isDeferred(value) ? Deferred.await(value) : Effect.succeed(value))),
            Effect.flatMap((value) => codec.encodeSuccess(value, task))
          )
    return (payload, task) =>
      task.fork(
        Effect.catchCause(
          Effect.flatMap(codec.decodePayload(payload), (decoded) => run(decoded, task)),
          (cause) => failWith(call, cause, task)
        ),
        context
      )
  }
