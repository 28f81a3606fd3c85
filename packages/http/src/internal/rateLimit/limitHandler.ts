import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Problem from "../../Problem.ts"
import type { MiddlewareOptions, RateLimit, RateLimited } from "../../RateLimit.ts"
import { withFields } from "./fields.ts"
import { makeRefusals } from "./refusals.ts"
import { addressReader } from "./clientKeys.ts"

const isRateLimited = (error: unknown): error is RateLimited =>
  typeof error === "object" && error !== null && (error as { readonly _tag?: unknown })._tag === "RateLimited"

const probes = new Set(["/livez", "/readyz", "/metrics"])
const isProbe = (request: HttpServerRequest.HttpServerRequest): boolean => probes.has(request.url)

type Response = HttpServerResponse.HttpServerResponse

const clientKey = Effect.map(HttpServerRequest.HttpServerRequest, addressReader("RateLimit.clientKey", []))

export const limitHandler = <E, KE, KR>(limit: RateLimit<E>, options: MiddlewareOptions<KE, KR>) => {
  const { cost, skip = isProbe } = options
  const key: Effect.Effect<string, KE, KR | HttpServerRequest.HttpServerRequest> = options.key ?? clientKey
  const toRefusal = makeRefusals(Problem.toResponse, HttpServerResponse.setHeaders)
  return <HE, HR>(
    handler: Effect.Effect<Response, HE, HR>
  ): Effect.Effect<Response, HE | Exclude<E, RateLimited> | KE, HR | KR | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      if (skip(request)) return handler
      const taken = Effect.flatMap(key, (key) => limit.take(key, cost?.(request)))
      return Effect.matchEffect(taken, {
        onFailure: (error) =>
          isRateLimited(error) ? Effect.succeed(toRefusal(error)) : Effect.fail(error as Exclude<E, RateLimited> | KE),
        onSuccess: ({ headers }) =>
          HttpEffect.withPreResponseHandler(handler, (_, response) => Effect.succeed(withFields(response, headers)))
      })
    })
}
