/** The task of a pool's threads: to serve a connection. */
import * as Offload from "@spillway/runtime/Offload"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Transferable from "effect/workers/Transferable"

export const Connections = RpcGroup.make(
  /** Ends when the connection behind the port is closed. */
  Rpc.make("serve", { payload: { port: Transferable.MessagePort } })
)

/** Service that serves connections on a thread of its own. */
export class Serving extends Offload.Service<Serving>()("architectures/Serving", Connections) {}
