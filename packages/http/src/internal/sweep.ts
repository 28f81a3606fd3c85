import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { LinkedList } from "./linkedList.ts"
import type { Linked } from "./linkedList.ts"

/** Each thing is looked at once in so many milliseconds: what "kept to a second" means. */
export const periodMillis = 1000

/** The finest time that `schedule` keeps. */
const tickMillis = 50
const slots = periodMillis / tickMillis

export interface Swept extends Linked {
  /** Looks at itself, at the time `now` in milliseconds. */
  sweep(now: number): void
}

/**
 * Looks at each of many things once a second, with one timer for all of them: a timing wheel (Varghese and Lauck, "Hashed and
 * hierarchical timing wheels", 1987) of a single turn. A thing stays in its slot from turn to turn and decides itself whether
 * anything is due, so that what changes its times, as each request does, costs nothing.
 */
export class Sweep {
  readonly #wheel = Array.from({ length: slots }, () => new LinkedList<Swept>())
  readonly #due = new LinkedList<Swept>()
  readonly #latch = Latch.makeUnsafe(false)
  readonly #now: () => number
  #hand = 0
  #size = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** Lets a thing be looked at in `millis` milliseconds, from 0 to a second, and each second from then on. */
  schedule(item: Swept, millis: number = periodMillis): void {
    this.remove(item)
    const ticks = Math.min(slots, Math.max(1, Math.ceil(millis / tickMillis)))
    this.#wheel[(this.#hand + ticks) % slots]!.append(item)
    if (this.#size++ === 0) this.#latch.openUnsafe()
  }

  remove(item: Swept): void {
    if (item.next === undefined) return
    this.#due.remove(item)
    if (--this.#size === 0) this.#latch.closeUnsafe()
  }

  /** Runs for ever, and sleeps while there is nothing to look at; the owner's scope ends it. */
  readonly run: Effect.Effect<never> = Effect.forever(
    this.#latch.await.pipe(
      Effect.andThen(Effect.sleep(tickMillis)),
      Effect.andThen(Effect.sync(() => this.tick(this.#now())))
    )
  )

  /** Turns the wheel by one slot. */
  tick(now: number): void {
    this.#hand = (this.#hand + 1) % slots
    const slot = this.#wheel[this.#hand]!
    // What is looked at may go elsewhere, and others may be put into this slot meanwhile.
    for (let item = slot.oldest; item !== undefined; item = slot.oldest) {
      slot.remove(item)
      this.#due.append(item)
    }
    for (let item = this.#due.oldest; item !== undefined; item = this.#due.oldest) {
      this.#due.remove(item)
      slot.append(item)
      item.sweep(now)
    }
  }
}
