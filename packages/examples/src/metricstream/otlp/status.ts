/**
 * How OTLP answers, in the encoding of the request: `ExportMetricsServiceResponse`, or `google.rpc.Status` of a request that failed.
 *
 * Clients go by the status of the response and by `Retry-After`: they send again what is answered 429, 502, 503 or 504, and drop what is
 * answered anything else.
 */
import * as Problem from "@spillway/http/Problem"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { EventsRefused, StorageUnavailable } from "../refusals.ts"
import type { Format } from "./body.ts"
import type { Accepted } from "./otlp.ts"
import * as protobuf from "./protobufWriter.ts"
import type { BadRequest, RequestTooLarge } from "./tasks.ts"

/** The media types of the encodings. */
export const mediaTypes: Readonly<Record<Format, string>> = {
  json: "application/json",
  protobuf: "application/x-protobuf"
}

type Response = HttpServerResponse.HttpServerResponse

const binary = (bytes: Uint8Array, options: HttpServerResponse.Options) =>
  HttpServerResponse.uint8Array(bytes, { ...options, contentType: mediaTypes.protobuf })

/** The answer to a request that was stored: success has no members, points that were left out are counted and explained. */
export const success = ({ message, rejected }: Accepted, format: Format): Response => {
  if (format === "protobuf") return binary(protobuf.exportResponse(rejected, message), { status: 200 })
  // A 64-bit integer is a string in the JSON of Protocol Buffers.
  const partialSuccess = { rejectedDataPoints: `${rejected}`, errorMessage: message }
  return HttpServerResponse.jsonUnsafe(rejected === 0 ? {} : { partialSuccess })
}

/** The codes of gRPC for our statuses, as the OpenTelemetry Collector has them; 2 is any other. */
const codes: Readonly<Record<number, number>> = { 400: 3, 429: 8, 502: 14, 503: 14, 504: 14 }

const failure = (problem: Problem.Problem, format: Format, details?: ReadonlyArray<object>): Response => {
  const { headers, status } = problem
  const [code, message] = [codes[status] ?? 2, problem.message]
  if (format === "protobuf") return binary(protobuf.status(code, message), { status, headers })
  const body = { code, message, ...(details === undefined ? {} : { details }) }
  return HttpServerResponse.jsonUnsafe(body, { status, headers })
}

/** The parts of a body that are wrong, as `google.rpc.BadRequest`. */
const violations = ({ detail, field }: BadRequest) => [
  {
    "@type": "type.googleapis.com/google.rpc.BadRequest",
    fieldViolations: [{ field, description: detail }]
  }
]

/** Errors of ours, by their tags; others are in the table of `Problem`. */
const fromError = (error: unknown, format: Format): Response | undefined => {
  const bad = (status: number) => Problem.make({ status, detail: (error as Error).message })
  switch ((error as { readonly _tag?: unknown } | undefined)?._tag) {
    case "BadRequest":
      return failure(bad(400), format, violations(error as BadRequest))
    case "EventsRefused" satisfies EventsRefused["_tag"]:
      return failure(bad(400), format)
    case "RequestTooLarge" satisfies RequestTooLarge["_tag"]:
      return failure(bad(413), format)
    case "StorageUnavailable": {
      const { detail, retryAfter } = error as StorageUnavailable
      return failure(Problem.unavailable(detail, Duration.toSeconds(retryAfter)), format)
    }
    default: {
      const problem = Problem.fromError(error)
      return problem === undefined ? undefined : failure(problem, format)
    }
  }
}

/** The answer to a request whose handler failed. What nobody foresaw is logged and is a 500. */
export const fromCause = <E>(cause: Cause.Cause<E>, format: Format): Effect.Effect<Response> => {
  for (const reason of cause.reasons) {
    const response = Cause.isFailReason(reason) ? fromError(reason.error, format) : undefined
    if (response !== undefined) return Effect.succeed(response)
  }
  return Effect.map(Problem.fromCause(cause), ({ status }) =>
    failure(Problem.make({ status, detail: "the server failed; the failure has been logged" }), format)
  )
}
