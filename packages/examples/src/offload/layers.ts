/** Where the tasks run, as `OFFLOAD` says. */
import { Config, Effect, Layer, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { handlers } from "./primes.handlers.ts"
import { PrimesOffload } from "./primes.ts"

/** The address of `remote.ts`. */
const url = process.env.OFFLOAD_URL ?? "http://127.0.0.1:3001/primes"

// #region layers
export const threads = PrimesOffload.layerThreads({
  worker: new URL("./primes.worker.ts", import.meta.url),
  workers: 2,
  maxQueued: 16 // the next one gets 503 with Retry-After
})

export const inline = PrimesOffload.layerInline(handlers) // in a test: the same bounds and errors, no thread

export const rpc = PrimesOffload.layerRpc({ workers: 2, maxQueued: 16 }).pipe(
  Layer.provide(RpcClient.layerProtocolHttp({ url })), // or a WebSocket, or a socket
  Layer.provide([RpcSerialization.layerNdjson, FetchHttpClient.layer])
)
// #endregion

const where = Config.schema(Schema.Literals(["threads", "inline", "rpc"]), "OFFLOAD").pipe(
  Config.withDefault("threads")
)

/** The layer that was asked for. */
export const chosen = Layer.unwrap(Effect.map(where, (where) => ({ threads, inline, rpc })[where]))
