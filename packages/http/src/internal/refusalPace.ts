import type { Socket } from "node:net"
import { DecayingRate } from "./decayingRate.ts"
import { ExpiryList } from "./expiryList.ts"
import type { Expiring } from "./expiryList.ts"
import type { Linked } from "./linkedList.ts"

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

  refused(socket: Socket, now: number): void {
    this.#rate.add(now)
    if (socket.isPaused() || socket.destroyed || this.#rate.perSecond(now) <= maxPerSecond) return
    socket.pause()
    this.held.add(new Held(socket), now)
  }
}

class Held implements Expiring {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = Infinity
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  expire(): void {
    this.#socket.resume()
  }
}
