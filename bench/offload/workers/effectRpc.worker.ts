import { NodeRuntime, NodeWorkerRunner } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { RpcServer } from "effect/rpc"
import { Tasks } from "../contract.ts"
import { burn, echo, meet, nothing, sleep, spin } from "../tasks.ts"
import type { Bytes } from "../tasks.ts"

const Handlers = Tasks.toLayer({
  nothing: () => Effect.sync(nothing),
  echo: (payload) => Effect.sync(() => echo(payload as { readonly bytes: Bytes })),
  move: (payload) => Effect.sync(() => echo(payload)),
  spin: (payload) => Effect.sync(() => spin(payload)),
  meet: (payload) => Effect.sync(() => meet(payload)),
  sleep: (payload) => Effect.sync(() => sleep(payload)),
  burn: (payload) => Effect.sync(() => burn(payload))
})

RpcServer.layer(Tasks, { disableTracing: true }).pipe(
  Layer.provide(Handlers),
  Layer.provide(RpcServer.layerProtocolWorkerRunner),
  Layer.provide(NodeWorkerRunner.layer),
  Layer.launch,
  NodeRuntime.runMain
)
