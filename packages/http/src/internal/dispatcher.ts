import type * as Effect from "effect/Effect"
import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as Admission from "../Admission.ts"
import type { Refusal } from "../Admission.ts"
import type { Resolved } from "../ServerConfig.ts"
import * as answers from "./answers.ts"
import { BodyBudget } from "./bodyBudget.ts"
import { Connections } from "./connections.ts"
import { Exchange } from "./exchange.ts"
import type { Incoming } from "./exchange.ts"
import { ExpiryList } from "./expiryList.ts"
import { Handshake, isHandshake } from "./handshake.ts"
import type { Recorder } from "./recorder.ts"

export type UpgradeHandler = (request: Incoming, socket: Duplex, head: Buffer) => void
export type Handler = (request: Incoming, response: ServerResponse) => void

/** The way of a request from node's events to the handler: everything before a fiber exists, and everything after it. */
export class Dispatcher {
  readonly options: Resolved
  readonly now: () => number
  readonly recorder: Recorder
  readonly door: Admission.Admission
  readonly connections: Connections
  /** Requests whose handlers are not done, in the order of their arrival. */
  readonly deadlines: ExpiryList
  /** Bodies that a handler waits for. */
  readonly bodies: ExpiryList
  readonly bodyBudget: BodyBudget
  /** The adapter's handler, once the server serves. */
  handler: Handler | undefined = undefined
  /** The adapter's handler of WebSocket handshakes, once the server serves. */
  upgradeHandler: UpgradeHandler | undefined = undefined
  #announcing = false

  constructor(options: Resolved, now: () => number, recorder: Recorder) {
    this.options = options
    this.now = now
    this.recorder = recorder
    this.door = Admission.make({
      maxConcurrent: options.maxConcurrent,
      maxQueued: options.maxQueued,
      // Waiting spends the deadline: one that can not make it any more is refused at the door, not started.
      maxWait: Math.min(options.maxQueueWait, options.requestDeadline),
      now
    })
    this.connections = new Connections(now)
    this.deadlines = new ExpiryList(options.requestDeadline)
    this.bodies = new ExpiryList(options.bodyTimeout)
    this.bodyBudget = new BodyBudget(options.maxBufferedBodies)
  }

  readonly onRequest = (request: Incoming, response: ServerResponse): void => this.#begin(request, response, false)

  readonly onCheckContinue = (request: Incoming, response: ServerResponse): void => this.#begin(request, response, true)

  #begin(request: Incoming, response: ServerResponse, awaitsContinue: boolean): void {
    const connection = this.connections.all.get(request.socket)
    // RFC 9112 section 9.6: nothing that follows a `Connection: close` of ours may be processed.
    if (connection === undefined || connection.closing || !this.#reopen(connection.exchange)) return
    const exchange = new Exchange(this, request, response, connection, this.now())
    exchange.awaitsContinue = awaitsContinue
    request.exchange = exchange
    connection.began(exchange)
    response.on("close", onClose)
    if (this.#announcing) response.shouldKeepAlive = false
    if (request.httpVersionMajor !== 1 || !hasValidHost(request)) return this.#reject(exchange)
    if (this.handler === undefined) return this.#answer(exchange, answers.starting, "Starting", 1)
    this.deadlines.add(exchange, exchange.arrivedAt)
    if (this.options.exempt(request)) this.start(exchange)
    else if (connection.inFlight === 1) exchange.enterDoor()
    else if (!connection.hold(exchange)) this.refuse(exchange, "QueueFull")
  }

  /** A WebSocket handshake. Node has given the socket up: the answer ends the connection, unless it upgrades it. */
  readonly onUpgrade = (request: Incoming, socket: Duplex, head: Buffer): void => {
    const connection = this.connections.all.get(request.socket)
    if (connection === undefined || this.upgradeHandler === undefined) return void socket.destroy()
    if (!hasValidHost(request)) {
      this.recorder.refused("MalformedRequest")
      return connection.close(answers.malformed)
    }
    if (!isHandshake(request)) return connection.close(answers.malformed)
    new Handshake(this, request, connection, head).enterDoor()
  }

  /**
   * A pipelined request came while an earlier one, which was told to close the connection, is in flight. Unless its headers have gone
   * out it leaves that to the newer one. Says whether the newer one can be answered.
   */
  #reopen(earlier: Exchange | undefined): boolean {
    if (earlier === undefined || earlier.response.shouldKeepAlive) return true
    if (earlier.response.headersSent) return false
    if (this.#announcing) earlier.response.shouldKeepAlive = true
    return true
  }

  /** Hands a request over to its fiber. */
  start(exchange: Exchange): void {
    const { request, response } = exchange
    // The client has gone this very moment: `closed` gives the permit back.
    if (response.destroyed) return
    if (exchange.awaitsContinue) response.writeContinue()
    this.handler!(request, response)
  }

  refuse(exchange: Exchange, reason: Refusal): void {
    this.deadlines.remove(exchange)
    const answer = reason === "QueueFull" ? answers.queueFull : answers.waitExceeded
    this.#answer(exchange, answer, reason, this.door.retryAfterSeconds())
  }

  #reject(exchange: Exchange): void {
    exchange.response.shouldKeepAlive = false
    this.#answer(exchange, answers.badRequest, "MalformedRequest", 0)
  }

  #answer(
    exchange: Exchange,
    answer: answers.Answer,
    reason: Parameters<Recorder["refused"]>[0],
    retryAfter: number
  ): void {
    this.recorder.refused(reason)
    const { awaitsContinue, connection, request, response } = exchange
    answers.send(answer, request, response, { awaitsContinue, retryAfter, close: () => connection.close() })
  }

  /** From now on every response closes its connection, those in flight included whose headers have not gone out. */
  announceClose(): void {
    this.#announcing = true
    for (const { exchange } of this.connections.all.values()) {
      if (exchange !== undefined && !exchange.response.headersSent) exchange.response.shouldKeepAlive = false
    }
  }

  /** What enforces the timeouts: to be forked in the scope of the server. */
  get alarms(): ReadonlyArray<Effect.Effect<never>> {
    const { bodies, connections, deadlines, door } = this
    return [
      door.expire,
      ...[deadlines, bodies, connections.lingering, connections.closing].map(({ alarm }) => alarm.run)
    ]
  }

  /** Node could not parse what a connection sent, or it took too long. */
  readonly onClientError = (error: Error & { readonly code?: string }, socket: Socket): void => {
    const connection = this.connections.all.get(socket)
    if (connection === undefined || !socket.writable) return void socket.destroy()
    if (connection.closing) return
    const { exchange } = connection
    if (exchange !== undefined) {
      // What can not be read came behind a good request, which is answered first; then the connection ends.
      if (exchange.request.complete) {
        connection.closing = true
        return exchange.closeAfter()
      }
      if (exchange.response.headersSent || connection.inFlight > 1) return void socket.destroy()
    }
    const [bytes, reason] = lastAnswer(error.code, exchange !== undefined)
    this.recorder.refused(reason)
    connection.close(bytes)
  }
}

const lastAnswer = (
  code: string | undefined,
  inBody: boolean
): readonly [Uint8Array, "HeadersTooLarge" | "RequestTimeout" | "MalformedRequest"] => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return [answers.headersTooLarge, "HeadersTooLarge"]
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return [answers.requestTimeout, "RequestTimeout"]
    case "HPE_INVALID_EOF_STATE":
      return inBody ? [answers.incomplete, "RequestTimeout"] : [answers.malformed, "MalformedRequest"]
    default:
      return [answers.malformed, "MalformedRequest"]
  }
}

function onClose(this: ServerResponse): void {
  const exchange = (this.req as Incoming).exchange!
  exchange.host.recorder.ended(exchange, exchange.host.now())
  exchange.closed()
}

/** RFC 3986 section 3.2.2 and 3.2.3, as RFC 9110 section 7.2 uses them. */
const hostPattern = /^(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*(?::\d*)?$|^\[[\da-f:.]+\](?::\d*)?$/i

/** The last Host that was found valid: nearly always the next one too. */
let validHost: string | undefined

/** Node keeps the first of two Host fields and drops the other, which a proxy in front may have used (RFC 9112 section 3.2). */
const hasValidHost = (request: Incoming): boolean => {
  const { rawHeaders } = request
  let host: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length !== 4 || name.toLowerCase() !== "host") continue
    if (host !== undefined) return false
    host = rawHeaders[i + 1]!
  }
  if (host === undefined || host === validHost) return true
  if (!hostPattern.test(host)) return false
  validHost = host
  return true
}
