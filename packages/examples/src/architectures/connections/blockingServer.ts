/**
 * A server as the blocking ones are: it is given a connection, serves one request on it, and is done with it when the response is written.
 * It does not accept connections itself, and whoever gives it one waits until it is done.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as ServerConfig from "@spillway/http/ServerConfig"
import { Drain } from "@spillway/runtime/Drain"
import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { createServer } from "node:http"
import type { Duplex } from "node:stream"
import { Stats } from "../stats/stats.ts"

/** As of the servers that do not block. */
const maxBodySize = ByteSize.fromInputUnsafe(ServerConfig.defaults.maxBodySize)

/** The handlers of a server. */
export type App = Effect.Effect<HttpServerResponse, unknown, HttpServerRequest | Scope.Scope>

/** Serves a connection and succeeds when it is closed. Interruption closes it. */
export type Serve = (connection: Duplex) => Effect.Effect<void>

const callback = (server: NodeJS.EventEmitter, connection: Duplex) =>
  Effect.callback<void>((resume) => {
    // The handler of a client that went away hears of it in the same turn of the loop, and whoever waits here after that.
    connection.once("close", () => setImmediate(() => resume(Effect.void)))
    // What it was closed for is the client's business.
    connection.on("error", () => {})
    server.emit("connection", connection)
    // Those that a listener has accepted for somebody else are paused.
    connection.resume()
    return Effect.sync(() => connection.destroy())
  })

/** A request that has not arrived whole after `timeout` is answered 408. */
export const make = Effect.fnUntraced(function* (app: App, timeout: Duration.Duration) {
  // Of its own: that of the server ends what was begun last first, and then waits for what is queued.
  const scope = yield* Scope.fork(yield* Effect.scope)
  const bounded = Effect.provideService(Effect.interruptible(app), HttpIncomingMessage.MaxBodySize, maxBodySize)
  const handler = yield* NodeHttpServer.makeHandler(bounded, { scope })
  const requestTimeout = Duration.toMillis(timeout)
  const server = createServer({
    requestTimeout,
    headersTimeout: requestTimeout,
    connectionsCheckingInterval: Math.min(1000, requestTimeout / 4)
  })
  server.on("request", (request, response) => {
    response.shouldKeepAlive = false
    // A client that does not take the answer is waited for as long as one that does not send the request.
    response.once("prefinish", () => request.socket.setTimeout?.(requestTimeout, () => request.socket.destroy()))
    handler(request, response)
  })
  // Node begins to look for late requests when a server listens, which this one does not.
  server.emit("listening")
  yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
  const serve: Serve = (connection) => callback(server, connection)
  return serve
})

/**
 * The lifecycle of the process, as the probes of any of its threads tell it: the thread that accepts connections says in shared memory when
 * it drains.
 */
export const lifecycle = Effect.gen(function* () {
  const stats = yield* Stats
  const own = Context.get(yield* Layer.build(Drain.layer()), Drain)
  yield* own.ready
  return Drain.of({ ...own, phase: Effect.suspend(() => (stats.draining ? Effect.succeed("Draining") : own.phase)) })
})
