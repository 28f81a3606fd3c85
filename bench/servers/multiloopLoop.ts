/** What each loop of the measurement runs. */
import * as MultiLoop from "@spillway/http/MultiLoop"
import * as Server from "@spillway/http/Server"
import { Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const routes = HttpRouter.add("GET", "/", HttpServerResponse.text("Hello!"))
const app = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })

MultiLoop.serve(Layer.provide(app, Server.layer({ port: 0 })))
