import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { ServerResponse } from "node:http"
import type { Refusal, Ticket, Visitor } from "../Admission.ts"
import type { Connection } from "./connections.ts"
import type { Dispatcher } from "./dispatcher.ts"
import type { Expiring } from "./expiryList.ts"
import type { Handshake } from "./handshake.ts"
import type { Linked } from "./linkedList.ts"
import { http } from "./nodeHttp.ts"

/** The request class given to node, so that what belongs to a request hangs on it and needs no look-up. */
export class Incoming extends http.IncomingMessage {
  exchange: Exchange | undefined = undefined
  handshake: Handshake | undefined = undefined
}

/** What the handler of a request is told, and tells, about its time. */
export interface Guarded {
  /** The deadline that the handler sees, in monotonic milliseconds. */
  readonly deadline: number
  /** The deadline passed before the handler was done. */
  readonly expired: boolean
  /** The pattern of the route, known once the handler is done. */
  route: string
  /** The handler begins, on this fiber. */
  handlerBegan(fiber: Fiber.Fiber<unknown, unknown>): void
  /** The handler has produced its response, or failed, and its finalizers have run. */
  handlerEnded(): void
}

/** What belongs to a request that came through our own server; `undefined` on any other server. */
export const guardedOf = (request: HttpServerRequest): Guarded | undefined =>
  request.source instanceof Incoming ? (request.source.exchange ?? request.source.handshake) : undefined

/** The same, for requests that have a response of node's: not for handshakes. */
export const exchangeOf = (request: HttpServerRequest): Exchange | undefined =>
  request.source instanceof Incoming ? request.source.exchange : undefined

/** The time of a permit that is not held. */
const notHeld = -1

/** One request and its response, from the arrival of the headers to the last byte sent. It owns the permit of the door. */
export class Exchange implements Visitor, Expiring, Guarded {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  /** The deadline, in monotonic milliseconds. */
  dueAt = Infinity
  readonly host: Dispatcher
  readonly request: Incoming
  readonly response: ServerResponse
  readonly connection: Connection
  readonly arrivedAt: number
  route = ""
  expired = false
  /** The client waits for `100 Continue` before it sends the body. */
  awaitsContinue = false
  #ticket: Ticket | undefined = undefined
  #waited = false
  #heldSince = notHeld
  #paused = false
  #entered = false
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(
    host: Dispatcher,
    request: Incoming,
    response: ServerResponse,
    connection: Connection,
    arrivedAt: number
  ) {
    this.host = host
    this.request = request
    this.response = response
    this.connection = connection
    this.arrivedAt = arrivedAt
  }

  get deadline(): number {
    return this.dueAt
  }

  /** Knocks at the door. */
  enterDoor(): void {
    const ticket = this.host.door.enter(this)
    // Set only while it waits: the handler of one that was admitted has run already.
    if (ticket !== undefined) {
      this.#ticket = ticket
      this.#waited = true
    }
  }

  admitted(): void {
    this.#ticket = undefined
    if (this.host.now() >= this.dueAt) this.expired = true
    this.#heldSince = this.#waited ? this.host.now() : this.arrivedAt
    this.host.start(this)
  }

  refused(reason: Refusal): void {
    this.#ticket = undefined
    this.host.refuse(this, reason)
  }

  handlerBegan(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.#entered = true
    this.#fiber = fiber
    if (this.expired) fiber.interruptUnsafe(fiber.id)
  }

  handlerEnded(): void {
    this.#fiber = undefined
    this.#leave()
  }

  /** The deadline has passed. One that still waits is dealt with by the door, whose longest wait is no longer than this. */
  expire(): void {
    if (this.#ticket !== undefined) return
    this.expired = true
    const fiber = this.#fiber
    if (fiber !== undefined) fiber.interruptUnsafe(fiber.id)
  }

  /** The response was sent, or the client is gone. */
  closed(): void {
    const ticket = this.#ticket
    if (ticket !== undefined) {
      this.#ticket = undefined
      this.host.door.cancel(ticket)
    }
    // A handler that began keeps its permit until it has ended: it may still be at work.
    if (!this.#entered) this.#leave()
    this.connection.ended(this)
  }

  /** Closes the connection once this response was sent. */
  closeAfter(): void {
    const { connection, response } = this
    if (!response.headersSent) response.shouldKeepAlive = false
    response.once("close", () => connection.close())
  }

  #leave(): void {
    this.host.deadlines.remove(this)
    if (this.#heldSince === notHeld) return
    const held = this.host.now() - this.#heldSince
    this.#heldSince = notHeld
    this.host.door.leave(held)
  }

  /** Gives the permit up while the handler only waits for the client. */
  pausePermit(): void {
    if (this.#heldSince === notHeld) return
    this.#heldSince = notHeld
    this.#paused = true
    this.host.door.pause()
  }

  /** Takes a permit again after `pausePermit`: waits for one, ahead of new requests, as long as the deadline allows. */
  regainPermit(): Effect.Effect<void> {
    if (!this.#paused) return Effect.void
    this.#paused = false
    return Effect.callback<void>((resume) => {
      const ticket = this.host.door.resume(new Resumption(this, resume))
      return ticket === undefined ? undefined : Effect.sync(() => this.host.door.cancel(ticket))
    })
  }

  hold(): void {
    this.#heldSince = this.host.now()
  }
}

/** A request that was inside already and wants to go on. */
class Resumption implements Visitor {
  readonly #exchange: Exchange
  readonly #resume: (effect: Effect.Effect<void>) => void

  constructor(exchange: Exchange, resume: (effect: Effect.Effect<void>) => void) {
    this.#exchange = exchange
    this.#resume = resume
  }

  admitted(): void {
    this.#exchange.hold()
    this.#resume(Effect.void)
  }

  refused(): void {
    // The door does not refuse those who resume.
  }
}
