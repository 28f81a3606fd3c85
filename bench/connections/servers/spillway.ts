import * as JsonBody from "@spillway/http/JsonBody"
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { answerQuestions } from "../control.ts"
import { Payload, routes } from "./routes.ts"

// The timeouts of the measured states are out of the way; whoever reads too slowly meets the default.
const server = Server.layer({
  port: 0,
  maxConnections: 20_000,
  maxConcurrent: Infinity,
  headersTimeout: "5 minutes",
  bodyTimeout: "5 minutes",
  minBodyRate: 0,
  requestDeadline: "5 minutes",
  keepAliveTimeout: "5 minutes",
  drainTimeout: 0
})

const announce = Effect.gen(function* () {
  const { stats } = yield* Server.ServerStatus
  const count = Effect.map(stats, ({ connections }) => Object.values(connections).reduce((sum, n) => sum + n, 0))
  answerQuestions(() => Effect.runPromise(count))
  yield* HttpServer.addressFormattedWith((url) => Console.log(url))
})

const app = HttpRouter.serve(routes(JsonBody.decode(Payload)), { disableLogger: true, disableListenLog: true })

export const run = () =>
  Layer.mergeAll(app, Layer.effectDiscard(announce)).pipe(Layer.provide(server), Layer.launch, Main.run)
