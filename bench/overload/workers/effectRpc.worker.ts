import { NodeRuntime, NodeWorkerRunner } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { RpcServer } from "effect/rpc"
import { Tasks } from "../contract.ts"
import { burn } from "../work.ts"

const handlers = Tasks.toLayer({ burn: ({ millis }) => Effect.sync(() => burn(millis)) })

RpcServer.layer(Tasks, { disableTracing: true }).pipe(
  Layer.provide(handlers),
  Layer.provide(RpcServer.layerProtocolWorkerRunner),
  Layer.provide(NodeWorkerRunner.layer),
  Layer.launch,
  NodeRuntime.runMain
)
