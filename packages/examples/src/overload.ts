/** Which requests matter most when there are more than the server can carry: by priority, by partition, by signals of the process. */
import * as Priority from "@spillway/http/Priority"
import * as Server from "@spillway/http/Server"
import * as EventLoop from "@spillway/runtime/EventLoop"
import * as LoadSignals from "@spillway/runtime/LoadSignals"
import * as Main from "@spillway/runtime/Main"
import { Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { IncomingMessage } from "node:http"

// #region priority
const priority = Priority.first([
  Priority.byRoute({ "POST /orders": "critical", "/exports/*": "sheddable" }),
  Priority.byHeader("purpose", { prefetch: "sheddable" })
])
// #endregion

// #region partition
const partitions = { default: 8, batch: 2 }
const partition = ({ url }: IncomingMessage) => (url?.startsWith("/batch/") ? "batch" : undefined)
// #endregion

// #region signals
const loop = EventLoop.makeSampler()
const signals = [LoadSignals.heap(), LoadSignals.eventLoopDelay(() => loop.sample(performance.now()).delayP99)]
// #endregion

const routes = Layer.mergeAll(
  HttpRouter.add("POST", "/orders", HttpServerResponse.text("ordered")),
  HttpRouter.add("GET", "/exports/:id", HttpServerResponse.text("exported")),
  HttpRouter.add("GET", "/batch/:id", HttpServerResponse.text("done"))
)

export const program = HttpRouter.serve(routes).pipe(
  // #region server
  Layer.provide(Server.layer({ port: Number(process.env["PORT"] ?? 3000), priority, partitions, partition, signals })),
  // #endregion
  Layer.launch
)

program.pipe(Main.run)
