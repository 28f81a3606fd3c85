import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Offload } from "@spillway/runtime"

/** Says which thread ran it, after it has kept that busy for a while. */
export const Tasks = RpcGroup.make(Rpc.make("thread", { success: Schema.Number }))

export class Threads extends Offload.Service<Threads>()("test/MultiLoop/Threads", Tasks) {}

export const layer = Threads.layerThreads({ worker: new URL("./offload.worker.ts", import.meta.url), workers: 2 })
