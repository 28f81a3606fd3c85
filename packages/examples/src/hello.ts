import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const routes = HttpRouter.add("GET", "/", HttpServerResponse.text("Hello!"))
const server = Server.layer({ port: Number(process.env.PORT ?? 3000) }) // was NodeHttpServer.layer(createServer, …)

HttpRouter.serve(routes).pipe(Layer.provide(server), Layer.launch, Main.run)
