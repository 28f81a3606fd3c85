/** `POST /v1/metrics`: OTLP/HTTP, in JSON or in Protocol Buffers, plain or gzip. */
import * as JsonBody from "@spillway/http/JsonBody"
import * as RateLimit from "@spillway/http/RateLimit"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { Format } from "./body.ts"
import { limits } from "./limits.ts"
import { Otlp } from "./otlp.ts"
import type { Body } from "./otlp.ts"
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

/**
 * Takes a token of the client's quota for each event that the points become, as `POST /events` does, and one at least: a request without events
 * is work too. How many they are is only known once the body is read; so a client that has no token at all is refused before.
 */
const accept = Effect.fnUntraced(function* (quota: RateLimit.RateLimit, format: Format) {
  const otlp = yield* Otlp
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const key = yield* client
  yield* quota.check(key)
  const { bytes, encoding } = yield* readBody
  const body: Body = {
    bytes,
    encoding: encoding === "identity" ? encoding : "gzip",
    format,
    isFromSdk: isSdk(headers["user-agent"])
  }
  return status.success(yield* otlp.accept(body, (events) => quota.take(key, Math.max(1, events))), format)
})

export const postMetrics = Effect.fnUntraced(function* (quota: RateLimit.RateLimit) {
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const format = formatOf(headers["content-type"])
  return yield* Effect.catchCause(accept(quota, format), (cause) =>
    Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : status.fromCause(cause, format)
  )
})
