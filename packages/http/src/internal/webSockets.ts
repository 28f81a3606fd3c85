import * as NodeWS from "@effect/platform-node/NodeWS"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import type { Resolved } from "../ServerConfig.ts"
import type { Incoming } from "./exchange.ts"
import { ExpiryList } from "./expiryList.ts"
import { ServerWebSocket } from "./webSocket.ts"
import { WebSocketRecorder } from "./webSocketRecorder.ts"

/** `ws` keeps a time of its own for the close handshake. Ours comes first and ends the connection with a reset. */
const closeMarginMillis = 1000
/** Node takes a longer timer for one of a millisecond. */
const maxTimerMillis = 2 ** 31 - 1

/** The WebSockets of one server. */
export class WebSockets {
  readonly options: Resolved
  readonly now: () => number
  /** Those that wait for their next ping, in the order of their last. */
  readonly pings: ExpiryList
  /** Those whose peer is to answer our close frame, and those whose handler is to end after the connection did. */
  readonly closes: ExpiryList
  readonly recorder: WebSocketRecorder
  readonly #all = new Set<ServerWebSocket>()
  readonly #empty = Latch.makeUnsafe(true)
  #draining = false

  constructor(options: Resolved, now: () => number, context: Context.Context<never>) {
    this.recorder = new WebSocketRecorder(context)
    this.options = options
    this.now = now
    this.pings = new ExpiryList(options.webSocketPingInterval)
    this.closes = new ExpiryList(options.webSocketCloseTimeout)
  }

  /** The `ws` server that the adapter gives handshakes to. */
  makeServer(): NodeWS.WebSocketServer {
    return new HandshakeServer(this)
  }

  /** The handshake of a request is done. */
  opened(webSocket: ServerWebSocket, request: Incoming): void {
    this.#all.add(webSocket)
    this.#empty.closeUnsafe()
    request.handshake!.upgraded(webSocket)
  }

  /** The connection and the handler of a WebSocket have ended. */
  ended(webSocket: ServerWebSocket): void {
    this.closes.remove(webSocket)
    this.#all.delete(webSocket)
    if (this.#all.size === 0) this.#empty.openUnsafe()
  }

  /** Waits, without limit, until no WebSocket is open and no handler of one is at work. */
  get whenEmpty(): Effect.Effect<void> {
    return this.#empty.await
  }

  /** Closes all of them, and those to come, with 1001. Their handlers go on until they end by themselves. */
  drain(): void {
    this.#draining = true
    for (const webSocket of this.#all) webSocket.drain()
  }

  /** To be called once the handler knows of its WebSocket. */
  began(webSocket: ServerWebSocket): void {
    if (this.#draining) webSocket.drain()
  }

  /** Registers the gauge of them, which is read when it is exported. Returns how to remove it. */
  registerGauge(): () => void {
    return this.recorder.registerGauge(() => this.#all.size)
  }
}

/**
 * How many pieces, frames or reads of the socket, a message may come in. Each costs some hundred bytes beside its own: without this a
 * message of a megabyte, sent byte by byte, would hold hundreds. Segments are larger than 256 bytes on any network.
 */
const maxPieces = (messageSize: number): number => 1024 + Math.ceil(messageSize / 256)

/** Not all are in the types of `ws`. */
interface ServerOptions extends NodeWS.ServerOptions<typeof ServerWebSocket> {
  readonly closeTimeout: number
  readonly maxFragments: number
  readonly maxBufferedChunks: number
}

class HandshakeServer extends NodeWS.WebSocketServer<typeof ServerWebSocket> {
  readonly #owner: WebSockets

  constructor(owner: WebSockets) {
    const { maxWebSocketMessageSize, webSocketCloseTimeout } = owner.options
    const options: ServerOptions = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxWebSocketMessageSize,
      maxFragments: maxPieces(maxWebSocketMessageSize),
      maxBufferedChunks: maxPieces(maxWebSocketMessageSize),
      closeTimeout: Math.min(webSocketCloseTimeout + closeMarginMillis, maxTimerMillis),
      WebSocket: ServerWebSocket
    }
    super(options)
    this.#owner = owner
  }

  override handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: (webSocket: ServerWebSocket, request: IncomingMessage) => void
  ): void {
    super.handleUpgrade(request, socket, head, (webSocket) => {
      this.#owner.opened(webSocket, request as Incoming)
      callback(webSocket, request)
      this.#owner.began(webSocket)
    })
  }
}
