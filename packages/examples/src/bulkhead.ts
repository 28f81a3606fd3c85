/** A slow dependency behind a bulkhead: at most two reports at once and one waiting; the next gets 503 with Retry-After. */
import * as Server from "@spillway/http/Server"
import * as Bulkhead from "@spillway/runtime/Bulkhead"
import * as Main from "@spillway/runtime/Main"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

// #region bulkhead
const reports = Bulkhead.make({ name: "reports", maxConcurrent: 2, maxQueued: 1, maxWait: "1 second" })

const slowReport = Effect.as(Effect.sleep("300 millis"), HttpServerResponse.text("the report"))

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/report", reports.withPermit(slowReport)), // BulkheadFull becomes 503 with Retry-After
  HttpRouter.add("GET", "/fast", HttpServerResponse.text("Fast response!"))
)
// #endregion

const server = Server.layer({ port: Number(process.env.PORT ?? 3000) })

/** The server. */
export const program = Layer.launch(Layer.provide(HttpRouter.serve(routes), server))

if (import.meta.main) Main.run(program)
