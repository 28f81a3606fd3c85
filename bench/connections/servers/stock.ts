/** `@effect/platform-node` as it comes. */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest } from "effect/http"
import { promisify } from "node:util"
import { answerQuestions } from "../control.ts"
import { Payload, routes } from "./routes.ts"

const makeServer = () => {
  const server = createServer({ keepAliveTimeout: 300_000 })
  answerQuestions(promisify(server.getConnections.bind(server)))
  return server
}

const server = NodeHttpServer.layer(makeServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 0 })
const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(url)))
const app = HttpRouter.serve(routes(HttpServerRequest.schemaBodyJson(Payload)), {
  disableLogger: true,
  disableListenLog: true
})

export const run = () => Layer.mergeAll(app, announce).pipe(Layer.provide(server), Layer.launch, NodeRuntime.runMain)
