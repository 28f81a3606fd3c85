import type * as Fiber from "effect/Fiber"
import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"
import type { Refusal, Ticket, Visitor } from "../Admission.ts"
import * as answers from "./answers.ts"
import type { Connection } from "./connections.ts"
import type { Dispatcher } from "./dispatcher.ts"
import type { Guarded, Incoming } from "./exchange.ts"
import type { Expiring } from "./expiryList.ts"
import type { Linked } from "./linkedList.ts"

/** Whether a request is a WebSocket handshake (RFC 6455 section 4.2.1). Any other `Upgrade` is ignored, as RFC 9110 section 7.8 allows. */
export const isHandshake = ({ headers, method }: IncomingMessage): boolean =>
  method === "GET" &&
  headers.upgrade?.toLowerCase() === "websocket" &&
  headers["sec-websocket-version"] !== undefined &&
  /^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")

/**
 * A WebSocket handshake. Until the connection is upgraded it is a request, and bound as one: by the door, by its deadline, by the drain.
 * Its handler need not upgrade; then its response is the end of the connection.
 */
export class Handshake implements Visitor, Expiring, Guarded {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = Infinity
  /** What the handler does after the handshake has no deadline. */
  readonly deadline = Infinity
  route = ""
  expired = false
  readonly #host: Dispatcher
  readonly #request: Incoming
  readonly #connection: Connection
  readonly #head: Buffer
  #ticket: Ticket | undefined = undefined
  #heldSince: number | undefined = undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #entered = false
  #pending = true

  constructor(host: Dispatcher, request: Incoming, connection: Connection, head: Buffer) {
    this.#host = host
    this.#request = request
    this.#connection = connection
    this.#head = head
    request.handshake = this
    connection.inFlight++
    host.deadlines.add(this, host.now())
    connection.socket.once("close", () => this.#closed())
    // Whoever ended our side, the client gets the usual grace to end its own.
    connection.socket.once("finish", () => connection.close())
  }

  /** Knocks at the door. */
  enterDoor(): void {
    this.#ticket = this.#host.door.enter(this)
  }

  admitted(): void {
    this.#ticket = undefined
    if (this.#connection.socket.destroyed) return this.#host.door.leave(0)
    this.#heldSince = this.#host.now()
    this.#host.upgradeHandler!(this.#request, this.#connection.socket as Socket, this.#head)
  }

  refused(reason: Refusal): void {
    this.#ticket = undefined
    this.#settle()
    this.#host.recorder.refused(reason)
    this.#connection.close(answers.overloaded)
  }

  handlerBegan(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.#entered = true
    this.#fiber = fiber
    if (this.expired) fiber.interruptUnsafe(fiber.id)
  }

  handlerEnded(): void {
    this.#fiber = undefined
    this.#connection.upgradedFiber = undefined
    this.#leave()
  }

  expire(): void {
    this.expired = true
    this.#fiber?.interruptUnsafe(this.#fiber.id)
  }

  /** The handshake is answered with 101: from here on this is a connection, not a request. */
  upgraded(): void {
    this.#settle()
    this.#leave()
    this.#connection.upgradedFiber = this.#fiber
    this.#host.connections.upgraded(this.#connection)
    if (this.#host.connections.draining) this.#fiber?.interruptUnsafe()
  }

  #closed(): void {
    if (this.#ticket !== undefined) this.#host.door.cancel(this.#ticket)
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
    if (this.#heldSince === undefined) return
    const held = this.#host.now() - this.#heldSince
    this.#heldSince = undefined
    this.#host.door.leave(held)
  }
}
