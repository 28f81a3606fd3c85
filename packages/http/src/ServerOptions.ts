/**
 * The options of the server, with their units, ranges and defaults. `ServerConfig` lists them with their environment variables.
 *
 * @since 0.1.0
 */
import type * as ByteSize from "effect/ByteSize"
import type * as Duration from "effect/Duration"
import type { IncomingMessage } from "node:http"
import type { SecureContextOptions } from "node:tls"
import type { OverloadOptions } from "./OverloadOptions.ts"

/**
 * Keys and certificates of a server with TLS: what `tls.createSecureContext` of node takes, and files to read.
 *
 * **Details**
 *
 * The oldest version is TLS 1.2 unless `minVersion` says otherwise. A handshake must be done within `headersTimeout`.
 * `ServerStatus.renewTls` reads the files again without a restart.
 *
 * @category options
 * @since 0.1.0
 */
export interface Tls extends SecureContextOptions {
  /** The path of the private key in PEM format. Wins over `key`. */
  readonly keyFile?: string | undefined
  /** The path of the certificate in PEM format, with those of its issuers behind it. Wins over `cert`. */
  readonly certFile?: string | undefined
  /**
   * Whether clients are asked for a certificate of their own, issued by one of `ca`.
   *
   * @default false
   */
  readonly requestCert?: boolean | undefined
  /**
   * Whether clients without a valid certificate are turned away in the handshake, where one is asked for.
   *
   * @default true
   */
  readonly rejectUnauthorized?: boolean | undefined
}

/**
 * Options of `Server.layer`. Durations are `Duration.Input`, sizes are `ByteSize.Input`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends OverloadOptions {
  /** The TCP port, 0 to 65,535. `0` lets the system choose a free one. */
  readonly port: number
  /**
   * The address to listen on. `"0.0.0.0"` or `"::"` listens on all.
   *
   * @default "127.0.0.1"
   */
  readonly host?: string | undefined
  /**
   * Connections that the kernel holds until they are accepted. An integer from 1; the kernel may cap it (`net.core.somaxconn`).
   * Node's own default.
   *
   * @default 511
   */
  readonly backlog?: number | undefined
  /**
   * Whether to listen on a socket that a supervisor like systemd holds for this process (`sd_listen_fds(3)`: `LISTEN_FDS`, `LISTEN_PID`
   * and `LISTEN_FDNAMES`), so that the port is kept while the process is restarted: the first such socket (`true`), or the one of that
   * name. `port` and `host` are used where the process was given no socket at all; a name that none of them has is a `ServeError`.
   *
   * @default false
   */
  readonly inherit?: boolean | string | undefined
  /**
   * Connections open at once. One more is closed as soon as it is accepted, before anything is read; 16 more are accepted for
   * the requests that `exempt` names, and answer 503 to all others. An integer from 1, or `Infinity` for no limit. Keep it under half of
   * the process's file descriptors.
   *
   * From nine tenths of it on, each new connection closes one that is idle, the longest idle first, and where there is none, one whose
   * client is too slow, the slowest first, and last those that move less than 4 KiB a second. A faster one is never closed for another.
   *
   * @default 10000
   */
  readonly maxConnections?: number | undefined
  /**
   * Connections of one remote address open at once; one more is closed as soon as it is accepted. Those of `trustedProxies` are not
   * counted. An integer from 1, or `Infinity` for no limit: many clients may share an address.
   *
   * @default Infinity
   */
  readonly maxConnectionsPerAddress?: number | undefined
  /**
   * Addresses and networks (`"10.0.0.0/8"`, `"::1"`) of proxies that say in `X-Forwarded-For` for whom they ask. From those, and from
   * nobody else, it is believed: `remoteAddress` of `HttpServerRequest` is then the last address in it that is not itself a trusted proxy,
   * without the port that some proxies add. The search ends with the first item from the right that is no address.
   *
   * @default []
   */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
  /**
   * Lets the server speak TLS and nothing else on its port. A key or certificate that can not be read or used is a `ServeError`.
   *
   * @default undefined
   */
  readonly tls?: Tls | undefined
  /**
   * Whether clients may choose HTTP/2 in the handshake of TLS (ALPN). Without `tls` it changes nothing: HTTP/2 without TLS is not spoken.
   * WebSockets use HTTP/1.1 also where HTTP/2 is on: RFC 8441 is not offered, and clients fall back by themselves.
   *
   * @default true
   */
  readonly http2?: boolean | undefined
  /**
   * Streams of one HTTP/2 connection that may be open at once; a client must wait with more, and what it opens all the same is refused
   * (REFUSED_STREAM). An integer from 1 to 2^32 - 1. The least that RFC 9113 section 6.5.2 recommends.
   *
   * At most an eighth of `maxConcurrent` of them, and at least one, are at the door or inside at once; the others wait in the order of their
   * arrival, at most `maxQueueWait`, to a second. So no connection takes the whole door, and what is still at work of streams that were
   * reset counts until it has ended.
   *
   * @default 100
   */
  readonly maxConcurrentStreams?: number | undefined
  /**
   * Bytes of a request line and its headers together; more is answered 431 and the connection closes. From 1 KiB. Node's own default.
   *
   * With HTTP/2 each field counts 32 bytes more (RFC 9113 section 6.5.2), and of more than twice as much the stream is reset.
   *
   * @default "16 KiB"
   */
  readonly maxHeaderSize?: ByteSize.Input | undefined
  /**
   * Header fields of a request; more is answered 431 and the connection closes. An integer from 1, or `Infinity`, since their size is
   * bounded in any case. Kestrel's default.
   *
   * @default 100
   */
  readonly maxHeaders?: number | undefined
  /**
   * Bytes of a request target; more is answered 414 and the connection closes. From 16. RFC 9112 section 3 recommends at least 8000.
   *
   * @default "8 KiB"
   */
  readonly maxTargetSize?: ByteSize.Input | undefined
  /**
   * From the first byte of a request (on a new connection: from its start) to the end of its headers; longer is answered 408. Kept to
   * a second. From 1 second; `Infinity` waits without limit.
   *
   * @default "10 seconds"
   */
  readonly headersTimeout?: Duration.Input | undefined
  /**
   * For the whole body of a request that is waited for before its handler starts, or that `JsonBody` reads, from when that begins; longer
   * is answered 408 and the connection closes. Every reader is bound by `minBodyRate` and `requestDeadline`. From 1 second; `Infinity` waits without limit.
   *
   * @default "30 seconds"
   */
  readonly bodyTimeout?: Duration.Input | undefined
  /**
   * Bytes of a request body; more is answered 413, before it is read when Content-Length says so. Bounds every reader of
   * `HttpServerRequest` through `HttpIncomingMessage.MaxBodySize`, which a route may override. From 0, which allows only empty
   * bodies. Fastify's and Beast's default.
   *
   * @default "1 MiB"
   */
  readonly maxBodySize?: ByteSize.Input | undefined
  /**
   * A body up to so many bytes (by its Content-Length) is waited for before the handler starts, so that a slow sender costs neither a fiber
   * nor a permit. Longer ones, chunked ones, and those of clients that expect `100 Continue` are the handler's from their first byte: while it
   * waits for them it keeps its permit, unless `JsonBody` reads them. From 0,
   * which starts every handler at once, to 64 KiB.
   *
   * @default "64 KiB"
   */
  readonly maxAwaitedBody?: ByteSize.Input | undefined
  /**
   * Bytes of all bodies together that have begun to arrive and are still waited for by the server or by `JsonBody`, since they hold no
   * permit of the door; the request that would exceed it is answered 503 and its connection closes. A body that came with its head does not
   * count. From 0,
   * which refuses every body that is to be waited for. Give it several times `maxBodySize`.
   *
   * @default "128 MiB"
   */
  readonly maxBufferedBodies?: ByteSize.Input | undefined
  /**
   * Bytes a second that a client must send of a body while somebody waits for it; slower for longer than `rateGrace` is answered 408
   * and the connection closes, or only closes when the response has begun. While the handler does not read, and while the process itself
   * stands still, no time passes. From 0, which asks for nothing. Kestrel's default.
   *
   * @default 240
   */
  readonly minBodyRate?: number | undefined
  /**
   * Bytes a second that a client must take of a response; slower for longer than `rateGrace` and the connection is reset, so that neither
   * the process nor the kernel keeps what the client does not read. Only time in which bytes lie in the process that the kernel does not
   * take counts. From 0, which asks for nothing. Kestrel's default.
   *
   * On Linux what the client has acknowledged is looked up in `/proc/net/tcp`. Elsewhere only what the kernel takes can be seen, which comes
   * in steps of up to megabytes; there a client is reset when nothing was taken for 55 seconds beyond the grace (nginx's `send_timeout`).
   *
   * @default 240
   */
  readonly minResponseRate?: number | undefined
  /**
   * How long a client may be slower than `minBodyRate` or `minResponseRate`. Time lost is made good by being faster, up to this much. Kept
   * to two seconds. From 1 second, finite. Kestrel's default.
   *
   * @default "5 seconds"
   */
  readonly rateGrace?: Duration.Input | undefined
  /**
   * How long a connection is kept open between two requests. Longer than the 60 seconds that load balancers usually keep theirs, or
   * they send requests into connections that are just being closed. From 1 second; `Infinity` keeps them without limit.
   *
   * @default "65 seconds"
   */
  readonly keepAliveTimeout?: Duration.Input | undefined
  /**
   * Requests inside at once: their handlers have not produced their response yet. An integer from 1, or `Infinity` for no limit.
   *
   * The default bounds memory and the number of fibers, not CPU: by Little's law 1024 inside are 10,000 requests a second that take
   * 100 ms each. Set it to what your dependencies carry.
   *
   * @default 1024
   */
  readonly maxConcurrent?: number | undefined
  /**
   * Requests that wait at the door; one more is answered 503. An integer from 0, which refuses what cannot start at once, or
   * `Infinity` for no bound. Those for which there is a permit, and which only wait for their turn on an event loop that is not behind, do
   * not count.
   *
   * @default 1024
   */
  readonly maxQueued?: number | undefined
  /**
   * The longest wait at the door; longer is answered 503. From 0; `Infinity` waits as long as `requestDeadline` allows.
   *
   * @default "1 second"
   */
  readonly maxQueueWait?: Duration.Input | undefined
  /**
   * How long the wait at the door may always be. When even the shortest wait of a `queueInterval` was longer, the door is overloaded: the
   * newest requests come first, and those that waited for more than twice this are answered 503, until the queue has been empty (`CoDel`).
   * Where requests hold their permits for longer than this, their mean time counts in its place, up to a tenth of `maxQueueWait`, and the
   * interval grows in proportion. From 1 ms; `Infinity` sheds nothing before `maxQueueWait`, and starts handlers at any pace.
   *
   * Handlers are started no faster than the event loop carries them to their end, also if they wait first and compute then: see `LoopPace`. A
   * burst of up to ten times this is, and what costs the loop next to nothing.
   *
   * CoDel's own default is 5 ms. That refuses 1.4 % of requests of 5 ms at four fifths of the load that one core carries, 20 ms 0.1 %
   * (simulated, Poisson arrivals); and more than forty clients that each send the next request as soon as the last is answered would be refused
   * by a server of 8000 requests a second, although none waits long.
   *
   * @default "20 millis"
   */
  readonly queueTarget?: Duration.Input | undefined
  /**
   * For how long a burst may make requests wait longer than `queueTarget` before it counts as an overload. Above `queueTarget`, finite. The
   * default of CoDel (RFC 8289) and of folly.
   *
   * @default "100 millis"
   */
  readonly queueInterval?: Duration.Input | undefined
  /**
   * From the arrival of a request's headers until its handler must have produced the response, the wait at the door included. When it
   * passes, the handler is interrupted and the answer is 504; a request that waits then, or whose turn comes only later, is answered 503
   * and never starts. Streaming the body of the response does not count. From 1 ms; `Infinity` sets no deadline.
   *
   * A client that says how long it waits (`DeadlineHeader`) shortens the deadline of its request, kept to 5 ms, and can not lengthen it.
   *
   * @default "30 seconds"
   */
  readonly requestDeadline?: Duration.Input | undefined
  /**
   * Bytes of one WebSocket message from a peer, all its fragments together; more closes the WebSocket with 1009. From 1 byte to 2 GiB
   * less one.
   *
   * @default "1 MiB"
   */
  readonly maxWebSocketMessageSize?: ByteSize.Input | undefined
  /**
   * Bytes of messages that wait in our memory until the kernel takes them for the peer of one WebSocket; what happens to a message
   * that would exceed it is said by `webSocketSlowConsumer`. A single message may be larger if nothing waits before it. From 0, which
   * sends one message after the other.
   *
   * @default "256 KiB"
   */
  readonly maxWebSocketQueue?: ByteSize.Input | undefined
  /**
   * What happens when a WebSocket's peer reads more slowly than the handler writes, and `maxWebSocketQueue` is full.
   *
   * - `"wait"`: the writer's effect waits until there is room, in the order of the writers. It ends with a `SocketWriteError` when the
   *   WebSocket closes first. Each waiting fiber holds one message. A handler that writes to many peers in turn waits for the slowest.
   * - `"close"`: the write fails with a `SocketWriteError` and the WebSocket is closed with 1008; the connection is reset if the peer
   *   does not answer within `webSocketCloseTimeout`.
   * - `"drop"`: the message is dropped and counted, and the write succeeds: for messages of which only the newest matter.
   *
   * @default "wait"
   */
  readonly webSocketSlowConsumer?: WebSocketSlowConsumer | undefined
  /**
   * How often a WebSocket's peer is pinged. One from which no byte has come since the last ping is reset at the next, unless it has
   * taken some of what lay before that ping. The clock stops while the handler does not read. From 1 second; `Infinity` sends no pings,
   * and keeps a peer that is gone until a write fails.
   *
   * @default "30 seconds"
   */
  readonly webSocketPingInterval?: Duration.Input | undefined
  /**
   * How long a WebSocket's peer may take to answer our close frame, behind all that waits before it; longer resets the connection.
   * After a close a handler that goes on, because it neither reads nor writes, is interrupted when this time has passed once more. From
   * 1 second; `Infinity` waits without limit.
   *
   * @default "5 seconds"
   */
  readonly webSocketCloseTimeout?: Duration.Input | undefined
  /**
   * How long a stopping server goes on accepting connections after its readiness turned 503, so that load balancers can notice. From
   * 0.
   *
   * @default 0
   */
  readonly preStop?: Duration.Input | undefined
  /**
   * How long requests in flight may take to end after the listener has closed; then their fibers are interrupted. From 0, which
   * interrupts at once; `Infinity` waits without limit.
   *
   * @default "10 seconds"
   */
  readonly drainTimeout?: Duration.Input | undefined
  /**
   * Requests that pass outside the door: probes must be answered however great the load.
   *
   * @default paths `/livez`, `/readyz` and `/metrics`
   */
  readonly exempt?: ((request: IncomingMessage) => boolean) | undefined
}

/**
 * What becomes of a message for a WebSocket whose peer does not keep up. See `Options`.
 *
 * @category options
 * @since 0.1.0
 */
export type WebSocketSlowConsumer = "wait" | "close" | "drop"

const probes = new Set(["/livez", "/readyz", "/metrics"])

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: {
  readonly [K in Exclude<keyof Options, "port" | "tls" | keyof OverloadOptions>]-?: Exclude<Options[K], undefined>
} = {
  host: "127.0.0.1",
  backlog: 511,
  inherit: false,
  maxConnections: 10_000,
  maxConnectionsPerAddress: Infinity,
  trustedProxies: [],
  http2: true,
  maxConcurrentStreams: 100,
  maxHeaderSize: "16 KiB",
  maxHeaders: 100,
  maxTargetSize: "8 KiB",
  headersTimeout: "10 seconds",
  bodyTimeout: "30 seconds",
  maxBodySize: "1 MiB",
  maxAwaitedBody: "64 KiB",
  maxBufferedBodies: "128 MiB",
  minBodyRate: 240,
  minResponseRate: 240,
  rateGrace: "5 seconds",
  keepAliveTimeout: "65 seconds",
  maxConcurrent: 1024,
  maxQueued: 1024,
  maxQueueWait: "1 second",
  queueTarget: "20 millis",
  queueInterval: "100 millis",
  requestDeadline: "30 seconds",
  maxWebSocketMessageSize: "1 MiB",
  maxWebSocketQueue: "256 KiB",
  webSocketSlowConsumer: "wait",
  webSocketPingInterval: "30 seconds",
  webSocketCloseTimeout: "5 seconds",
  preStop: 0,
  drainTimeout: "10 seconds",
  exempt: (request: IncomingMessage): boolean => probes.has(request.url!)
}
