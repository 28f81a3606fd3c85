/** The routes for people: the page, its files, and the stream that keeps it up to date. */
import * as RateLimit from "@spillway/http/RateLimit"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
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
import { limits } from "./limits.ts"
import * as page from "./page.ts"

const getPage = Effect.fnUntraced(function* (assets: Assets, retention: Duration.Duration) {
  const queries = yield* Queries
  const { headers, url } = yield* HttpServerRequest.HttpServerRequest
  const { match } = yield* listQuery(yield* HttpServerRequest.ParsedSearchParams)
  const list = { after: "", match, limit: limits.series, recent: limits.recent }
  const series = yield* queries.list(list, { priority: "high" })
  const html = page.render({
    assets,
    series,
    address: parseAddress(new URL(url, "http://localhost").searchParams),
    now: yield* Clock.currentTimeMillis,
    keep: Duration.toMillis(retention),
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

const client = RateLimit.clientKey()

const getLive = Effect.gen(function* () {
  const live = yield* Live
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const visit = yield* liveQuery(yield* HttpServerRequest.ParsedSearchParams, headers["last-event-id"])
  const events = yield* live.watch({ ...visit, client: yield* client })
  return HttpServerResponse.stream(Stream.encodeText(events), {
    contentType: "text/event-stream",
    headers: streamHeaders
  })
})

const isOfPage = /^\/(?:[?]|$|assets\/|live(?:[?]|$))/

/**
 * The shares of the door. People look at a server because it has too much to do, so a part of it is kept for the page: of nine permits and places to
 * wait, one is for those who look, whatever is sent, and all others are for what is sent, whoever looks. Neither comes before the other, and what one
 * does not use the other may.
 */
export const partitions = { default: 8, page: 1 }

/** The page, its files and its stream go together: without one of them the others are of no use. */
export const partition = ({ url = "" }: IncomingMessage): string => (isOfPage.test(url) ? "page" : "default")

/** Those that have paths of their own. Events are kept for the time of the retention. */
export const routes = (assets: Assets, retention: Duration.Duration) => [
  HttpRouter.route("GET", "/", getPage(assets, retention)),
  HttpRouter.route("GET", "/live", getLive)
]
