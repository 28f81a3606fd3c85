/** A service that asks another one, and does not make its troubles worse. `BACKEND_URL=http://localhost:4000 node gateway.ts` */
import { NodeHttpClient } from "@effect/platform-node"
import * as AdaptiveThrottle from "@spillway/http/AdaptiveThrottle"
import * as ClientRetry from "@spillway/http/ClientRetry"
import * as DeadlineHeader from "@spillway/http/DeadlineHeader"
import * as Problem from "@spillway/http/Problem"
import * as RequestDeadline from "@spillway/http/RequestDeadline"
import * as RetryBudget from "@spillway/http/RetryBudget"
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Context, Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "effect/http"

const url = process.env.BACKEND_URL ?? "http://localhost:4000"

// #region client
class Backend extends Context.Service<Backend, { readonly ask: (path: string) => Effect.Effect<string, unknown> }>()(
  "examples/Backend"
) {
  static readonly layer = Layer.effect(
    Backend,
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpClient.mapRequest(HttpClientRequest.prependUrl(url)),
        DeadlineHeader.withDeadline,
        AdaptiveThrottle.withThrottle(AdaptiveThrottle.make()),
        // One budget for all requests to this service: of a hundred at most twenty are repeated, and one a second.
        ClientRetry.withRetry({ budget: RetryBudget.make({ ratio: 0.2, minPerSecond: 1 }) }),
        HttpClient.filterStatusOk
      )
      return { ask: (path) => Effect.flatMap(client.get(path), (response) => response.text) }
    })
  )
}
// #endregion

const unavailable = Problem.toResponse(Problem.unavailable("the service behind this one did not answer", 1))

// #region gateway
const relay = (path: string) =>
  Effect.flatMap(Backend, (backend) => backend.ask(path)).pipe(
    Effect.map((text) => HttpServerResponse.text(text)),
    Effect.catch(() => Effect.succeed(unavailable))
  )

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/user", relay("/user")),
  HttpRouter.add("GET", "/slow", relay("/slow"))
).pipe(Layer.provide(RequestDeadline.within("1 second").layer)) // also the backend's: it sees what is left of this second
// #endregion

const server = Server.layer({ port: Number(process.env.PORT ?? 3000) })

/** The server. */
export const program = Layer.launch(
  HttpRouter.serve(routes).pipe(
    Layer.provide(Backend.layer),
    Layer.provide(NodeHttpClient.layerUndici),
    Layer.provide(server)
  )
)

if (import.meta.main) Main.run(program)
