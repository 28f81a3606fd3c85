import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { ExpiryList } from "./expiryList.ts"
import type { Expiring } from "./expiryList.ts"
import { LinkedList } from "./linkedList.ts"
import { monotonicMillis } from "./monotonic.ts"

/** By how much a deadline of a client's own may be missed, in milliseconds. */
const tickMillis = 5

/** A turn of the wheel takes 1.28 s: most clients wait for one turn, or a few. */
const slots = 256

/**
 * The deadlines of requests. Most have that of the server and pass in the order of their arrival. Those whose clients wait for less stand in
 * a timing wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987, scheme 6), which turns only while there are such.
 * Adding and removing are O(1).
 */
export class Deadlines {
  readonly #usual: ExpiryList
  readonly #millis: number
  readonly #wheel = Array.from({ length: slots }, () => new LinkedList<Expiring>())
  readonly #due = new LinkedList<Expiring>()
  readonly #latch = Latch.makeUnsafe(false)
  /** The last tick that was dealt with. */
  #hand = 0
  /** How many slots in a row were empty. After a whole turn the wheel stands still. */
  #empty = slots

  constructor(millis: number) {
    this.#millis = millis
    this.#usual = new ExpiryList(millis)
  }

  /**
   * Adds an item that arrived at `since`, now or a little earlier, whose client waits for `patience` milliseconds. Says whether that is less
   * than anybody may wait.
   */
  add(item: Expiring, since: number, patience: number = Infinity): boolean {
    if (patience >= this.#millis) {
      this.#usual.add(item, since)
      return false
    }
    item.dueAt = since + patience
    if (!this.turning) this.#hand = Math.floor(since / tickMillis)
    this.#empty = 0
    const tick = Math.max(this.#hand + 1, Math.ceil(item.dueAt / tickMillis))
    this.#wheel[tick % slots]!.append(item)
    this.#latch.openUnsafe()
    return true
  }

  /** Takes an item out, if it is there. */
  remove(item: Expiring): void {
    this.#usual.remove(item)
  }

  /** Whether it is looked every few milliseconds: while there is a deadline of a client's own, and for a turn of the wheel. */
  get turning(): boolean {
    return this.#empty < slots
  }

  /** What lets them expire: to be forked in the scope of the server. */
  get alarms(): ReadonlyArray<Effect.Effect<never>> {
    return [this.#usual.alarm.run, this.#turn]
  }

  readonly #turn: Effect.Effect<never> = Effect.forever(
    this.#latch.await.pipe(
      Effect.andThen(Effect.sleep(tickMillis)),
      Effect.andThen(Effect.clockWith((clock) => Effect.sync(() => this.#ring(monotonicMillis(clock)))))
    )
  )

  #ring(now: number): void {
    const tick = Math.floor(now / tickMillis)
    const first = Math.max(this.#hand + 1, tick - slots + 1)
    this.#hand = tick
    for (let at = first; at <= tick; at++) this.#collect(this.#wheel[at % slots]!, now)
    // What expires may take others out.
    for (let item = this.#due.oldest; item !== undefined; item = this.#due.oldest) {
      this.#due.remove(item)
      item.expire()
    }
    if (!this.turning) this.#latch.closeUnsafe()
  }

  #collect(slot: LinkedList<Expiring>, now: number): void {
    this.#empty = slot.oldest === undefined ? this.#empty + 1 : 0
    for (let item = slot.oldest; item !== undefined;) {
      const next = item.next as Expiring
      if (item.dueAt <= now) {
        slot.remove(item)
        this.#due.append(item)
      }
      item = (next as unknown) === slot ? undefined : next
    }
  }
}
