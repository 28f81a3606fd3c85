import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Problem from "../../Problem.ts"
import type { MiddlewareOptions, RateLimit, RateLimited } from "../../RateLimit.ts"

const isRateLimited = (error: unknown): error is RateLimited =>
  typeof error === "object" && error !== null && (error as { readonly _tag?: unknown })._tag === "RateLimited"

const probes = new Set(["/livez", "/readyz", "/metrics"])
const isProbe = (request: HttpServerRequest.HttpServerRequest): boolean => probes.has(request.url)

type Response = HttpServerResponse.HttpServerResponse

/** Sets the fields. Those of another limit, which are set already, come first. */
const withFields = (response: Response, fields: Readonly<Record<string, string>>): Response => {
  const all: Record<string, string> = {}
  for (const name in fields) {
    const other = response.headers[name]
    all[name] = other === undefined ? fields[name]! : `${other}, ${fields[name]!}`
  }
  return HttpServerResponse.setHeaders(response, all)
}

/**
 * The answers to refusals without the fields that differ from one to the next: their bodies are encoded once for each set of policies that
 * can refuse together.
 */
const makeRefusals = () => {
  const bodies = new Map<string, Response>()
  return (error: RateLimited): Response => {
    // What is too large for the quota says how large it was, so it is not one of few.
    if (error.headers["retry-after"] === undefined) return Problem.toResponse(Problem.fromError(error)!)
    const key = error.policies.join(" ")
    let body = bodies.get(key)
    if (body === undefined) {
      body = Problem.toResponse(Problem.make({ ...Problem.fromError(error)!, headers: {} }))
      bodies.set(key, body)
    }
    return HttpServerResponse.setHeaders(body, error.headers)
  }
}

export const limitHandler = <E, KE, KR>(
  limit: RateLimit<E>,
  key: Effect.Effect<string, KE, KR>,
  { cost, skip = isProbe }: Pick<MiddlewareOptions, "cost" | "skip">
) => {
  const toRefusal = makeRefusals()
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
