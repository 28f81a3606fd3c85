/** The handlers of a server, whoever runs them: the routes, the probes, and a count of it all. */
import * as HealthRoutes from "@spillway/http/HealthRoutes"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import { counted } from "./stats/counted.ts"
import { refreshing } from "./stats/report.ts"
import { Stats } from "./stats/stats.ts"

const probes = HealthRoutes.layerNoChecks.pipe(Layer.provide(refreshing.layer))

/** The app of these routes. It fails with nothing but interruption. */
export const make = <E, R>(routes: Layer.Layer<never, E, R>) =>
  Effect.gen(function* () {
    const stats = yield* Stats
    const handled = yield* HttpRouter.toHttpEffect(Layer.merge(routes, probes))
    return counted(stats, Effect.provideService(handled, Stats, stats))
  })
