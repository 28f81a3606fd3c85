/** The task of `/cpu` that worker threads do, and what may go wrong in it. */
import * as Offload from "@spillway/runtime/Offload"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"

/**
 * What the task does after burning its time: `ok` ends, `throw` throws, `exit` ends its thread, `oom` fills the heap of its thread, `loop`
 * never ends.
 */
export const modes = ["ok", "throw", "exit", "oom", "loop"] as const

export const Cpu = RpcGroup.make(
  Rpc.make("burn", { payload: { millis: Schema.Int, mode: Schema.Literals(modes) }, success: Schema.Void })
)

/** Service that computes on threads of its own. */
export class CpuOffload extends Offload.Service<CpuOffload>()("architectures/Cpu", Cpu) {
  static readonly workers = 2

  static readonly layer = CpuOffload.layerThreads({
    name: "cpu",
    worker: new URL("./cpu.worker.ts", import.meta.url),
    workers: CpuOffload.workers,
    maxQueued: 100,
    resourceLimits: { maxOldGenerationSizeMb: 64 }
  })
}
