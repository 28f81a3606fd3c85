import { createServer } from "node:http"
import { Worker } from "node:worker_threads"
import { NodeHttpServer, NodeRuntime, NodeWorker } from "@effect/platform-node"
import { Console, Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { RpcClient } from "effect/rpc"
import type { RpcClientError, RpcGroup } from "effect/rpc"
import { Tasks } from "../contract.ts"
import { routes } from "./routes.ts"

class Client extends Context.Service<
  Client,
  RpcClient.RpcClient<RpcGroup.Rpcs<typeof Tasks>, RpcClientError.RpcClientError>
>()("bench/OverloadClient") {}

const worker = new URL("../workers/effectRpc.worker.ts", import.meta.url)

/** One worker thread behind Effect's RPC. It has no bound for what waits. */
const offload = Layer.effect(Client, RpcClient.make(Tasks, { disableTracing: true })).pipe(
  Layer.provide(RpcClient.layerProtocolWorker({ size: 1 })),
  Layer.provide(NodeWorker.layer(() => new Worker(worker)))
)

export const run = (): void => {
  const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(url)))
  const app = Layer.unwrap(
    Effect.map(Client, ({ burn }) =>
      HttpRouter.serve(
        routes((millis) => burn({ millis })),
        { disableLogger: true, disableListenLog: true }
      )
    )
  )
  const server = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
  Layer.mergeAll(app, announce).pipe(Layer.provide(offload), Layer.provide(server), Layer.launch, NodeRuntime.runMain)
}
