import type { Socket } from "node:net"
import { parseAddress } from "./clientAddress.ts"
import type { Trust } from "./clientAddress.ts"
import type { Connection } from "./connection.ts"
import type { Exchange, Incoming } from "./exchange.ts"
import { ExpiryList } from "./expiryList.ts"
import type { Expiring } from "./expiryList.ts"
import type { Linked } from "./linkedList.ts"
import { Outgoing } from "./outgoing.ts"

/** A client that was served in between, or has asked less often, is none of those that ask on and on. */
const maxInRow = 16

/** For how long a refused client is not read then: every `Retry-After` is at least as long. */
const holdMillis = 1000

/**
 * What refusals may cost. Beyond that a client that was refused again and again is not read for a while, so that its next requests wait in
 * its own kernel (TCP back-pressure) instead of taking the time of those who are served. New connections are read all the same: a probe may
 * be in them. The connection of a trusted proxy, which carries the requests of many, is never held.
 */
export class RefusalPace {
  readonly #isTrusted: Trust
  readonly #maxPerSecond: number
  /** Refusals of the last second, more or less: each counts less the older it is. */
  #recent = 0
  #countedAt = 0
  /** Connections that are not read, in the order in which they will be again. */
  readonly held = new ExpiryList(holdMillis)

  constructor(isTrusted: Trust, maxPerSecond: number) {
    this.#isTrusted = isTrusted
    this.#maxPerSecond = maxPerSecond
  }

  refused({ connection, hasBody, request, response }: Exchange, now: number): void {
    this.#recent = this.#recent * Math.exp(Math.min(0, this.#countedAt - now) / 1000) + 1
    this.#countedAt = now
    const isRepeated = ++connection.refusedInRow > maxInRow
    if (!isRepeated || this.#recent <= this.#maxPerSecond || connection.isHeld) return
    // Other streams of a connection of HTTP/2 must not wait for one.
    if (!(response instanceof Outgoing) || this.#isProxy(connection)) return
    // A body has to be read to its end: one that is small has come with its head.
    if (hasBody) setImmediate(this.#holdBehindBody, request, connection, now)
    else this.#hold(connection, now)
  }

  readonly #holdBehindBody = (request: Incoming, connection: Connection, now: number): void => {
    if (request.complete) this.#hold(connection, now)
  }

  #hold(connection: Connection, now: number): void {
    const { socket } = connection
    if (connection.isHeld || socket.destroyed) return
    connection.isHeld = true
    socket.pause()
    // Node resumes it when it has parsed the end of the request, and when answers to pipelined ones have gone out.
    socket.on("resume", socket.pause)
    this.held.add(new Held(connection), now)
  }

  #isProxy({ socket: { remoteAddress } }: Connection): boolean {
    const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress)
    return address !== undefined && this.#isTrusted(address)
  }
}

// Node's own word for "I have paused it, until what was answered has gone out".
interface SocketInternals {
  readonly _paused: boolean
}

class Held implements Expiring {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = Infinity
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  expire(): void {
    const { socket } = this.#connection
    this.#connection.isHeld = false
    socket.off("resume", socket.pause)
    if (!(socket as Socket & SocketInternals)._paused) socket.resume()
  }
}
