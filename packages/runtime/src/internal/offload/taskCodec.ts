/** The schemas of a task, as functions. What does not fit them is a bug of this program, hence a defect that names the task. */
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import { OffloadDefect } from "../../OffloadError.ts"

export interface TaskCodec {
  readonly encodePayload: (payload: unknown) => Effect.Effect<unknown>
  readonly decodeSuccess: (encoded: unknown) => Effect.Effect<unknown>
  /** Fails with the decoded error. */
  readonly decodeError: (encoded: unknown) => Effect.Effect<never, unknown>
}

export const makeTaskCodec = (rpc: Rpc.AnyWithProps): TaskCodec => {
  const defect = (cause: unknown) => Effect.die(new OffloadDefect({ task: rpc._tag, cause }))
  // The types of a task's schemas are known to the caller, whose signature names the services that they need.
  const total = (parse: (u: unknown) => Effect.Effect<unknown, Schema.SchemaError, unknown>) => (u: unknown) =>
    Effect.catch(parse(u), defect) as Effect.Effect<unknown>
  const construct = (payload: unknown) =>
    Effect.try({ try: () => rpc.payloadSchema.make(payload), catch: (cause) => cause })
  const encode = total(Schema.encodeUnknownEffect(rpc.payloadSchema))
  const decodeError = total(Schema.decodeUnknownEffect(rpc.errorSchema))
  return {
    encodePayload: (payload) =>
      payload === undefined ? encode(payload) : Effect.flatMap(Effect.catch(construct(payload), defect), encode),
    decodeSuccess: total(Schema.decodeUnknownEffect(rpc.successSchema)),
    decodeError: (encoded) => Effect.flatMap(decodeError(encoded), Effect.fail)
  }
}
