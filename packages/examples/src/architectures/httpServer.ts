/**
 * The servers that hold no thread for a connection: `Server` of `@spillway/http`, with its defaults and what the environment says
 * (`SPILLWAY_HTTP_…`). What differs between them is in their routes.
 */
import * as HttpMetrics from "@spillway/http/HttpMetrics"
import * as Server from "@spillway/http/Server"
import * as ServerConfig from "@spillway/http/ServerConfig"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type { HttpRouter } from "effect/http/HttpRouter"
import * as App from "./app.ts"
import { longest } from "./routes/parameters.ts"
import { address } from "./settings.ts"
import type { Name } from "./settings.ts"
import { sample } from "./stats/eventLoop.ts"
import { Refresh } from "./stats/report.ts"
import { Stats } from "./stats/stats.ts"

const options: Omit<Server.Options, "port"> = {
  // Longer than the longest request that the routes allow.
  requestDeadline: longest + 5000,
  // For `/ws`.
  maxWebSocketMessageSize: "16 MiB",
  // Whoever looks on sees most when there is most to see.
  exempt: (request) => ServerConfig.defaults.exempt(request) || request.url === "/stats"
}

/** Of each reason for which a request is refused that would be served at another time. */
const refused = ["QueueFull", "WaitExceeded", "Displaced", "Shed", "Starting", "Draining", "ConnectionLimit"].map(
  (reason) => Metric.withAttributes(HttpMetrics.refused, { reason })
)

/** How many requests and connections were refused before they had a handler. */
const countRefused = Effect.map(Effect.forEach(refused, Metric.value), (counters) =>
  counters.reduce((sum, { count }) => sum + Number(count), 0)
)

/** Brings the figures of the server up to date: when somebody asks this thread, and now and then for those who ask another. */
const refresh = Effect.gen(function* () {
  const stats = yield* Stats
  const server = yield* Server.ServerStatus
  let told = 0
  return Effect.gen(function* () {
    const { connections, queued } = yield* server.stats
    stats.set("queued", queued)
    stats.set(
      "openConnections",
      Object.values(connections).reduce((sum, count) => sum + count, 0)
    )
    const refused = yield* countRefused
    stats.add("refused", refused - told)
    told = refused
  })
})

/** Serves the routes until the scope closes: then it drains. */
export const layer = <E, R>(name: Name, routes: Layer.Layer<never, E, R | HttpRouter>) =>
  Effect.gen(function* () {
    const app = yield* App.make(routes)
    const update = yield* refresh
    // After the drain, so that what was refused in it is counted, too.
    yield* Effect.addFinalizer(() => update)
    yield* Effect.provideService(HttpServer.serveEffect(app), Refresh, update)
    yield* Effect.forkScoped(Effect.repeat(update, Schedule.spaced("250 millis")))
    yield* sample
    yield* HttpServer.addressFormattedWith((url) => Console.log(`${name} server is listening on ${url}`))
  }).pipe(
    Layer.effectDiscard,
    Layer.provide(Layer.unwrap(Effect.map(address, (address) => Server.layerConfig({ ...options, ...address }))))
  )
