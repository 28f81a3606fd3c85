import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Offload } from "@spillway/runtime"

/** Holds a thread until the cell is not 0 any more. */
export const Tasks = RpcGroup.make(Rpc.make("hold", { payload: { cell: Schema.Unknown } }))

export class Pool extends Offload.Service<Pool>()("test/Signals/Pool", Tasks) {}

export const layer = Pool.layerThreads({
  worker: new URL("./pool.worker.ts", import.meta.url),
  workers: 1,
  maxQueued: 2,
  spares: 0
})
