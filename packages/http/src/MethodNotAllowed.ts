/**
 * Answers for methods that a path does not have: 405 with `Allow`, and `OPTIONS`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { http } from "./internal/nodeHttp.ts"
import * as Problem from "./Problem.ts"

/** What node can parse, the usual ones first: `Allow` keeps the order. `CONNECT` never becomes a request. */
const methodsOfNode = [
  ...new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS", ...http.METHODS])
].filter((method) => method !== "CONNECT")

/**
 * What is looked at of a route; any `HttpRouter.Route` has it.
 *
 * @category models
 * @since 0.1.0
 */
export type RouteLike = Pick<HttpRouter.Route, "method" | "path">

/**
 * Creates the routes that complete others: each of their paths answers 405 with `Allow` for a method that it does not have, and 204
 * with `Allow` for `OPTIONS`.
 *
 * **Details**
 *
 * It answers every method that node can parse. `HEAD` counts as allowed where `GET` is. A path that has a route for every method (`*`), or one for `OPTIONS`, keeps it.
 *
 * **Gotchas**
 *
 * Paths are compared as they are written: `/:id` and `/:name` are two. Give it all routes of a path at once, or each call refuses what
 * the other allows.
 *
 * **Example** (Added beside the routes)
 *
 * ```ts
 * const routes = [HttpRouter.route("GET", "/events", list), HttpRouter.route("POST", "/events", add)]
 * const app = HttpRouter.addAll([...routes, ...MethodNotAllowed.routes(routes)])
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const routes = (routes: ReadonlyArray<RouteLike>): ReadonlyArray<HttpRouter.Route<never, never>> => {
  const methodsByPath = new Map<HttpRouter.PathInput, Set<string>>()
  for (const { method, path } of routes) {
    const methods = methodsByPath.get(path)
    if (methods === undefined) methodsByPath.set(path, new Set([method]))
    else methods.add(method)
  }
  return [...methodsByPath].flatMap(([path, methods]) => (methods.has("*") ? [] : complete(path, methods)))
}

const complete = (
  path: HttpRouter.PathInput,
  methods: ReadonlySet<string>
): ReadonlyArray<HttpRouter.Route<never, never>> => {
  const allowed = new Set([...methods, "OPTIONS"])
  if (allowed.has("GET")) allowed.add("HEAD")
  const allow = methodsOfNode.filter((method) => allowed.has(method)).join(", ")
  const problem = Problem.make({ status: 405, detail: `this path allows ${allow}`, headers: { allow } })
  // The router refuses a route for every method (`*`) beside one of the same path, so each method is registered. Not `HEAD`: the
  // router asks for `GET` when it has none, and a route here would come before that.
  const others = methodsOfNode.filter((method) => method !== "HEAD" && !allowed.has(method))
  const refused = Effect.succeed(Problem.toResponse(problem))
  const refusals = others.map((method) => HttpRouter.route(method as "GET", path, refused))
  if (methods.has("OPTIONS")) return refusals
  return [...refusals, HttpRouter.route("OPTIONS", path, HttpServerResponse.empty({ status: 204, headers: { allow } }))]
}
