/**
 * The routes that every architecture serves, with the same handlers. They are written as if each had the server for itself: what waits
 * suspends a fiber, what computes holds its thread, and how much that hurts the others is what the architectures differ in.
 */
import * as JsonBody from "@spillway/http/JsonBody"
import * as MethodNotAllowed from "@spillway/http/MethodNotAllowed"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import { Batch, Event } from "../../metricstream/events.ts"
import type { Name } from "../settings.ts"
import { report } from "../stats/report.ts"
import { burn } from "./burn.ts"
import { milliseconds } from "./parameters.ts"

const fast = HttpServerResponse.text("Fast response!")

/** Waits as for a database: nothing is computed meanwhile. */
const sleep = Effect.flatMap(milliseconds(5000), (millis) =>
  Effect.as(Effect.sleep(Duration.millis(millis)), HttpServerResponse.text(`Slept ${millis} ms`))
)

/** What `/cpu` answers, wherever the work is done. */
export const burned = (millis: number) => HttpServerResponse.text(`Burned ${millis} ms of CPU time`)

/** Computes on the thread of the handler. */
export const burnHere = Effect.flatMap(milliseconds(50), (millis) =>
  Effect.as(
    Effect.sync(() => burn(millis)),
    burned(millis)
  )
)

/** The bytes come back as what they are, whatever the client says of them: a browser must not take them for a page of ours. */
const echo = Effect.gen(function* () {
  const body = yield* (yield* HttpServerRequest).arrayBuffer
  return HttpServerResponse.uint8Array(new Uint8Array(body), {
    contentType: "application/octet-stream",
    headers: { "x-content-type-options": "nosniff" }
  })
})

/** The type is the protocol, that of MetricStream: what is not an event, or an array of them, never reaches the line below. */
const postEvents = Effect.map(JsonBody.decode(Schema.Union([Batch, Event])), (body) =>
  HttpServerResponse.jsonUnsafe({ accepted: "name" in body ? 1 : body.length }, { status: 202 })
)

/** The routes of every architecture; `cpu` answers `/cpu`. */
export const shared = <E, R>(architecture: Name, cpu: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) => [
  HttpRouter.route("GET", "/", HttpServerResponse.text(`Hello from ${architecture} server`)),
  HttpRouter.route("GET", "/fast", fast),
  HttpRouter.route("GET", "/sleep", sleep),
  HttpRouter.route("GET", "/cpu", cpu),
  HttpRouter.route("POST", "/echo", echo),
  HttpRouter.route("POST", "/events", postEvents),
  HttpRouter.route("GET", "/stats", report(architecture))
]

/** The routes, and 405 for the methods that they do not have. */
export const complete = <Routes extends ReadonlyArray<HttpRouter.Route<unknown, unknown>>>(routes: Routes) => {
  const all: ReadonlyArray<Routes[number] | HttpRouter.Route> = [...routes, ...MethodNotAllowed.routes(routes)]
  return HttpRouter.addAll(all)
}
