/** CPU work on two threads: `/primes` may take seconds, `/fast` answers at once all the while. */
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { PrimesOffload } from "./primes.ts"

const Query = Schema.Struct({
  below: Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 2, maximum: 100_000_000 }))
})

// #region offload
const countPrimes = Effect.gen(function* () {
  const primes = yield* PrimesOffload
  const { below } = yield* HttpServerRequest.schemaSearchParams(Query)
  const count = yield* primes.count({ below }, { timeout: "10 seconds" })
  return HttpServerResponse.jsonUnsafe({ below, count })
})

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/primes", countPrimes),
  HttpRouter.add("GET", "/fast", HttpServerResponse.text("Fast response!"))
)

const threads = PrimesOffload.layerThreads({
  worker: new URL("./primes.worker.ts", import.meta.url),
  workers: 2,
  maxQueued: 16 // the next one gets 503 with Retry-After
})
// #endregion

const server = Server.layer({ port: Number(process.env.PORT ?? 3000) })

/** The server. */
export const program = Layer.launch(HttpRouter.serve(routes).pipe(Layer.provide(threads), Layer.provide(server)))

if (import.meta.main) Main.run(program)
