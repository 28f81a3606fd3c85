/** A typed body: whatever is not one gets the answer that fits, and never reaches the handler. */
import * as JsonBody from "@spillway/http/JsonBody"
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

// #region intake
const Order = Schema.Struct({
  customer: Schema.NonEmptyString,
  items: Schema.Array(Schema.Struct({ article: Schema.String, count: Schema.Int.check(Schema.isGreaterThan(0)) }))
})

const postOrder = Effect.gen(function* () {
  const order = yield* JsonBody.decode(Order) // 400, 408, 413, 415, or 422 that names /items/0/count
  return HttpServerResponse.jsonUnsafe({ accepted: order.items.length }, { status: 202 })
})

const routes = HttpRouter.add("POST", "/orders", postOrder)
// #endregion

const server = Server.layer({ port: Number(process.env.PORT ?? 3000) })

/** The server. */
export const program = Layer.launch(Layer.provide(HttpRouter.serve(routes), server))

if (import.meta.main) Main.run(program)
