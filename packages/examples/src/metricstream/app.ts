/** The layers of MetricStream, from the disk up. */
import * as HealthRoutes from "@spillway/http/HealthRoutes"
import * as Server from "@spillway/http/Server"
import { EventLoop } from "@spillway/runtime/EventLoop"
import { Health } from "@spillway/runtime/Health"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { config } from "./config.ts"
import type { Settings } from "./config.ts"
import { Ingest } from "./ingest.ts"
import { Live } from "./live/live.ts"
import { Otlp } from "./otlp/otlp.ts"
import { readAssets } from "./page/assets.ts"
import { partition, partitions } from "./page/routes.ts"
import { Queries } from "./query/queries.ts"
import * as Retention from "./retention.ts"
import * as routes from "./routes.ts"
import * as Sampler from "./sampler/sampler.ts"
import { Storage } from "./storage/storage.ts"

/** Writing and reading. The storage is opened first and closed last. */
const data = ({ database: path, maxSeries, maxSize, retention }: Settings) =>
  Layer.mergeAll(
    Otlp.layer.pipe(Layer.provideMerge(Ingest.layer({ maxSeries, retention }))),
    Retention.layer({ maxAge: retention, maxSize }),
    Queries.layer(path)
  ).pipe(Layer.provideMerge(Storage.layer({ path, maxSeries })))

/** Ready means that the database takes writes. */
const health = Layer.unwrap(Effect.map(Storage, (storage) => Health.layer({ checks: { storage: storage.probe() } })))

const announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(`MetricStream is listening on ${url}`))
)

/** What the page is kept up to date with. The event loop is measured, but nobody stands beside it: that would take a thread. */
const live = (version: string, maxViewers: number) =>
  Live.layer({ version, maxViewers }).pipe(Layer.provide(EventLoop.layer({ threshold: Duration.infinity })))

/** The whole application, configured by the environment. */
export const app = Layer.unwrap(
  Effect.map(config, (settings) => {
    const { host, maxViewers, port, rateLimit, retention, sampler } = settings
    const pageAssets = readAssets()
    const own = routes.layer({ rateLimit, pageAssets, retention })
    const api = Layer.mergeAll(own, HealthRoutes.layer.pipe(Layer.provide(health)))
    const served = HttpRouter.serve(api, {
      routerConfig: routes.routerConfig,
      disableLogger: true,
      disableListenLog: true
    })
    const clients = sampler === "on" ? Layer.merge(announce, Sampler.layer) : announce
    return clients.pipe(
      Layer.provide(served),
      Layer.provide(live(pageAssets.version, maxViewers)),
      Layer.provide(data(settings)),
      Layer.provide(Server.layerConfig({ host, port, partitions, partition }))
    )
  })
)
