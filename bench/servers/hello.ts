/** The same app on one of two server layers: `node hello.ts spillway` or `node hello.ts stock`. Prints its URL. */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Console, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"

const servers = {
  spillway: Server.layer({ port: 0 }),
  stock: NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
}

const name = process.argv[2]
const layer = name === "stock" ? servers.stock : servers.spillway

const routes = HttpRouter.add("GET", "/", HttpServerResponse.text("Hello!"))
const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(url)))
const app = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })

Layer.mergeAll(app, announce).pipe(Layer.provide(layer), Layer.launch, Main.run)
