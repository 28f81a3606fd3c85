/** The schemas of a task on the worker's side. What does not fit them is a bug of this program, hence a defect. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import * as Transferable from "effect/workers/Transferable"
import { Unchecked } from "../../../OffloadTask.ts"
import { movable } from "../movable.ts"
import type { Task } from "./task.ts"

/** Is told what of an encoded value moves instead of being copied. */
export type Mover = Pick<Task, "transfer">

/** Is an `Exit` when the schema encodes at once. */
export type Encode = (value: unknown, mover: Mover) => Effect.Effect<unknown>

export interface WorkerCodec {
  /** Is an `Exit` when the schema decodes at once. */
  readonly decodePayload: (encoded: unknown) => Effect.Effect<unknown>
  /** For a stream, that of one item. */
  readonly encodeSuccess: Encode
  readonly encodeError: Encode
}

export const makeWorkerCodec = (rpc: Rpc.AnyWithProps): WorkerCodec => {
  if (Context.get(rpc.annotations, Unchecked)) return uncheckedCodec
  const options = Context.get(rpc.annotations, Rpc.ParseOptions)
  const { successSchema } = rpc
  const isStream = RpcSchema.isStreamSchema(successSchema)
  const errors = new Set([rpc.errorSchema, ...[...rpc.middlewares].map((middleware) => middleware.error)])
  if (isStream) errors.add(successSchema.error)
  return {
    decodePayload: total(Schema.decodeUnknownEffect(rpc.payloadSchema, options)),
    encodeSuccess: makeEncode(isStream ? successSchema.success : successSchema, options),
    encodeError: makeEncode(Schema.Union([...errors]), options)
  }
}

const uncheckedCodec: WorkerCodec = {
  decodePayload: Effect.succeed,
  encodeSuccess: Effect.succeed,
  encodeError: Effect.succeed
}

// The services that a schema needs are in the context of the handlers: the type of `serve` demands it.
const total =
  (parse: (u: unknown) => Effect.Effect<unknown, unknown, unknown>) =>
  (u: unknown): Effect.Effect<unknown> => {
    const parsed = parse(u)
    return (isSuccess(parsed) ? parsed : Effect.orDie(parsed)) as Effect.Effect<unknown>
  }

const makeEncode = (schema: Schema.Top, options: Parameters<typeof Schema.encodeUnknownEffect>[1]): Encode => {
  const encode = total(Schema.encodeUnknownEffect(schema, options))
  return (value, mover) => {
    const encoded = encode(value)
    // Only an encoder with an effect in it can collect transferables.
    if (Exit.isExit(encoded)) return encoded
    const collector = Transferable.makeCollectorUnsafe()
    return Effect.map(Effect.provideService(encoded, Transferable.Collector, collector), (value) => {
      const transfers = movable(collector.readUnsafe())
      return transfers.length === 0 ? value : mover.transfer(value, transfers)
    })
  }
}

/** Whether an effect has succeeded already. */
export const isSuccess = <A>(effect: Effect.Effect<A, unknown, unknown>): effect is Exit.Success<A> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)
