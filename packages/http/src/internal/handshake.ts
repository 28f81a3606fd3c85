import type * as Fiber from "effect/Fiber"
import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Priority } from "../Priority.ts"
import type { Refusal, Visitor } from "../Admission.ts"
import * as answers from "./answers.ts"
import type { Connection } from "./connection.ts"
import type { Dispatcher } from "./dispatcher.ts"
import { outcomeOf } from "./exchange.ts"
import type { Guarded, Incoming, Standing } from "./exchange.ts"
import { remainingOf } from "./deadlineFields.ts"
import type { Expiring } from "./expiryList.ts"
import { readHead, refusalOf } from "./head.ts"
import type { Linked } from "./linkedList.ts"
import { Permit } from "./permit.ts"
import type { Fields } from "./rateLimit/fields.ts"
import type { RefusalReason } from "./recorder.ts"
import type { ServerWebSocket } from "./webSocket.ts"

/**
 * Whether a request wants to be a WebSocket (RFC 6455 section 4.2.1); that it has `Connection: upgrade` node has seen. Any other `Upgrade`
 * is ignored, as RFC 9110 section 7.8 allows, and so is one with a body, which proxies before us might not end where we would.
 */
export const isHandshake = ({ headers, httpVersionMinor, method }: IncomingMessage): boolean =>
  method === "GET" &&
  httpVersionMinor === 1 &&
  headers.upgrade?.toLowerCase() === "websocket" &&
  (headers["content-length"] ?? "0") === "0" &&
  headers["transfer-encoding"] === undefined

export interface HandshakeRefusal {
  readonly reason: RefusalReason
  readonly bytes: Uint8Array
}

/** Why a handshake is turned away before it knocks at the door, if it is. */
export const refusalOfHandshake = (
  { door, options, upgradeHandler }: Dispatcher,
  request: Incoming,
  { reserved }: Connection
): HandshakeRefusal | undefined => {
  const { headers } = request
  const refusal = refusalOf(request, readHead(request), options)
  if (refusal !== undefined) return { reason: refusal.reason, bytes: answers.toBytes(refusal.answer) }
  if (headers["sec-websocket-version"] !== "13") return wrongVersion
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")) return badKey
  if (upgradeHandler === undefined) return { reason: "Starting", bytes: answers.unavailable(answers.starting, 1) }
  if (!reserved) return undefined
  // What is kept for probes is for requests that end.
  return { reason: "ConnectionLimit", bytes: answers.unavailable(answers.queueFull, door.retryAfterSeconds()) }
}

const wrongVersion: HandshakeRefusal = { reason: "MalformedRequest", bytes: answers.wrongWebSocketVersion }
const badKey: HandshakeRefusal = { reason: "MalformedRequest", bytes: answers.badWebSocketKey }

/** What judges requests has thrown. */
export const unjudged: HandshakeRefusal = { reason: "Failed", bytes: answers.toBytes(answers.failed) }

const ignoreErrors = (): void => {}

/** Nobody listens to a socket that node has handed over: an error of one would end the process. */
export const acceptHandOver = (socket: Duplex): void => void socket.on("error", ignoreErrors)

/** Answers a handshake and ends its connection. What the client sent behind it is read and dropped, or a reset could overtake the answer. */
export const refuseHandshake = (
  { recorder }: Dispatcher,
  connection: Connection,
  { bytes, reason }: HandshakeRefusal
): void => {
  const { socket } = connection
  recorder.refused(reason)
  socket.resume()
  connection.close(bytes)
}

/**
 * A WebSocket handshake. Until the connection is upgraded it is a request, and bound as one: by the door, by its deadline, by the drain.
 * Its handler need not upgrade; then its response is the end of the connection.
 */
export class Handshake implements Visitor, Expiring, Guarded, Standing {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = Infinity
  /** What the handler does after the handshake has no deadline. */
  readonly deadline = Infinity
  route = ""
  expired = false
  impatient = false
  status = 0
  /** It has no quota to pay from. At the door it is as any other. */
  exempt = false
  priority: Priority = "normal"
  partition = 0
  /** A handshake has no body. */
  readonly bodyTimedOut = false
  quota: Fields | undefined = undefined
  /** What came of it. */
  webSocket: ServerWebSocket | undefined = undefined
  readonly #host: Dispatcher
  readonly #request: Incoming
  readonly #connection: Connection
  readonly #head: Buffer
  readonly #permit: Permit
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #entered = false
  #pending = true

  constructor(host: Dispatcher, request: Incoming, connection: Connection, head: Buffer) {
    this.#host = host
    this.#request = request
    this.#connection = connection
    this.#head = head
    this.#permit = new Permit(host.door, this)
    request.handshake = this
    connection.inFlight++
    connection.socket.once("close", () => this.#closed())
    // Whoever ended our side, the client gets the usual grace to end its own.
    connection.socket.once("finish", () => connection.close())
  }

  /** Knocks at the door. */
  enterDoor(now: number): void {
    this.impatient = this.#host.deadlines.add(this, now, remainingOf(this.#request.headers))
    this.#permit.ask(now)
  }

  admitted(now: number): void {
    this.#permit.granted(now)
    if (this.#connection.socket.destroyed) return this.#leave()
    if (this.#connection.socket.readableEnded) return this.#refuseHalfClosed()
    this.#host.upgradeHandler!(this.#request, this.#connection.socket as Socket, this.#head)
  }

  refused(reason: Refusal, signal?: string): void {
    this.#permit.denied()
    this.#settle()
    const bytes = answers.unavailable(answers.overloaded(reason, signal), this.#host.door.retryAfterSeconds())
    refuseHandshake(this.#host, this.#connection, { reason: signal ?? reason, bytes })
  }

  /** It is refused before it knocks at the door. */
  turnAway(refusal: HandshakeRefusal): void {
    this.#settle()
    refuseHandshake(this.#host, this.#connection, refusal)
  }

  /** The client closed its side meanwhile: there is nobody to talk to, but somebody may wait for an answer. */
  #refuseHalfClosed(): void {
    this.#settle()
    this.#leave()
    refuseHandshake(this.#host, this.#connection, { reason: "MalformedRequest", bytes: answers.halfClosed })
  }

  handlerBegan(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.#entered = true
    this.#fiber = fiber
    if (this.expired) fiber.interruptUnsafe(fiber.id)
  }

  answers(): void {}

  handlerEnded(): void {
    this.#fiber = undefined
    this.#leave()
    this.webSocket?.handlerEnded()
  }

  expire(): void {
    this.expired = true
    if (this.#permit.cancel()) return this.refused("WaitExceeded")
    this.#fiber?.interruptUnsafe(this.#fiber.id)
  }

  /** The handshake is answered with 101: from here on this is a connection, not a request. */
  upgraded(webSocket: ServerWebSocket): void {
    this.#settle()
    this.#leave()
    this.webSocket = webSocket
    this.#host.connections.upgraded(this.#connection)
    webSocket.opened(this.#host.webSockets, this.#connection, this.#fiber)
  }

  #closed(): void {
    this.#permit.cancel()
    this.#settle()
    // A handler that began keeps its permit until it has ended: it may still be at work.
    if (!this.#entered) this.#leave()
  }

  #settle(): void {
    if (!this.#pending) return
    this.#pending = false
    this.#connection.inFlight--
    this.#host.deadlines.remove(this)
  }

  #leave(): void {
    const isGone = this.#connection.socket.destroyed
    this.#permit.leave(this.#host.now(), outcomeOf(this, isGone))
  }
}
