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
import { Drain } from "@spillway/runtime/Drain"
import * as ByteSize from "effect/ByteSize"
import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type { HttpMiddleware } from "effect/http/HttpMiddleware"
import type { HttpPlatform } from "effect/http/HttpPlatform"
import * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Server as NetServer } from "node:net"
import type { ConnectionState } from "./internal/connection.ts"
import { reservedConnections } from "./internal/connections.ts"
import { limitOf } from "./internal/classify.ts"
import { Dispatcher } from "./internal/dispatcher.ts"
import * as draining from "./internal/draining.ts"
import { Incoming } from "./internal/exchange.ts"
import { isHandshake } from "./internal/handshake.ts"
import { guard } from "./internal/guard.ts"
import type { App } from "./internal/guard.ts"
import { findPlace } from "./internal/listening.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { Outgoing } from "./internal/outgoing.ts"
import type { NodeServer } from "./internal/outgoing.ts"
import { http } from "./internal/nodeHttp.ts"
import { Recorder } from "./internal/recorder.ts"
import { webSocketApp } from "./internal/webSocketApp.ts"
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
  /** For how long the request that has waited longest at the door waits. Zero when none waits. */
  readonly queueDelay: Duration.Duration
  /** Open connections by what they are doing. */
  readonly connections: Readonly<Record<ConnectionState, number>>
}

/**
 * One open connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionInfo {
  /** What it is doing. */
  readonly state: ConnectionState
  /** The client's address: what a trusted proxy said of the newest request, else that of the socket. */
  readonly remoteAddress: string | undefined
  /** Since it was accepted. */
  readonly age: Duration.Duration
  /** Requests that have begun on it. */
  readonly requests: number
  readonly bytesReceived: number
  /** Bytes that the kernel has taken for the client. */
  readonly bytesSent: number
  /** Bytes a second, over the last second. */
  readonly receiveRate: number
  readonly sendRate: number
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
    /** Every open connection: for status pages and to find out who is slow. */
    readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo>>
    /**
     * Lets handshakes from now on use another certificate: that in the files of `tls`, read again, or that of the options given. Open
     * connections keep theirs. Fails with a `ServeError` if it can not be read or used; then nothing changes. Does nothing without `tls`.
     */
    readonly renewTls: (tls?: ServerConfig.Tls) => Effect.Effect<void, ServeError>
  }
>()("@spillway/http/Server/ServerStatus") {}

/**
 * What every layer of this module provides: the server, and what `NodeHttpServer.layer` provides beside it.
 *
 * @category models
 * @since 0.1.0
 */
export type Provided = HttpServer.HttpServer | ServerStatus | HttpPlatform | Etag.Generator | NodeServices.NodeServices

// Read by node's `end` listener of every connection. It has no option for it.
interface ServerInternals {
  httpAllowHalfOpen: boolean
}

const makeNodeServer = (options: ServerConfig.Resolved): NodeServer => {
  const server = http.createServer({
    IncomingMessage: Incoming,
    ServerResponse: Outgoing,
    insecureHTTPParser: false,
    // Its answer is bare, and handshakes pass it: the dispatcher looks itself.
    requireHostHeader: false,
    maxHeaderSize: options.maxHeaderSize,
    // All timeouts are kept by the sweep of `Connections`: node's end when the listener closes.
    headersTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    shouldUpgradeCallback: isHandshake
  })
  // Node drops headers beyond this number silently. Their size is bounded already, and `maxHeaders` refuses.
  server.maxHeadersCount = 0
  // A client may close its side and wait for the answer. Node's own way is to hang up.
  ;(server as unknown as ServerInternals).httpAllowHalfOpen = true
  return server
}

/** Loaded only where it is used: `node:tls` and `node:http2` cost every thread some milliseconds. */
const listenSecurely = (dispatcher: Dispatcher, server: NodeServer, tls: ServerConfig.Tls) =>
  Effect.flatMap(
    Effect.promise(() => import("./internal/secure.ts")),
    (secure) => secure.make(dispatcher, server, tls)
  )

/** Loaded only where it is used, as that: it brings `EventLoop` along. */
const makeSignals = (options: Options, queueTarget: number, queueDelay: () => number) =>
  options.signals === undefined || options.signals.length === 0
    ? Effect.undefined
    : Effect.flatMap(
        Effect.promise(() => import("./internal/signals.ts")),
        ({ make }) => make(options.signals!, queueTarget, queueDelay)
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
 * Creates the server and listens. Its requests are answered 503 until `serve` is called; in a loop of `MultiLoop` connections wait until
 * then.
 *
 * **Details**
 *
 * Fails with `ServeError` when it can not listen, on a port that is taken for example. Dies with a `RangeError` for an option outside
 * its range. When the scope of `serve` closes the server drains; the time that takes is at most
 * `preStop + drainTimeout + 1.1 seconds`.
 *
 * A WebSocket (`HttpServerRequest.upgrade`) counts as a connection for as long as it is open. Its handshake passes the door and has the
 * deadline of a request; what the handler does afterwards has neither permit nor deadline. The reader fails with a `SocketCloseError` when
 * the peer has closed, and a handler that fails because of that has ended well. A handler whose peer is gone without a close frame is
 * interrupted, and one that does not notice a close is interrupted after `webSocketCloseTimeout`. A write to a WebSocket that is closing
 * fails with a `SocketWriteError`.
 *
 * A drain closes WebSockets with 1001 (going away) when it closes the listener. Their handlers may finish what they do within
 * `drainTimeout`; then they are interrupted. One that wants the last word waits for `Drain.began`: what it writes at once, and until
 * `preStop` is over, reaches the peer before the close frame.
 *
 * Of the protocols of an `Upgrade` field only `websocket` is known. Requests that ask for another are answered as if they had not.
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
  const place = yield* findPlace(options, clock)
  const signalling = yield* makeSignals(input, options.queueTarget, () => dispatcher.door.queueDelay)
  const signals = signalling?.signals
  const dispatcher: Dispatcher = new Dispatcher(options, () => monotonicMillis(clock), recorder, {
    budget: place.budget,
    limit: limitOf(input, options.maxConcurrent, place.loops),
    signals
  })
  const server = makeNodeServer(options)
  const secure = options.tls === undefined ? undefined : yield* listenSecurely(dispatcher, server, options.tls)
  const listener: NetServer = secure?.listener ?? server
  // Some places more, for probes.
  if (options.maxConnections !== Infinity) listener.maxConnections = options.maxConnections + reservedConnections
  listener.on("connection", dispatcher.connections.add)
  listener.on("connection", () => dispatcher.door.accepted())
  listener.on("drop", dispatcher.connections.dropped)
  server.on("request", dispatcher.onRequest)
  server.on("checkContinue", dispatcher.onCheckContinue)
  server.on("checkExpectation", dispatcher.onCheckExpectation)
  server.on("connect", dispatcher.onConnect)
  server.on("upgrade", dispatcher.onUpgrade)
  server.on("clientError", dispatcher.onClientError)

  yield* Effect.forEach(dispatcher.alarms, (alarm) => Effect.forkScoped(alarm))
  if (signalling !== undefined) yield* Effect.forkScoped(signalling.sampling)
  yield* Effect.acquireRelease(
    Effect.sync(() => recorder.registerGauges(dispatcher.door, dispatcher.connections, signals)),
    (remove) => Effect.sync(remove)
  )
  yield* Effect.acquireRelease(
    Effect.sync(() => dispatcher.webSockets.registerGauge()),
    (remove) => Effect.sync(remove)
  )
  const { accept, address } = yield* Effect.acquireRelease(place.listen(listener), ({ close }) =>
    // A server that drained is closed already. This is for one that never served.
    Effect.sync(() => {
      dispatcher.connections.destroyAll()
      listener.close()
      close()
    })
  )
  const webSockets = yield* Effect.acquireRelease(
    Effect.sync(() => dispatcher.webSockets.makeServer()),
    (webSockets) => Effect.sync(() => webSockets.close())
  )

  const serve = Effect.fnUntraced(function* (app: App, middleware?: HttpMiddleware) {
    if (dispatcher.handler !== undefined) return yield* Effect.die(new Error("Server: serve was called twice"))
    const requests = Scope.makeUnsafe("parallel")
    const upgrades = Scope.makeUnsafe("parallel")
    const trust = (input.trustedProxies ?? []).length === 0 ? undefined : options.trustedProxies
    const guarded = guard(app, trust)
    const guardedUpgrade = guard(webSocketApp(app), trust)
    const [handler, upgradeHandler] = yield* Effect.all([
      NodeHttpServer.makeHandler(guarded, { scope: requests, middleware }),
      NodeHttpServer.makeUpgradeHandler(Effect.succeed(webSockets), guardedUpgrade, { scope: upgrades, middleware })
    ]).pipe(Effect.updateContext((context: Context.Context<never>) => requestContext(context, options.maxBodySize)))
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        dispatcher.handler = handler
        dispatcher.upgradeHandler = upgradeHandler
      }),
      () => draining.run({ server: listener, dispatcher, drain, requests, upgrades })
    )
    yield* Effect.orDie(accept)
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
        const queueDelay = Duration.millis(door.queueDelay)
        return { ...door.stats, queueDelay, pipelined: connections.held, connections: connections.count() }
      }),
      connections: Effect.sync(() => dispatcher.connections.list()),
      renewTls: (tls) => (secure === undefined ? Effect.void : secure.renew(tls))
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
  Layer.unwrap(
    Effect.map(ServerConfig.fromEnvironment, (environment) =>
      layer({
        ...options,
        ...environment,
        tls: environment.tls === undefined ? options.tls : { ...options.tls, ...environment.tls }
      })
    )
  )
