import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2"
import type { ServerResponse } from "node:http"
import type { TLSSocket } from "node:tls"
import { ClientPace } from "../clientPace.ts"
import { Connection, lingerMillis } from "../connection.ts"
import type { ConnectionState } from "../connection.ts"
import { closed } from "../dispatcher.ts"
import type { Dispatcher } from "../dispatcher.ts"
import { Exchange } from "../exchange.ts"
import type { Incoming } from "../exchange.ts"
import * as socketState from "../socketState.ts"
import { isContinue, refusalOf } from "./head.ts"
import { Http2Incoming, Http2Outgoing } from "./messages.ts"
import { openSession } from "./session.ts"
import type { KernelView } from "../tcpTable.ts"

const { constants } = process.getBuiltinModule("node:http2")

/** The share of the door's permits that the streams of one connection may have: an eighth, and one at least. */
const shareOfDoor = 8

/**
 * PING and SETTINGS frames that a connection may send in a second: each must be answered. Clients that measure round trips send some tens.
 */
const maxControlFrames = 1000

/** The most that the answer to one of them is on the wire: a SETTINGS or PING frame in a TLS record of its own. */
const controlFrameBytes = 64

/** What is known of one stream beside its exchange. */
interface Stream {
  readonly request: Http2Incoming
  readonly response: Http2Outgoing
  readonly pace: ClientPace
  /** Bytes of its body that had come at the last sweep. */
  received: number
  /** Its share of what the connection has sent while it waited for the client's window. */
  sent: number
}

/**
 * The record of a connection that speaks HTTP/2. Each stream is an exchange. nghttp2, inside node, keeps the protocol; this keeps the
 * bounds.
 */
export class Http2Connection extends Connection {
  readonly #host: Dispatcher
  readonly #session: ServerHttp2Session
  readonly #streams = new Map<Exchange, Stream>()
  /** Requests at the door or inside: also of streams that were reset, until their handlers have ended. */
  readonly #entered = new Set<Exchange>()
  /** Requests that wait until one of those leaves. */
  readonly #waiting = new Set<Exchange>()
  readonly #share: number
  #controlFrames = 0
  /** Nothing was to be sent any more at the last sweep. */
  #quiet = false

  constructor(socket: TLSSocket, host: Dispatcher) {
    super(socket, host.connections, host.connections.now())
    this.#host = host
    this.#share = Math.max(1, Math.floor(host.options.maxConcurrent / shareOfDoor))
    const onControlFrame = (): void => void this.#controlFrames++
    this.#session = openSession(socket, host.options)
    this.#session.on("stream", (stream, headers, _flags, raw) => this.#begin(stream, headers, raw as Array<string>))
    this.#session.on("ping", onControlFrame)
    this.#session.on("remoteSettings", onControlFrame)
    // The connection is gone then, and its streams end with it. Unheard it would end the process.
    this.#session.on("error", ignore)
  }

  #begin(stream: ServerHttp2Stream, headers: Http2Incoming["headers"], raw: Array<string>): void {
    // A flood of streams that are reset at once costs no more than this.
    if (stream.destroyed || stream.closed) return
    const { options } = this.#host
    const request = new Http2Incoming(stream, headers, raw)
    const response = new Http2Outgoing(stream)
    // The compatibility classes mirror those of HTTP/1.1, and ours add what is used beyond that.
    const exchange = new Exchange(
      this.#host,
      request as unknown as Incoming,
      response as unknown as ServerResponse,
      this,
      this.#host.now()
    )
    request.exchange = exchange
    this.#streams.set(exchange, { request, response, pace: new ClientPace(this.owner.limits), received: 0, sent: 0 })
    this.began(exchange)
    response.on("close", onClose)
    stream.once("wantTrailers", onWritten)
    exchange.awaitsContinue = isContinue(headers.expect)
    const length = Number(headers["content-length"] ?? 0)
    exchange.awaitsSmallBody = !exchange.awaitsContinue && length > 0 && length <= options.maxAwaitedBody
    // Nothing comes unless somebody reads.
    if (exchange.awaitsSmallBody) request.read(0)
    this.#host.admit(exchange, refusalOf(request, options))
  }

  override get state(): ConnectionState {
    if (this.#streams.size === 0) return this.requests === 0 ? "new" : "idle"
    let writes = false
    for (const { request, response } of this.#streams.values()) {
      if (response.headersSent) writes = true
      else if (request.complete) return "handling"
    }
    return writes ? "writing" : "body"
  }

  override get exchanges(): Iterable<Exchange> {
    return this.#streams.keys()
  }

  override get held(): number {
    return this.#waiting.size
  }

  override slowness(now: number): number {
    if (this.closing || this.#streams.size === 0) return super.slowness(now)
    // One stream that keeps pace is reason enough to keep the connection, as long as the connection does.
    let best = 1
    for (const { pace } of this.#streams.values()) best = Math.min(best, pace.slowness)
    return Math.max(super.slowness(now), best)
  }

  override began(_exchange: Exchange): void {
    this.requests++
    this.inFlight = this.#streams.size
  }

  override ended(exchange: Exchange, now: number): void {
    this.#streams.delete(exchange)
    this.#waiting.delete(exchange)
    this.inFlight = this.#streams.size
    if (this.inFlight > 0) return
    this.waitsSince = this.owner.toMillis(now)
    if (this.owner.draining) this.linger()
  }

  override admit(exchange: Exchange): boolean {
    if (exchange.exempt) exchange.enterDoor(exchange.arrivedAt)
    else if (this.#entered.size >= this.#share) this.#waiting.add(exchange)
    else this.#enter(exchange)
    return true
  }

  #enter(exchange: Exchange): void {
    this.#entered.add(exchange)
    exchange.enterDoor()
  }

  override left(exchange: Exchange): void {
    if (!this.#entered.delete(exchange)) return
    const [next] = this.#waiting
    if (next === undefined) return
    this.#waiting.delete(next)
    this.#enter(next)
  }

  /** A GOAWAY names the last stream that is answered. Those after it were never begun: their client may ask again, elsewhere. */
  override close(): void {
    if (this.closing) return
    this.closing = true
    // It ends with its last stream, when all of it has been handed to the kernel.
    this.#session.close()
    this.owner.sweep.schedule(this, lingerMillis)
  }

  override closeQuietly(): void {
    this.close()
  }

  override cut(exchange: Exchange): void {
    this.#streams.get(exchange)?.response.stream.close(constants.NGHTTP2_CANCEL)
  }

  override drain(): void {
    // A client that has just connected is about to ask.
    if (this.requests === 0) this.linger()
    else this.close()
  }

  override linger(): void {
    if (!this.closing) this.owner.sweep.schedule(this, lingerMillis)
  }

  override onEnd(): void {
    // Without its side of the connection a client of HTTP/2 can not go on to read: it is gone.
    this.socket.destroySoon()
  }

  protected override check(now: number, elapsed: number, _received: number, sent: number): void {
    this.paceReader(elapsed, sent)
    if (this.closing) this.owner.sweep.schedule(this, lingerMillis)
    if (this.#session.destroyed) return this.owner.tcpTable.suspect(this)
    const controlled = this.#controlFrames
    this.#controlFrames = 0
    if (controlled > maxControlFrames) return this.#flooded()
    if (this.#streams.size === 0) return this.#checkWait(now)
    this.#expireWaiting()
    this.#paceStreams(elapsed, sent - controlled * controlFrameBytes)
  }

  /** No stream is open. Other frames than those that open one do not keep the connection. */
  #checkWait(now: number): void {
    if (this.closing) return this.#checkQuiet()
    const { headersTimeout, keepAliveTimeout } = this.owner.limits
    const limit = this.reserved || this.owner.draining ? 0 : this.requests === 0 ? headersTimeout : keepAliveTimeout
    if (now - this.waitsSince < limit) return
    if (this.requests === 0 && !this.owner.draining) this.owner.timedOut()
    this.close()
  }

  /** Node ends a session that is closed by itself, unless half of a request has come: it waits for the rest then. */
  #checkQuiet(): void {
    const quiet = !this.awaitsReader
    if (quiet && this.#quiet) this.#session.destroy()
    this.#quiet = quiet
  }

  #flooded(): void {
    this.owner.evicted("Flood")
    this.closing = true
    this.#session.destroy(new Error("too many PING and SETTINGS frames"), constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  #expireWaiting(): void {
    const before = this.#host.now() - this.#host.options.maxQueueWait
    for (const exchange of this.#waiting) {
      // They are in the order of their arrival.
      if (exchange.arrivedAt > before) return
      this.#waiting.delete(exchange)
      this.#host.refuse(exchange, "WaitExceeded")
    }
  }

  #paceStreams(elapsed: number, sent: number): void {
    const blocked = this.awaitsReader
    let stalled = 0
    // What the kernel does not take is the connection's matter.
    if (!blocked) for (const { response } of this.#streams.values()) if (awaitsWindow(response)) stalled++
    const share = Math.max(0, sent) / stalled
    for (const [exchange, stream] of this.#streams) {
      exchange.checkBody()
      this.#paceBody(exchange, stream, elapsed)
      const awaited = !blocked && awaitsWindow(stream.response)
      if (awaited) stream.sent += share
      const verdict = stream.pace.chargeReader(awaited, elapsed, awaited ? share : 0)
      if (verdict === "suspect") stream.pace.acknowledged(stream.sent)
      if (verdict !== "tooSlow") continue
      this.owner.readerReset()
      this.cut(exchange)
    }
  }

  #paceBody(exchange: Exchange, stream: Stream, elapsed: number): void {
    const { bytesReceived, complete } = stream.request
    const received = bytesReceived - stream.received
    stream.received = bytesReceived
    if (stream.pace.chargeSender(!complete && exchange.awaitsBody, elapsed, received)) exchange.bodyTooSlow()
  }

  /** The session writes past its socket, whose own queue is always empty. */
  protected override get awaitsReader(): boolean {
    return this.#session.destroyed || socketState.queuedBytes(this.transport) > 0
  }

  /** A session that has ended is kept until the client has all of it: what it still sends would meet a reset, which overtakes the rest. */
  override looked(up: KernelView | "gone" | undefined): void {
    const isDone = up === undefined || up === "gone" || up.unacknowledged === 0
    if (this.#session.destroyed && isDone) this.socket.destroy()
    else super.looked(up)
  }
}

const ignore = (): void => {}

function onClose(this: ServerResponse): void {
  closed(this)
}

/** Whether bytes of a response wait for the client to open its window. */
const awaitsWindow = ({ stream }: Http2Outgoing): boolean => !stream.destroyed && stream.bufferSize > 0

/** A `wantTrailers` listener of streams: all of the response but its end has been written. Node writes that in its next turn, before us. */
function onWritten(this: ServerHttp2Stream): void {
  setImmediate(endUnread, this)
}

/** The rest of a body that nobody reads is not wanted (RFC 9113 section 8.1). Node does the same, unless somebody has begun to read. */
const endUnread = (stream: ServerHttp2Stream): void => {
  if (!stream.endAfterHeaders && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
}
