/** Which requests matter most when there are more than the server can carry: by priority, by partition, by signals of the process. */
import * as Priority from "@spillway/http/Priority"
import * as Server from "@spillway/http/Server"
import * as LoadSignals from "@spillway/runtime/LoadSignals"
import * as Main from "@spillway/runtime/Main"
import * as Offload from "@spillway/runtime/Offload"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { IncomingMessage } from "node:http"
import { PrimesOffload } from "./offload/primes.ts"

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
const server = Effect.gen(function* () {
  const primes = yield* PrimesOffload
  return Server.layer({
    port: Number(process.env["PORT"] ?? 3000),
    priority,
    partitions,
    partition,
    signals: [
      "heap",
      "queueDelay",
      ({ eventLoopDelay }) => LoadSignals.eventLoopDelay(eventLoopDelay, { start: 50, full: 200 }),
      LoadSignals.saturation("primes", () => Effect.runSync(Offload.saturation(primes)), { ceiling: 0.5 })
    ]
  })
})
// #endregion

const routes = Layer.mergeAll(
  HttpRouter.add("POST", "/orders", HttpServerResponse.text("ordered")),
  HttpRouter.add("GET", "/exports/:id", HttpServerResponse.text("exported")),
  HttpRouter.add("GET", "/batch/:id", HttpServerResponse.text("done")),
  HttpRouter.add(
    "GET",
    "/primes",
    Effect.gen(function* () {
      const count = yield* (yield* PrimesOffload).count({ below: 1000 })
      return HttpServerResponse.text(String(count))
    })
  )
)

const pool = PrimesOffload.layerThreads({
  worker: new URL("./offload/primes.worker.ts", import.meta.url),
  workers: 2,
  codel: {}
})

export const program = HttpRouter.serve(routes).pipe(
  Layer.provide(Layer.unwrap(server)),
  Layer.provide(pool),
  Layer.launch
)

program.pipe(Main.run)
