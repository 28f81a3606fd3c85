/**
 * The HTTP server: Effect's own `HttpServer` service on `node:http`, with a door before the fibers, deadlines, and a drain that loses
 * nothing. `HttpRouter` and `HttpApi` work on it unchanged.
 *
 * The way of a request: node parses its head; the door starts it, queues it or turns it away; a fiber runs the handler until its
 * deadline; the adapter of `@effect/platform-node` writes the response. A refused request never costs a fiber.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Drain } from "@spillway/runtime/Drain"
import * as ByteSize from "effect/ByteSize"
import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type { HttpMiddleware } from "effect/http/HttpMiddleware"
import type { HttpPlatform } from "effect/http/HttpPlatform"
import * as HttpServer from "effect/http/HttpServer"
import { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type { Server as NodeServer } from "node:http"
import type { ConnectionState } from "./internal/connections.ts"
import { Dispatcher } from "./internal/dispatcher.ts"
import * as draining from "./internal/draining.ts"
import { Incoming } from "./internal/exchange.ts"
import { isHandshake } from "./internal/handshake.ts"
import { guard } from "./internal/guard.ts"
import type { App } from "./internal/guard.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { http } from "./internal/nodeHttp.ts"
import { Recorder } from "./internal/recorder.ts"
import * as ServerConfig from "./ServerConfig.ts"

/**
 * Options of `layer`. Each is described in `ServerConfig`.
 *
 * @category options
 * @since 0.1.0
 */
export type Options = ServerConfig.Options

/**
 * What a server holds at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Requests whose handlers are at work. */
  readonly running: number
  /** Requests that wait at the door. */
  readonly queued: number
  /** Requests whose bodies have arrived after a wait, and which wait to go on. */
  readonly resuming: number
  /** Pipelined requests that wait until those before them on their connection are answered. */
  readonly pipelined: number
  /** The number of permits of the door. */
  readonly limit: number
  /** Open connections by what they are doing. */
  readonly connections: Readonly<Record<ConnectionState, number>>
}

/**
 * Service that says what the server holds.
 *
 * @category services
 * @since 0.1.0
 */
export class ServerStatus extends Context.Service<
  ServerStatus,
  {
    /** What the server holds now. Counts the connections: for tests and status pages, not for each request. */
    readonly stats: Effect.Effect<Stats>
  }
>()("@spillway/http/Server/ServerStatus") {}

/**
 * What every layer of this module provides: the server, and what `NodeHttpServer.layer` provides beside it.
 *
 * @category models
 * @since 0.1.0
 */
export type Provided = HttpServer.HttpServer | ServerStatus | HttpPlatform | Etag.Generator | NodeServices.NodeServices

/** How often node looks for requests that take too long to arrive: what "kept to a second" means. */
const checkIntervalMillis = 1000

const makeNodeServer = (options: ServerConfig.Resolved): NodeServer => {
  const finite = (millis: number): number => (millis === Infinity ? 0 : millis)
  const server = http.createServer({
    IncomingMessage: Incoming,
    insecureHTTPParser: false,
    requireHostHeader: true,
    maxHeaderSize: options.maxHeaderSize,
    headersTimeout: finite(options.headersTimeout),
    // For bodies that nobody waits for: `JsonBody` keeps `bodyTimeout` itself.
    requestTimeout: finite(options.headersTimeout + options.bodyTimeout),
    keepAliveTimeout: finite(options.keepAliveTimeout),
    connectionsCheckingInterval: checkIntervalMillis,
    shouldUpgradeCallback: isHandshake
  })
  // Node drops headers beyond this number silently. Their size is bounded already.
  server.maxHeadersCount = 0
  if (options.maxConnections !== Infinity) server.maxConnections = options.maxConnections
  return server
}

const listen = (
  server: NodeServer,
  options: ServerConfig.Resolved
): Effect.Effect<NetAddress.SocketAddress, ServeError> =>
  Effect.callback<void, ServeError>((resume) => {
    const onError = (cause: Error) => resume(Effect.fail(new ServeError({ cause })))
    server.once("error", onError)
    server.listen({ port: options.port, host: options.host, backlog: options.backlog }, () => {
      server.off("error", onError)
      resume(Effect.void)
    })
  }).pipe(
    Effect.andThen(
      Effect.suspend(() => {
        const address = server.address()
        return address === null || typeof address === "string"
          ? Effect.die(new Error("the server does not listen on a port"))
          : Effect.fromResult(NetAddress.inetAddressFromIpString(address.address, address.port))
      })
    ),
    Effect.catch((cause) => Effect.fail(cause instanceof ServeError ? cause : new ServeError({ cause })))
  )

/** A context keeps so many additions as a list before it copies them all. Each request adds about six. */
const maxContextDepth = 16

/** The context that every request begins with, flat: one that is near its depth would be copied for each request. */
const requestContext = (context: Context.Context<never>, maxBodySize: number) => {
  const services = new Map(context.mapUnsafe)
  services.set(HttpIncomingMessage.MaxBodySize.key, ByteSize.bytes(maxBodySize))
  return Context.makeUnsafe<unknown>(services, { maxDepth: maxContextDepth })
}

/**
 * Creates the server and listens. Its requests are answered 503 until `serve` is called.
 *
 * **Details**
 *
 * Fails with `ServeError` when it can not listen, on a port that is taken for example. Dies with a `RangeError` for an option outside
 * its range. When the scope of `serve` closes the server drains; the time that takes is at most
 * `preStop + drainTimeout + 1.1 seconds`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (input: Options) {
  const options = ServerConfig.resolve(input)
  const drain = yield* Drain
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const recorder = new Recorder(context)
  const dispatcher = new Dispatcher(options, () => monotonicMillis(clock), recorder)
  const server = makeNodeServer(options)
  server.on("connection", dispatcher.connections.add)
  server.on("request", dispatcher.onRequest)
  server.on("checkContinue", dispatcher.onCheckContinue)
  server.on("upgrade", dispatcher.onUpgrade)
  server.on("clientError", dispatcher.onClientError)
  server.on("drop", recorder.dropped)

  yield* Effect.forEach(dispatcher.alarms, (alarm) => Effect.forkScoped(alarm))
  yield* Effect.acquireRelease(
    Effect.sync(() => recorder.registerGauges(() => dispatcher.door.stats, dispatcher.connections)),
    (remove) => Effect.sync(remove)
  )
  const address = yield* Effect.acquireRelease(listen(server, options), () =>
    // A server that drained is closed already. This is for one that never served.
    Effect.sync(() => {
      dispatcher.connections.destroyAll()
      server.close()
    })
  )
  const webSockets = yield* Effect.acquireRelease(
    Effect.sync(() => new NodeWS.WebSocketServer({ noServer: true })),
    (webSockets) => Effect.sync(() => webSockets.close())
  )
  // Emitted just before the 101 is sent.
  webSockets.on("headers", (_headers, request) => (request as Incoming).handshake?.upgraded())

  const serve = Effect.fnUntraced(function* (app: App, middleware?: HttpMiddleware) {
    if (dispatcher.handler !== undefined) return yield* Effect.die(new Error("Server: serve was called twice"))
    const requests = Scope.makeUnsafe("parallel")
    const upgrades = Scope.makeUnsafe("parallel")
    const guarded = guard(app)
    const [handler, upgradeHandler] = yield* Effect.all([
      NodeHttpServer.makeHandler(guarded, { scope: requests, middleware }),
      NodeHttpServer.makeUpgradeHandler(Effect.succeed(webSockets), guarded, { scope: upgrades, middleware })
    ]).pipe(Effect.updateContext((context: Context.Context<never>) => requestContext(context, options.maxBodySize)))
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        dispatcher.handler = handler
        dispatcher.upgradeHandler = upgradeHandler
      }),
      () => draining.run({ server, dispatcher, drain, requests, upgrades })
    )
    yield* drain.ready
  })

  return Context.make(
    HttpServer.HttpServer,
    HttpServer.make({
      address,
      serve
    })
  ).pipe(
    Context.add(ServerStatus, {
      stats: Effect.sync(() => {
        const { connections, door } = dispatcher
        return { ...door.stats, pipelined: connections.held, connections: connections.count() }
      })
    })
  )
})

/**
 * Provides the server and what `NodeHttpServer.layer` provides, and leaves the process's `Drain` to be provided: for processes with
 * more than one server, or whose drain has options of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoDeps = (options: Options): Layer.Layer<Provided, ServeError, Drain> =>
  Layer.merge(Layer.effectContext(make(options)), NodeHttpServer.layerHttpServices)

/**
 * Provides the server and what `NodeHttpServer.layer` provides, and `Drain`.
 *
 * **Details**
 *
 * Behaves like `make`.
 *
 * **Example** (The change of one layer)
 *
 * ```ts
 * HttpRouter.serve(routes).pipe(Layer.provide(Server.layer({ port: 8080 })), Layer.launch, Main.run)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Provided | Drain, ServeError> =>
  layerNoDeps(options).pipe(Layer.provideMerge(Drain.layer()))

/**
 * Provides the server with options from the environment (`SPILLWAY_HTTP_PORT` and so on, see `ServerConfig`), which win over those
 * given here. Fails with a `ConfigError` that names the variable of a bad value.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Options): Layer.Layer<Provided | Drain, ServeError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(ServerConfig.fromEnvironment, (environment) => layer({ ...options, ...environment })))
