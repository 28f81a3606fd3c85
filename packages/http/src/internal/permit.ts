import type { Outcome } from "@spillway/runtime/AdaptiveLimit"
import type { Admission, Ticket, Visitor } from "../Admission.ts"

/** The time of a permit that is not held. */
const notHeld = -1

/** What a request has of the door: a place in its queue, a permit, or neither. Times are in monotonic milliseconds. */
export class Permit {
  readonly #door: Admission
  readonly #visitor: Visitor
  #ticket: Ticket | undefined = undefined
  #heldSince = notHeld
  /** It was given up for a while. */
  #isPaused = false

  constructor(door: Admission, visitor: Visitor) {
    this.#door = door
    this.#visitor = visitor
  }

  get waits(): boolean {
    return this.#ticket !== undefined
  }

  /** Asks for it. The visitor has been told already, unless it `waits`. */
  ask(now: number): void {
    const ticket = this.#door.enter(this.#visitor, now)
    if (ticket !== undefined) this.#ticket = ticket
  }

  /** Asks again, for one that gave its permit up before it started. */
  askAgain(): void {
    const ticket = this.#door.reenter(this.#visitor)
    if (ticket !== undefined) this.#ticket = ticket
  }

  /** It has the permit. */
  granted(now: number): void {
    this.#ticket = undefined
    this.#heldSince = now
    this.#isPaused = false
  }

  /** It was turned away. */
  denied(): void {
    this.#ticket = undefined
  }

  /** Gives the place in the queue back. Says whether it had one. */
  cancel(): boolean {
    const ticket = this.#ticket
    if (ticket === undefined) return false
    this.#ticket = undefined
    this.#door.cancel(ticket)
    return true
  }

  /** Gives the permit back before anything was done with it. */
  release(): void {
    if (this.#heldSince === notHeld) return
    this.#heldSince = notHeld
    this.#door.pause(this.#visitor.partition)
  }

  /** Gives the permit up for a while. Says whether it had one. */
  pause(now: number): boolean {
    if (this.#heldSince === notHeld) return false
    const held = now - this.#heldSince
    this.#heldSince = notHeld
    this.#isPaused = true
    this.#door.pause(this.#visitor.partition, held)
    return true
  }

  /** Gives the permit back, if it has it. */
  leave(now: number, outcome: Outcome | "abandoned"): void {
    if (this.#isPaused) this.#door.gone()
    this.#isPaused = false
    if (this.#heldSince === notHeld) return
    const held = now - this.#heldSince
    this.#heldSince = notHeld
    this.#door.leave(held, outcome, this.#visitor.partition, now)
  }
}
