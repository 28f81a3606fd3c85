/**
 * The HTTP interface.
 *
 * | route | does |
 * |---|---|
 * | `GET /` | a page for people, which draws what `GET /live` streams to it, with the files under `/assets` |
 * | `POST /events` | stores one event, an array of them, or lines of them (NDJSON); 202 once they are on the disk |
 * | `POST /v1/metrics` | OTLP/HTTP: stores what an OpenTelemetry SDK exports, in JSON or Protocol Buffers; 200 once it is on the disk |
 * | `GET /series` | the series, by name; `match` searches, `after` and `limit` page through them |
 * | `GET /series/:name` | aggregates of a series in buckets of time; `from`, `to`, `step`, `agg` |
 */
import * as JsonBody from "@spillway/http/JsonBody"
import * as MethodNotAllowed from "@spillway/http/MethodNotAllowed"
import * as RateLimit from "@spillway/http/RateLimit"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import { Batch, Event, limits } from "./events.ts"
import { Ingest } from "./ingest.ts"
import { postMetrics } from "./otlp/route.ts"
import * as assets from "./page/assets.ts"
import * as page from "./page/routes.ts"
import { listQuery, seriesQuery } from "./query/parameters.ts"
import { Queries, questions } from "./query/queries.ts"

export interface Options {
  /** Events per second that each client may send; in a burst twice as many. */
  readonly rateLimit: number
  /** The files of the page. */
  readonly pageAssets: assets.Assets
  /** How long events are kept: the page goes no further back. */
  readonly retention: Duration.Duration
}

/** The events of a body, and whether it was one event by itself. */
const decodeJson = Effect.map(JsonBody.decode(Schema.Union([Batch, Event])), (body) =>
  "name" in body ? { events: [body], alone: true } : { events: body, alone: false }
)
const decodeLines = Effect.map(JsonBody.lines(Event, { maxLines: limits.batch }), (events) => ({
  events,
  alone: false
}))
const isLines = (contentType: string | undefined) => contentType !== undefined && /ndjson|jsonl/i.test(contentType)

const client = RateLimit.clientKey()

const accepted = (events: number) => HttpServerResponse.jsonUnsafe({ accepted: events }, { status: 202 })
/** The usual answer, encoded once. */
const acceptedOne = accepted(1)

/** Reads no body of a client that has used up its quota, and takes the quota of all events at once: refused, they cost none. */
const postEvents = Effect.fnUntraced(function* (quota: RateLimit.RateLimit) {
  const ingest = yield* Ingest
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const key = yield* client
  yield* quota.check(key)
  const { alone, events } = yield* isLines(headers["content-type"]) ? decodeLines : decodeJson
  yield* quota.take(key, events.length)
  yield* ingest.append(events, { alone })
  return events.length === 1 ? acceptedOne : accepted(events.length)
})

const getList = Effect.gen(function* () {
  const queries = yield* Queries
  const query = yield* listQuery(yield* HttpServerRequest.ParsedSearchParams)
  const page = yield* queries.list({ ...query, recent: 0 })
  const series = page.map(({ count, lastTimestamp, lastValue, name }) => ({ name, count, lastValue, lastTimestamp }))
  const next = series.length === query.limit ? series.at(-1)!.name : undefined
  return HttpServerResponse.jsonUnsafe({ series, next })
})

const getSeries = Effect.gen(function* () {
  const queries = yield* Queries
  const { name = "" } = yield* HttpRouter.params
  const query = yield* seriesQuery(yield* HttpServerRequest.ParsedSearchParams, yield* Clock.currentTimeMillis)
  const columns = yield* questions.withPermit(queries.aggregate({ name, ...query }))
  const { agg, from, step, to } = query
  const buckets = Array.from(columns[0]!, (_, index) => ({
    start: from + index * step,
    // JSON has no NaN: what an empty bucket does not have becomes null.
    ...Object.fromEntries(agg.map((name, column) => [name, columns[column]![index]]))
  }))
  return HttpServerResponse.jsonUnsafe({ name, from, to, step, buckets })
})

/** The routes, for `HttpRouter.serve`. */
export const layer = ({ pageAssets, rateLimit, retention }: Options) => {
  const quota = RateLimit.make({ name: "events", limit: rateLimit, burst: 2 * rateLimit })
  const routes = [
    ...page.routes(pageAssets, retention),
    HttpRouter.route("POST", "/events", postEvents(quota)),
    HttpRouter.route("POST", "/v1/metrics", postMetrics(quota, rateLimit)),
    HttpRouter.route("GET", "/series", getList),
    HttpRouter.route("GET", "/series/:name", getSeries)
  ]
  return HttpRouter.addAll([...routes, ...MethodNotAllowed.routes(routes), ...assets.routes(pageAssets)])
}

/** A name of 255 characters fits a path parameter, also if each is escaped. */
export const routerConfig = { maxParamLength: 3 * limits.nameLength }
