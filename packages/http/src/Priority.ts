/**
 * How urgent requests are: functions for the option `priority` of the server, from routes and headers.
 *
 * They are called at the door, before a fiber or a router exists, and read nothing but the head.
 *
 * @since 0.1.0
 */
import type { Priority as LoadPriority } from "@spillway/runtime/LoadSignals"
import * as FindMyWay from "effect/http/FindMyWay"
import type { HttpMethod } from "effect/http/HttpMethod"
import type { IncomingMessage } from "node:http"

/**
 * How urgent a request is among the others.
 *
 * **Details**
 *
 * - `critical`: comes first, gives way to nobody, and no signal refuses it. Only what is worth more than all the rest is critical: where
 *   all of it together is more than the server can carry, it is shed as any other.
 * - `normal`: what nothing is said about.
 * - `sheddable`: what can be done later, or not at all: refreshes, exports, crawlers.
 *
 * @category models
 * @since 0.1.0
 */
export type Priority = LoadPriority

/**
 * Says how urgent a request is, or `undefined` if it does not know.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule = (request: IncomingMessage) => Priority | undefined

const names: ReadonlySet<string> = new Set<Priority>(["critical", "normal", "sheddable"])

const isPriority = (text: string): text is Priority => names.has(text)

/**
 * Creates a rule that reads the priority from a header field: one of the three names, or what `values` makes of it.
 *
 * **Gotchas**
 *
 * Any client can send any header. Use it where a proxy in front sets the field and drops that of the client, or where the
 * clients are your own; or let `values` know only `sheddable`, by which a client can but yield.
 *
 * **Example** (Clients that may yield)
 *
 * ```ts
 * Priority.byHeader("purpose", { prefetch: "sheddable" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const byHeader = (field: string, values?: Readonly<Record<string, Priority>>): Rule => {
  const name = field.toLowerCase()
  const known = values === undefined ? undefined : new Map(Object.entries(values))
  return ({ headers }) => {
    const text = headers[name]
    if (typeof text !== "string") return undefined
    if (known !== undefined) return known.get(text)
    return isPriority(text) ? text : undefined
  }
}

/**
 * Creates a rule that knows routes, written as for `HttpRouter`: `"POST /orders/:id"`, or `"/exports/*"` for all methods.
 *
 * **Details**
 *
 * Throws a `RangeError` for a route that does not begin with a slash, after its method if it has one.
 *
 * **Example** (Orders before exports)
 *
 * ```ts
 * Priority.byRoute({ "POST /orders": "critical", "/exports/*": "sheddable" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const byRoute = (routes: Readonly<Record<string, Priority>>): Rule => {
  const router = FindMyWay.make<Priority>()
  for (const [route, priority] of Object.entries(routes)) {
    const [, method, path] = /^(?:([A-Z]+) )?(\/\S*)$/.exec(route) ?? []
    if (path === undefined) {
      throw new RangeError(
        `Priority.byRoute: a route must be like "GET /path" or "/path", got ${JSON.stringify(route)}`
      )
    }
    if (method === undefined) router.all(path as FindMyWay.PathInput, priority)
    else router.on(method as HttpMethod, path as FindMyWay.PathInput, priority)
  }
  return ({ method, url }) => router.find(method as HttpMethod, url!)?.handler
}

/**
 * Creates the option `priority` of the server from rules: the first that knows the request decides, and otherwise `normal`, or the
 * priority given as the last argument.
 *
 * **Example** (Routes first, then what the client says)
 *
 * ```ts
 * Server.layer({ port: 8080, priority: Priority.first([Priority.byRoute(routes), Priority.byHeader("x-priority")]) })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const first =
  (rules: ReadonlyArray<Rule>, otherwise: Priority = "normal") =>
  (request: IncomingMessage): Priority => {
    for (const rule of rules) {
      const priority = rule(request)
      if (priority !== undefined) return priority
    }
    return otherwise
  }
