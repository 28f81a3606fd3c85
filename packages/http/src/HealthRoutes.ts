/**
 * The routes that orchestrators, load balancers and Prometheus ask for: `/livez`, `/readyz` and `/metrics`.
 *
 * By default the server lets these paths pass outside its door, so that they are answered however great the load.
 *
 * @since 0.1.0
 */
import { Drain } from "@spillway/runtime/Drain"
import type { Phase } from "@spillway/runtime/Drain"
import { Health } from "@spillway/runtime/Health"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { CurrentLink } from "./internal/multiLoop/link.ts"
import type { Link } from "./internal/multiLoop/link.ts"
import { sparingly } from "./internal/sparingly.ts"

const noStore = { "cache-control": "no-store" }
const alive = HttpServerResponse.jsonUnsafe({ status: "alive" }, { headers: noStore })

const phaseOf = ({ draining, loops }: Link["states"]): Phase => {
  if (draining) return "Draining"
  return loops.includes("ready") ? "Ready" : "Starting"
}

const makeReadiness = Effect.gen(function* () {
  const drain = yield* Drain
  const health = yield* Health
  const link = yield* CurrentLink
  return Effect.gen(function* () {
    const states = link?.states
    // A loop that is being replaced drains, but the process does not.
    const phase = states === undefined ? yield* drain.phase : phaseOf(states)
    const checks = yield* health.check
    const ready = phase === "Ready" && checks.every((check) => check.healthy)
    const body = {
      status: ready ? "ready" : "unavailable",
      phase: phase.toLowerCase(),
      checks: Object.fromEntries(checks.map(({ healthy, name }) => [name, healthy ? "healthy" : "unhealthy"])),
      ...(states !== undefined && { loops: states.loops })
    }
    return HttpServerResponse.jsonUnsafe(body, { status: ready ? 200 : 503, headers: noStore })
  })
})

const toResponse = (text: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })

const makeMetrics = Effect.gen(function* () {
  const link = yield* CurrentLink
  // Nothing else bounds those who ask, and to put all metrics into words takes some milliseconds.
  return link === undefined
    ? sparingly(Effect.map(PrometheusMetrics.format(), toResponse))
    : Effect.map(link.metrics, toResponse)
})

/**
 * Adds the three routes.
 *
 * **Details**
 *
 * - `/livez`: 200 as long as the process answers at all. It never depends on load or on dependencies: an orchestrator kills a process
 *   that is not alive.
 * - `/readyz`: 200 if the process is ready and every check of `Health` succeeds, else 503, as while it drains; the body lists the
 *   checks by name.
 * - `/metrics`: every metric of Effect's registry as Prometheus text. It is made anew for each who asks, as long as that takes no more than
 *   a tenth of the time (100 ms of it may be in a row); beyond that they are told what was made last.
 *
 * In a loop of `MultiLoop` the last two answer for the whole process, whichever loop is asked: it is ready while at least one loop is and
 * the process does not drain, and the body lists the states of the loops; the metrics are those of all loops, labelled by `loop`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Drain | Health> = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const readiness = yield* makeReadiness
    const metrics = yield* makeMetrics
    // Probes come every few seconds from each of several sources: they would be most of a quiet server's log.
    yield* router.add("GET", "/livez", HttpMiddleware.withLoggerDisabled(Effect.succeed(alive)))
    yield* router.add("GET", "/readyz", HttpMiddleware.withLoggerDisabled(readiness))
    yield* router.add("GET", "/metrics", HttpMiddleware.withLoggerDisabled(metrics))
  })
)

/**
 * The same, for a process without checks of its own: ready means that it is not draining.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoChecks: Layer.Layer<never, never, HttpRouter.HttpRouter | Drain> = layer.pipe(
  Layer.provide(Health.layerNone)
)
