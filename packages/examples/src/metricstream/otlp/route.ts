/** `POST /v1/metrics`: OTLP/HTTP, in JSON or in Protocol Buffers, plain or gzip. */
import * as JsonBody from "@spillway/http/JsonBody"
import * as RateLimit from "@spillway/http/RateLimit"
import type { OffloadError } from "@spillway/runtime/OffloadError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { Format } from "./body.ts"
import * as cost from "./cost.ts"
import { limits } from "./limits.ts"
import { Otlp } from "./otlp.ts"
import type { Allowance, Body, Read } from "./otlp.ts"
import { ReadingQuota } from "./readingQuota.ts"
import * as status from "./status.ts"

const readBody = JsonBody.bytes({
  mediaTypes: Object.values(status.mediaTypes),
  // RFC 9110 section 8.4.1.3 has the second name mean the first.
  encodings: ["gzip", "x-gzip"],
  maxSize: limits.bodySize
})

/** The encoding of the answer: that of the request. */
const formatOf = (contentType: string | undefined): Format =>
  contentType?.toLowerCase().startsWith(status.mediaTypes.protobuf) ? "protobuf" : "json"

/** The name that the specification gives to the exporters of SDKs, whatever stands before it. */
const isSdk = (userAgent: string | undefined): boolean => userAgent?.includes("OTel-OTLP-Exporter-") ?? false

const client = RateLimit.clientKey()

/** Why the reader did not even begin. */
const neverRan: ReadonlySet<string> = new Set<OffloadError["reason"]["_tag"]>(["Saturated", "Unavailable"])

/** What reading has cost. Nothing if it never began; if nobody has seen it to its end, what it may have cost. */
export const costOfExit =
  (size: number) =>
  (exit: Exit.Exit<Effect.Success<Read>, Effect.Error<Read>>): number => {
    if (Exit.isSuccess(exit)) return exit.value.cost
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    if (error === undefined) return cost.most(size)
    if (error._tag !== "OffloadError") return error.cost
    return neverRan.has(error.reason._tag) ? 0 : cost.most(size)
  }

/**
 * Takes a token of the client's quota for each event that the points become, as `POST /events` does, and one at least. How many they are is only
 * known once the body is read; so a client that has no token at all is refused before. What it is to read the body, good or not, is charged to
 * a quota of its own.
 */
const accept = Effect.fnUntraced(function* (quota: RateLimit.RateLimit, reading: ReadingQuota, format: Format) {
  const otlp = yield* Otlp
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const key = yield* client
  yield* quota.check(key)
  yield* reading.check(key)
  const { bytes, encoding } = yield* readBody
  const body: Body = {
    bytes,
    encoding: encoding === "identity" ? encoding : "gzip",
    format,
    isFromSdk: isSdk(headers["user-agent"])
  }
  const allowance: Allowance = {
    read: (size, read) => reading.charged(key, cost.deposit(size), read, costOfExit(size)),
    pay: (events) => quota.take(key, Math.max(1, events))
  }
  return status.success(yield* otlp.accept(body, allowance), format)
})

/** The handler. `quota` has so many events a second. */
export const postMetrics = (quota: RateLimit.RateLimit, perSecond: number) => {
  const reading = new ReadingQuota(Math.max(limits.reading, perSecond))
  return Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const format = formatOf(headers["content-type"])
    return yield* Effect.catchCause(accept(quota, reading, format), (cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : status.fromCause(cause, format)
    )
  })
}
