/** A service that knows how long its callers wait. Run it before gateway.ts: `PORT=4000 node backend.ts`. */
import * as Server from "@spillway/http/Server"
import * as Deadline from "@spillway/runtime/Deadline"
import * as Main from "@spillway/runtime/Main"
import { Duration, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

// #region backend
const user = Effect.gen(function* () {
  const left = yield* Deadline.remaining // no more than the caller has: it said so in the request
  return yield* HttpServerResponse.json({ name: "Ada", left: Duration.toMillis(left) })
})

const slow = Effect.as(Effect.sleep("1 minute"), HttpServerResponse.text("too late for anybody"))

const routes = Layer.mergeAll(HttpRouter.add("GET", "/user", user), HttpRouter.add("GET", "/slow", slow))
// #endregion

const server = Server.layer({ port: Number(process.env.PORT ?? 4000) })

/** The server. */
export const program = Layer.launch(Layer.provide(HttpRouter.serve(routes), server))

if (import.meta.main) Main.run(program)
