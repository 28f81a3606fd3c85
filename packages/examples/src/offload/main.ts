/**
 * CPU work off the event loop: `/primes` may take seconds, `/fast` answers at once all the while. Where the work is done, `OFFLOAD` says:
 * on `threads`, `inline` (then `/fast` waits), or by `rpc` on another machine, which is `remote.ts`.
 */
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { chosen } from "./layers.ts"
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
// #endregion

const server = Server.layer({ port: Number(process.env.PORT ?? 3000) })

/** The server. */
export const program = Layer.launch(HttpRouter.serve(routes).pipe(Layer.provide(chosen), Layer.provide(server)))

if (import.meta.main) Main.run(program)
