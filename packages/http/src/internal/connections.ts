import type * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Fiber from "effect/Fiber"
import type { Socket } from "node:net"
import type { Exchange } from "./exchange.ts"
import { ExpiryList } from "./expiryList.ts"
import type { Expiring } from "./expiryList.ts"
import type { Linked } from "./linkedList.ts"

export type ConnectionState = (typeof connectionStates)[number]

/**
 * What a connection is doing: nothing was received yet, part of a head, a body that is still arriving, a complete request whose
 * response has not begun, a response being sent, waiting for the next request, or something else than HTTP by now.
 */
export const connectionStates = ["new", "head", "body", "handling", "writing", "idle", "upgraded"] as const

/**
 * How long a connection that may be used again is kept once the server drains. A request that was on its way when we said nothing
 * of closing is still answered in this time, instead of meeting a reset (nodejs/node#60617).
 */
export const lingerMillis = 250

/**
 * How long a connection is kept after our side of it was closed, for the client to read the answer: destroying it while bytes of the
 * client lie unread sends a reset, which can overtake the answer (RFC 9112 section 9.6). The value of `@effect/platform-node`.
 */
export const closeGraceMillis = 500

/**
 * How many pipelined requests of a connection are kept until those before them are answered. Responses go out one after the other in any
 * case; if each request had a permit meanwhile, one client could take all of them. More are refused.
 */
const maxHeld = 32

/** The record of one socket. States are derived when asked for: the hot path keeps no books. */
export class Connection implements Expiring {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = 0
  /** The newest request that is in flight. */
  exchange: Exchange | undefined = undefined
  /** Requests in flight: more than one only if the client pipelines. */
  inFlight = 0
  upgraded = false
  /** The handler of an upgraded connection, while it runs. */
  upgradedFiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** No further request of this connection is answered: we have closed our side, or said that we will. */
  closing = false
  /** Bytes that had been read when the last request ended. */
  #bytesAtRest = 0
  readonly #held: Array<Exchange> = []
  readonly socket: Socket
  readonly #owner: Connections

  constructor(socket: Socket, owner: Connections) {
    this.socket = socket
    this.#owner = owner
  }

  get state(): ConnectionState {
    if (this.upgraded) return "upgraded"
    if (this.exchange === undefined) {
      const read = this.socket.bytesRead
      return read === 0 ? "new" : read > this.#bytesAtRest ? "head" : "idle"
    }
    const { request, response } = this.exchange
    return response.headersSent ? "writing" : request.complete ? "handling" : "body"
  }

  /** Keeps a pipelined request until those before it are answered. Says whether there was room for it. */
  hold(exchange: Exchange): boolean {
    if (this.#held.length >= maxHeld) return false
    this.#held.push(exchange)
    return true
  }

  get held(): number {
    return this.#held.length
  }

  began(exchange: Exchange): void {
    this.exchange = exchange
    this.inFlight++
  }

  ended(exchange: Exchange): void {
    this.inFlight--
    const next = this.#held.shift()
    if (next !== undefined && !this.socket.destroyed) next.enterDoor()
    if (this.exchange !== exchange) return
    this.exchange = undefined
    this.#bytesAtRest = this.socket.bytesRead
    if (this.#owner.draining) this.linger()
  }

  /** Closes the connection in a moment, unless a request comes. */
  linger(): void {
    if (this.closing || this.upgraded) return
    this.#owner.lingering.remove(this)
    this.#owner.lingering.add(this, this.#owner.now())
  }

  /** Sends the last bytes and closes our side; destroys the socket when the client has not closed its side in time. */
  close(lastBytes?: Uint8Array): void {
    this.closing = true
    const { socket } = this
    if (socket.destroyed) return
    if (lastBytes === undefined) socket.end()
    else socket.end(lastBytes)
    this.#owner.lingering.remove(this)
    this.#owner.closing.add(this, this.#owner.now())
  }

  expire(): void {
    if (this.closing) {
      this.socket.destroy()
    } else if (this.inFlight === 0) {
      this.closing = true
      this.socket.destroySoon()
    }
  }
}

/** All open sockets. */
export class Connections {
  readonly all = new Map<Socket, Connection>()
  readonly lingering = new ExpiryList(lingerMillis)
  readonly closing = new ExpiryList(closeGraceMillis)
  readonly now: () => number
  draining = false
  /** Connections ever accepted. */
  accepted = 0
  readonly #empty = Latch.makeUnsafe(true)

  constructor(now: () => number) {
    this.now = now
  }

  /** Waits, without limit, until no socket is open. */
  get whenEmpty(): Effect.Effect<void> {
    return this.#empty.await
  }

  /** A `connection` listener. */
  readonly add = (socket: Socket): void => {
    const connection = new Connection(socket, this)
    this.all.set(socket, connection)
    this.accepted++
    this.#empty.closeUnsafe()
    socket.once("close", () => this.#remove(connection))
    if (this.draining) connection.linger()
  }

  #remove(connection: Connection): void {
    this.all.delete(connection.socket)
    this.lingering.remove(connection)
    if (this.all.size === 0) this.#empty.openUnsafe()
  }

  /** The connection speaks something else than HTTP from now on. */
  upgraded(connection: Connection): void {
    connection.upgraded = true
    this.lingering.remove(connection)
  }

  /** From now on a connection without a request is closed after its linger. */
  drain(): void {
    this.draining = true
    for (const connection of this.all.values()) if (connection.inFlight === 0) connection.linger()
  }

  /** Ends the handlers of upgraded connections: what they do has no end of its own. */
  interruptUpgraded(): void {
    for (const { upgradedFiber } of this.all.values()) upgradedFiber?.interruptUnsafe()
  }

  destroyAll(): void {
    for (const socket of this.all.keys()) socket.destroy()
  }

  /** Pipelined requests that wait for those before them. */
  get held(): number {
    let held = 0
    for (const connection of this.all.values()) held += connection.held
    return held
  }

  /** The number of connections in each state. */
  count(): Record<ConnectionState, number> {
    const counts = { new: 0, head: 0, body: 0, handling: 0, writing: 0, idle: 0, upgraded: 0 }
    for (const connection of this.all.values()) counts[connection.state]++
    return counts
  }
}
