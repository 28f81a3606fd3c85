/** The offloaded task, for our workers and for Effect's. */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

export const Tasks = RpcGroup.make(Rpc.make("burn", { payload: { millis: Schema.Number }, success: Schema.Number }))
