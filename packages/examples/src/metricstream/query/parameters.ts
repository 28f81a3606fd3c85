/** The query parameters of `GET /series` and `GET /series/:name`: what they may be, and their defaults. */
import * as Problem from "@spillway/http/Problem"
import * as Effect from "effect/Effect"
import { aggregationNames, bucketCount } from "./aggregation.ts"
import type { Aggregation, Range } from "./aggregation.ts"
import type { Visit } from "../live/live.ts"
import { limits } from "./limits.ts"

/** What `GET /series/:name` asks for. */
export interface SeriesQuery extends Range {
  readonly agg: ReadonlyArray<Aggregation>
}

/** What `GET /series` asks for. */
export interface ListQuery {
  /** The name that the page begins after. */
  readonly after: string
  readonly limit: number
  /** What the names contain, in any case of letters. Empty for all. */
  readonly match: string
}

type Parameters = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

const defaultRange = 3_600_000
const defaultBuckets = 60
const defaultAggregations: ReadonlyArray<Aggregation> = ["count", "avg", "min", "max"]

const millisOf: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The answer to a parameter that is wrong. */
export const badParameter = (parameter: string, message: string) =>
  Problem.make({
    status: 400,
    title: "Bad query parameter",
    detail: `${parameter}: ${message}`,
    extensions: { errors: [{ parameter, message }] }
  })

/** The longest duration: 100 years. */
const longest = 36_525 * millisOf["d"]!

/** The latest time: that of JavaScript, below which, with any duration added, milliseconds are exact. */
const latest = 8.64e15

/** Whole milliseconds, as a number or as `10s`, `5m`, `1h`. */
const parseDuration = (text: string): number | undefined => {
  const match = /^(\d{1,15})(ms|s|m|h|d)?$/.exec(text)
  if (match === null) return undefined
  const millis = Number(match[1]) * millisOf[match[2] ?? "ms"]!
  return millis <= longest ? millis : undefined
}

/** Whole milliseconds since 1970. */
const parseInstant = (text: string): number | undefined =>
  /^\d{1,16}$/.test(text) && Number(text) <= latest ? Number(text) : undefined

/** A point in time: milliseconds since 1970, `now`, or before now, as `-1h`. */
const parseTime = (text: string, now: number): number | undefined => {
  if (text === "now") return now
  if (!text.startsWith("-")) return parseInstant(text)
  const ago = parseDuration(text.slice(1))
  return ago === undefined ? undefined : now - ago
}

const single = (parameters: Parameters, name: string) => {
  const value = parameters[name]
  return value === undefined || typeof value === "string"
    ? Effect.succeed(value)
    : Effect.fail(badParameter(name, "give it once"))
}

const parsed = Effect.fnUntraced(function* <A>(
  parameters: Parameters,
  name: string,
  expected: string,
  parse: (text: string) => A | undefined
) {
  const text = yield* single(parameters, name)
  if (text === undefined) return undefined
  const value = parse(text)
  return value === undefined ? yield* badParameter(name, `expected ${expected}`) : value
})

const aggregationsOf = Effect.fnUntraced(function* (parameters: Parameters) {
  const text = yield* single(parameters, "agg")
  const names = text === undefined ? defaultAggregations : [...new Set(text.split(","))]
  const isKnown = (name: string): name is Aggregation => aggregationNames.some((known) => known === name)
  return names.every(isKnown)
    ? names
    : yield* badParameter("agg", `expected one or more of ${aggregationNames.join(",")}`)
})

/**
 * Reads `from`, `to`, `step` and `agg`. `now` is the present time in milliseconds.
 *
 * "Now" is the end of the present second, so that the newest event is in the range and that answers change once a second, not at
 * each request. The default is the hour before `to`, in 60 buckets.
 */
export const seriesQuery = Effect.fnUntraced(function* (parameters: Parameters, now: number) {
  const end = (Math.floor(now / 1000) + 1) * 1000
  const time = (name: string) =>
    parsed(parameters, name, "milliseconds since 1970, now, or a time ago such as -1h, of at most 100 years", (text) =>
      parseTime(text, end)
    )
  const to = (yield* time("to")) ?? end
  const from = (yield* time("from")) ?? to - defaultRange
  if (from >= to) return yield* badParameter("from", "must be before to")
  const step =
    (yield* parsed(
      parameters,
      "step",
      "milliseconds, or a duration such as 10s, more than 0, at most 100 years",
      (text) => {
        const millis = parseDuration(text)
        return millis === 0 ? undefined : millis
      }
    )) ?? Math.ceil((to - from) / defaultBuckets)
  const range = { from, to, step }
  if (bucketCount(range) > limits.buckets) {
    return yield* badParameter("step", `gives ${bucketCount(range)} buckets, at most ${limits.buckets} are allowed`)
  }
  const query: SeriesQuery = { ...range, agg: yield* aggregationsOf(parameters) }
  return query
})

/** Reads `after`, `limit` and `match`. */
export const listQuery = Effect.fnUntraced(function* (parameters: Parameters) {
  const limit = yield* parsed(parameters, "limit", `a whole number from 1 to ${limits.list}`, (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
    return value >= 1 && value <= limits.list ? value : undefined
  })
  const query: ListQuery = {
    after: (yield* single(parameters, "after")) ?? "",
    limit: limit ?? limits.list,
    match: (yield* single(parameters, "match")) ?? ""
  }
  return query
})

/**
 * Reads what a viewer of the live page wants: `series` and `step`, the series that it watches and the length of its buckets. `Last-Event-ID`
 * is the time of the last point that it has; one that is no time is nothing to fail for.
 */
export const liveQuery = Effect.fnUntraced(function* (parameters: Parameters, lastEventId: string = "") {
  const name = yield* single(parameters, "series")
  const step = yield* parsed(parameters, "step", "a duration from 1s to 30d", (text) => {
    const millis = parseDuration(text) ?? 0
    return millis >= 1000 && millis <= 30 * millisOf["d"]! ? millis : undefined
  })
  if (name !== undefined && step === undefined) {
    return yield* badParameter("step", "say how long the buckets of the series are")
  }
  const visit: Visit = {
    after: parseInstant(lastEventId),
    watched: name === undefined || step === undefined ? undefined : { name, step }
  }
  return visit
})
