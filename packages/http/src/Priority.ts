/**
 * How urgent requests are: functions for the option `priority` of the server, from routes and headers.
 *
 * They are called at the door, before a fiber or a router exists, and read nothing but the head.
 *
 * @since 0.1.0
 */
import type { Priority as LoadPriority } from "@spillway/runtime/LoadSignals"
import * as FindMyWay from "effect/http/FindMyWay"
import * as Result from "effect/Result"
import { METHODS } from "node:http"
import type { IncomingMessage } from "node:http"

/**
 * How urgent a request is among the others.
 *
 * **Details**
 *
 * - `critical`: comes first, gives way to nothing that is less urgent, and no signal refuses it. Only what is worth more than all the
 *   rest is critical: where all of it together is more than the server can carry, it is shed as any other.
 * - `normal`: what nothing is said about.
 * - `sheddable`: what can be done later, or not at all: refreshes, exports, crawlers.
 *
 * Where the server has `partitions`, one comes first among those of its own. The shares of permits hold whatever the priorities are. The
 * shares of places to wait hold among requests that are equally urgent: in a full queue a critical request loses its place only to one
 * that is critical, too, and whose partition has less than its share, and a partition that is below its share gets no place for a normal
 * one while the others wait with nothing but critical ones.
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

const check = (where: string, priorities: Iterable<string>): void => {
  for (const priority of priorities) {
    if (isPriority(priority)) continue
    throw new RangeError(
      `Priority.${where}: a priority must be "critical", "normal" or "sheddable", got ${JSON.stringify(priority)}`
    )
  }
}

/**
 * Creates a rule that reads the priority from a header field: one of the three names, or what `values` makes of it. Throws a `RangeError`
 * for a priority in `values` that is none.
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
  if (known !== undefined) check("byHeader", known.values())
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
 * A request goes by the route that matches most closely, in any case of its letters, and its query does not matter. `"/exports/*"` is for
 * `/exports`, too, unless there is a route for that, as `HttpRouter` has it. `HEAD` goes by the routes for `HEAD`, and as `GET`
 * where none of those matches, as it is answered by `HttpRouter`.
 *
 * Throws a `RangeError` for a route that does not begin with a slash, after its method if it has one, or that `HttpRouter` would not take
 * (a `*` anywhere but at the end, the same route twice), and for a priority that is none.
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
  check("byRoute", Object.values(routes))
  // In one router, a route for all methods would hide those for GET from a HEAD request.
  const heads = FindMyWay.make<Priority>()
  const others = FindMyWay.make<Priority>()
  const folders: Array<() => void> = []
  for (const [route, priority] of Object.entries(routes)) {
    const [, method, path] = /^(?:([A-Z]+) )?(\/\S*)$/.exec(route) ?? []
    if (path === undefined) return refuseRoute(route)
    const router = method === "HEAD" ? heads : others
    const methods = method === undefined ? METHODS : [method]
    Result.getOrElse(
      Result.try(() => router.on(methods, path as FindMyWay.PathInput, priority)),
      (cause) => refuseRoute(route, cause)
    )
    if (/.\/\*$/.test(path)) folders.push(() => addFolder(router, methods, path, priority))
  }
  for (const add of folders) add()
  return ({ method, url }) => {
    const path = pathOf(url!)
    if (method !== "HEAD") return others.find(method!, path)?.handler
    return (heads.find("HEAD", path) ?? others.find("GET", path))?.handler
  }
}

/** The router would parse the query, which can cost more than all else that is done for a request that is refused. */
const pathOf = (url: string): string => {
  const end = url.search(/[#;?]/)
  return end === -1 ? url : url.slice(0, end)
}

/** Adds what a route for all that is in a folder says of the folder itself. */
const addFolder = (
  router: FindMyWay.Router<Priority>,
  methods: ReadonlyArray<string>,
  path: string,
  priority: Priority
): void => {
  for (const method of methods) {
    // It fails where there is a route for the folder, which says more.
    Result.try(() => router.on(method, path.slice(0, -2) as FindMyWay.PathInput, priority))
  }
}

const refuseRoute = (route: string, cause?: unknown): never => {
  const why = cause === undefined ? "" : ` (${cause instanceof Error ? cause.message : String(cause)})`
  throw new RangeError(
    `Priority.byRoute: a route must be like "GET /path" or "/path", got ${JSON.stringify(route)}${why}`,
    { cause }
  )
}

/**
 * Creates the option `priority` of the server from rules: the first that knows the request decides, and otherwise `normal`, or the
 * priority given as the last argument. Throws a `RangeError` if that is none.
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
export const first = (
  rules: ReadonlyArray<Rule>,
  otherwise: Priority = "normal"
): ((request: IncomingMessage) => Priority) => {
  check("first", [otherwise])
  return (request) => {
    for (const rule of rules) {
      const priority = rule(request)
      if (priority !== undefined) return priority
    }
    return otherwise
  }
}
