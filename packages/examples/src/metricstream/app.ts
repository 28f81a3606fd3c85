/** The layers of MetricStream, from the disk up. */
import * as HealthRoutes from "@spillway/http/HealthRoutes"
import * as Server from "@spillway/http/Server"
import { Health } from "@spillway/runtime/Health"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { config } from "./config.ts"
import { Ingest } from "./ingest.ts"
import { Queries } from "./query/queries.ts"
import * as routes from "./routes.ts"
import * as Sampler from "./sampler/sampler.ts"
import { Storage } from "./storage/storage.ts"

/** Writing and reading. The storage is opened first and closed last. */
const data = (path: string) =>
  Layer.mergeAll(Ingest.layer(), Queries.layer(path)).pipe(Layer.provideMerge(Storage.layer(path)))

/** Ready means that the database takes writes. */
const health = Layer.unwrap(Effect.map(Storage, (storage) => Health.layer({ checks: { storage: storage.probe() } })))

const announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(`MetricStream is listening on ${url}`))
)

/** The whole application, configured by the environment. */
export const app = Layer.unwrap(
  Effect.map(config, ({ database, host, port, rateLimit, sampler }) => {
    const api = Layer.mergeAll(routes.layer({ rateLimit }), HealthRoutes.layer.pipe(Layer.provide(health)))
    const served = HttpRouter.serve(api, {
      routerConfig: routes.routerConfig,
      disableLogger: true,
      disableListenLog: true
    })
    const clients = sampler === "on" ? Layer.merge(announce, Sampler.layer) : announce
    return clients.pipe(
      Layer.provide(served),
      Layer.provide(data(database)),
      Layer.provide(Server.layerConfig({ host, port }))
    )
  })
)
