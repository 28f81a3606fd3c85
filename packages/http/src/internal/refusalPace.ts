import type { Socket } from "node:net"
import type { Connection } from "./connection.ts"
import { DecayingRate } from "./decayingRate.ts"
import type { Exchange } from "./exchange.ts"
import { ExpiryList } from "./expiryList.ts"
import type { Expiring } from "./expiryList.ts"
import type { Linked } from "./linkedList.ts"
import { Outgoing } from "./outgoing.ts"

/** Up to so many refusals a second cost little: about a tenth of a core at 20 us each. */
const maxPerSecond = 5000

/** For how long a refused client is not read then: every `Retry-After` is at least as long. */
const holdMillis = 1000

/**
 * What refusals may cost. Beyond that a client that was refused is not read for a while, so that its next requests wait in its own
 * kernel (TCP back-pressure) instead of taking the time of those who are served. New connections are read all the same: a probe may be in
 * them.
 */
export class RefusalPace {
  readonly #rate = new DecayingRate(1000)
  /** Connections that are not read, in the order in which they will be again. */
  readonly held = new ExpiryList(holdMillis)

  refused({ connection, hasBody, response }: Exchange, now: number): void {
    this.#rate.add(now)
    // A body must be read to its end, and other streams of a connection of HTTP/2 must not wait for one.
    if (hasBody || connection.isHeld || !(response instanceof Outgoing)) return
    if (this.#rate.perSecond(now) <= maxPerSecond) return
    const { socket } = connection
    connection.isHeld = true
    socket.pause()
    // Node resumes it when it has parsed the end of the request, and when answers to pipelined ones have gone out.
    socket.on("resume", socket.pause)
    this.held.add(new Held(connection), now)
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
