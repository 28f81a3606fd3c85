/** A task of a contract, and its schemas as functions. What does not fit them is a bug of this program: a defect that names the task. */
import type { Transferable as TransferItem } from "node:worker_threads"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import * as Transferable from "effect/workers/Transferable"
import { movable } from "./movable.ts"
import { Cancellation, Unchecked } from "../../OffloadTask.ts"
import { OffloadDefect } from "../../OffloadError.ts"

export interface TaskDefinition {
  readonly name: string
  /** Its place in the contract. */
  readonly index: number
  readonly stream: boolean
  readonly middlewares: boolean
  readonly cancellation: "kill" | "cooperative"
  readonly rpc: Rpc.AnyWithProps
  readonly codec: TaskCodec
}

/** An encoded payload, and what of it is moved instead of copied. */
export interface EncodedPayload {
  readonly value: unknown
  readonly transfer: ReadonlyArray<TransferItem> | undefined
}

/** Effects that are done at once are `Exit`s, as long as the schemas allow. */
export interface TaskCodec {
  readonly encodePayload: (payload: unknown) => Effect.Effect<EncodedPayload>
  /** Decodes what a task answers; for a stream, one item. */
  readonly decodeSuccess: (encoded: unknown) => Effect.Effect<unknown>
  readonly decodeItems: (encoded: ReadonlyArray<unknown>) => Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>>
  /** Fails with the decoded error. */
  readonly decodeError: (encoded: unknown) => Effect.Effect<never, unknown>
}

export const makeDefinitions = (group: {
  readonly requests: ReadonlyMap<string, Rpc.Any>
}): ReadonlyArray<TaskDefinition> =>
  Array.from(group.requests.values(), (any, index) => {
    const rpc = any as Rpc.AnyWithProps
    return {
      name: rpc._tag,
      index,
      stream: RpcSchema.isStreamSchema(rpc.successSchema),
      middlewares: rpc.middlewares.size > 0,
      cancellation: Context.get(rpc.annotations, Cancellation),
      rpc,
      codec: Context.get(rpc.annotations, Unchecked) ? uncheckedCodec : makeCodec(rpc)
    }
  })

type Parse = (u: unknown) => Effect.Effect<unknown>

const makeCodec = (rpc: Rpc.AnyWithProps): TaskCodec => {
  const { errorSchema, payloadSchema, successSchema } = rpc
  const defect = (cause: unknown) => Effect.die(new OffloadDefect({ task: rpc._tag, cause }))
  /** Also a schema whose functions throw is a bug of this task. */
  const unfit = (cause: Cause.Cause<never>) =>
    Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : defect(Cause.squash(cause))
  // The types of a task's schemas are known to the caller, whose signature names the services that they need.
  const total = (parse: (u: unknown) => Effect.Effect<unknown, Schema.SchemaError, unknown>): Parse => {
    return (u) => {
      const parsed = parse(u) as Effect.Effect<unknown>
      if (!isDone(parsed)) return Effect.catchCause(parsed, unfit)
      return Exit.isFailure(parsed) ? unfit(parsed.cause) : parsed
    }
  }
  const stream = RpcSchema.isStreamSchema(successSchema) ? successSchema : undefined
  const failures = new Set([errorSchema, ...Array.from(rpc.middlewares, ({ error }) => error)])
  if (stream !== undefined) failures.add(stream.error)
  const decodeError = total(Schema.decodeUnknownEffect(Schema.Union([...failures])))
  const decodeSuccess = total(Schema.decodeUnknownEffect(stream?.success ?? successSchema))
  const encode = total(Schema.encodeUnknownEffect(payloadSchema))
  return {
    encodePayload: (payload) => {
      if (payload === undefined) return collecting(encode(payload))
      // `make` throws, and an effect around it would cost as much again as all the rest.
      try {
        return collecting(encode(payloadSchema.make(payload)))
      } catch (cause) {
        return defect(cause)
      }
    },
    decodeSuccess,
    decodeItems: (encoded) => decodeAll(encoded, decodeSuccess),
    decodeError: (encoded) => Effect.flatMap(decodeError(encoded), Effect.fail)
  }
}

/** What schemas mark as transferable while they encode is noted in a service. An encoding that is done has not asked for it. */
const collecting = (encoding: Effect.Effect<unknown>): Effect.Effect<EncodedPayload> => {
  if (isDone(encoding)) return Effect.mapEager(encoding, (value) => ({ value, transfer: undefined }))
  const collector = Transferable.makeCollectorUnsafe()
  return Effect.map(Effect.provideService(encoding, Transferable.Collector, collector), (value) => {
    const transfer = movable(collector.readUnsafe())
    return { value, transfer: transfer.length === 0 ? undefined : transfer }
  })
}

const decodeAll = (
  encoded: ReadonlyArray<unknown>,
  decode: Parse
): Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>> => {
  const items: Array<unknown> = []
  for (const one of encoded) {
    const item = decode(one)
    if (!isDone(item)) return Effect.forEach(encoded as Arr.NonEmptyReadonlyArray<unknown>, decode)
    if (Exit.isFailure(item)) return Effect.failCause(item.cause)
    items.push(item.value)
  }
  return Effect.succeed(items as unknown as Arr.NonEmptyReadonlyArray<unknown>)
}

/** Whether an effect is done already. */
export const isDone = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

const uncheckedCodec: TaskCodec = {
  encodePayload: (value) => Effect.succeed({ value, transfer: undefined }),
  decodeSuccess: Effect.succeed,
  decodeItems: (items) => Effect.succeed(items as Arr.NonEmptyReadonlyArray<unknown>),
  decodeError: Effect.fail
}
