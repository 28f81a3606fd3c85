import { Worker } from "node:worker_threads"
import { NodeWorker } from "@effect/platform-node"
import { Context, Layer, ManagedRuntime } from "effect"
import type { Effect } from "effect"
import { RpcClient } from "effect/rpc"
import type { RpcClientError, RpcGroup } from "effect/rpc"
import { Tasks } from "../contract.ts"
import { settlesWithin, effectPool } from "../pool.ts"
import type { Candidate } from "../pool.ts"

const worker = new URL("../workers/effectRpc.worker.ts", import.meta.url)

class Client extends Context.Service<
  Client,
  RpcClient.RpcClient<RpcGroup.Rpcs<typeof Tasks>, RpcClientError.RpcClientError>
>()("bench/Client") {}

type AnyCall = (payload: unknown) => Effect.Effect<unknown, unknown>

/**
 * A pool of fixed size with its default of one call per worker. The spans of calls are switched off on both sides, since nothing reads
 * them here: the better choice for it.
 */
export const effectRpc: Candidate = {
  name: "Effect RPC",
  make: async (workers) => {
    const threads: Array<Worker> = []
    const spawn = () => {
      const thread = new Worker(worker)
      threads.push(thread)
      return thread
    }
    const runtime = ManagedRuntime.make(
      Layer.effect(Client, RpcClient.make(Tasks, { disableTracing: true })).pipe(
        Layer.provide(RpcClient.layerProtocolWorker({ size: workers })),
        Layer.provide(NodeWorker.layer(spawn))
      )
    )
    const client = (await runtime.runPromise(Client)) as unknown as Readonly<Record<string, AnyCall>>
    return effectPool(
      runtime,
      ({ payload, task }) => client[task]!(payload),
      async () => {
        if (await settlesWithin(runtime.dispose(), 1000)) return
        await Promise.all(threads.map((thread) => thread.terminate()))
      }
    )
  }
}
