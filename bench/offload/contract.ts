/** The tasks as an `RpcGroup`: the same contract for Effect's RPC worker pool and for ours. */
import { Schema, SchemaGetter } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Transferable } from "effect/workers"
import type { Flags } from "./tasks.ts"

/**
 * Effect's RPC sends the JSON form of a schema, which is Base64 for bytes. With this annotation, which the schemas of `Transferable` have
 * too, it sends the bytes as they are: the better of the two for it. Ours sends them as they are anyway.
 */
const asIs = {
  toCodecJson: () =>
    Schema.link<unknown>()(Schema.Any, { decode: SchemaGetter.passthrough(), encode: SchemaGetter.passthrough() })
}

const SharedFlags = Schema.declare((u): u is Flags => u instanceof Int32Array).annotate(asIs)
const Copied = Schema.Uint8Array.annotate(asIs)

export const Tasks = RpcGroup.make(
  Rpc.make("nothing", {}),
  Rpc.make("echo", { payload: { bytes: Copied }, success: Copied }),
  Rpc.make("move", { payload: { bytes: Transferable.Uint8Array }, success: Transferable.Uint8Array }),
  Rpc.make("spin", { payload: { flags: SharedFlags } }),
  Rpc.make("meet", { payload: { count: Schema.Number, flags: SharedFlags }, success: Schema.Boolean }),
  Rpc.make("sleep", { payload: { millis: Schema.Number }, success: Schema.Number }),
  Rpc.make("burn", { payload: { millis: Schema.Number }, success: Schema.Number })
)
