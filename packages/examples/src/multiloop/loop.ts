/** What each loop runs: the same as a server of one loop, but for `serve`. Works alone too: `node loop.ts`. */
// #region loop
import * as HealthRoutes from "@spillway/http/HealthRoutes"
import * as MultiLoop from "@spillway/http/MultiLoop"
import * as Server from "@spillway/http/Server"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const hello = Effect.map(MultiLoop.currentLoop, (loop) => HttpServerResponse.text(`Hello from loop ${loop?.loop}!`))
const routes = Layer.merge(HealthRoutes.layerNoChecks, HttpRouter.add("GET", "/", hello))
const server = Server.layer({ port: Number(process.env["PORT"] ?? 8080) })

export const program = HttpRouter.serve(routes).pipe(Layer.provide(server))

MultiLoop.serve(program)
// #endregion
