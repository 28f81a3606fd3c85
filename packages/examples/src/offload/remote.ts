/** The other machine of `OFFLOAD=rpc`: serves the tasks, and runs them on its own threads. */
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Layer } from "effect"
import { HttpRouter } from "effect/http"
import { RpcSerialization, RpcServer } from "effect/rpc"
import { threads } from "./layers.ts"
import { PrimesOffload } from "./primes.ts"

// #region remote
const tasks = RpcServer.layerHttp({ group: PrimesOffload.wireGroup, path: "/primes", protocol: "http" }).pipe(
  Layer.provide(PrimesOffload.layerHandlers),
  Layer.provide([threads, RpcSerialization.layerNdjson])
)
// #endregion

const server = Server.layer({ port: Number(process.env.PORT ?? 3001) })

/** The server. */
export const program = Layer.launch(HttpRouter.serve(tasks).pipe(Layer.provide(server)))

if (import.meta.main) Main.run(program)
