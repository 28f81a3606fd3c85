/** The routes for people: the page, its files, and the stream that keeps it up to date. */
import * as Priority from "@spillway/http/Priority"
import * as ServerConfig from "@spillway/http/ServerConfig"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import type { IncomingMessage } from "node:http"
import { Live } from "../live/live.ts"
import { listQuery, liveQuery } from "../query/parameters.ts"
import { Queries } from "../query/queries.ts"
import { parseAddress } from "./address.ts"
import type { Assets } from "./assets.ts"
import * as page from "./page.ts"

const getPage = Effect.fnUntraced(function* (assets: Assets) {
  const queries = yield* Queries
  const { headers, url } = yield* HttpServerRequest.HttpServerRequest
  const { match } = yield* listQuery(yield* HttpServerRequest.ParsedSearchParams)
  const series = yield* queries.list({ after: "", match, limit: page.limits.series, recent: page.limits.recent })
  const html = page.render({
    assets,
    series,
    address: parseAddress(new URL(url, "http://localhost").searchParams),
    now: yield* Clock.currentTimeMillis,
    host: headers["host"] ?? "localhost"
  })
  return HttpServerResponse.html(html).pipe(HttpServerResponse.setHeaders(page.headers(assets)))
})

const streamHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // nginx collects what it proxies, and would hold back what is said now.
  "x-accel-buffering": "no"
}

const getLive = Effect.gen(function* () {
  const live = yield* Live
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const visit = yield* liveQuery(yield* HttpServerRequest.ParsedSearchParams, headers["last-event-id"])
  const events = yield* live.watch(visit)
  return HttpServerResponse.stream(Stream.encodeText(events), {
    contentType: "text/event-stream",
    headers: streamHeaders
  })
})

const isOpen = /^\/(?:live(?:\?|$)|assets\/)/

/**
 * What the server answers outside its door, as it does probes: a server that has too much to do is what people want to look at. None of it
 * costs more than a refusal would: the files lie in memory, and the viewers have a limit of their own. The page itself reads the database.
 */
export const exempt = (request: IncomingMessage): boolean =>
  ServerConfig.defaults.exempt(request) || (request.method === "GET" && isOpen.test(request.url ?? ""))

/** The page comes first, for the same reason. */
export const priority = Priority.first([Priority.byRoute({ "GET /": "critical" })])

/** Those that have paths of their own. */
export const routes = (assets: Assets) => [
  HttpRouter.route("GET", "/", getPage(assets)),
  HttpRouter.route("GET", "/live", getLive)
]
