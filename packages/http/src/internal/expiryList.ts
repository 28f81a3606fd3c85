import { Alarm } from "./alarm.ts"
import { LinkedList } from "./linkedList.ts"
import type { Linked } from "./linkedList.ts"

export interface Expiring extends Linked {
  dueAt: number
  expire(): void
}

/** Things that all wait for the same time, oldest first. Adding and removing are O(1) and set no timer. */
export class ExpiryList {
  readonly #items = new LinkedList<Expiring>()
  readonly #millis: number
  readonly alarm: Alarm

  /** An infinite time expires nothing. */
  constructor(millis: number) {
    this.#millis = millis
    this.alarm = new Alarm(
      () => this.#items.oldest?.dueAt ?? Infinity,
      (now) => {
        for (let item = this.#items.oldest; item !== undefined && item.dueAt <= now; item = this.#items.oldest) {
          this.#items.remove(item)
          item.expire()
        }
      }
    )
  }

  /** Adds an item whose time began now, or a little earlier. */
  add(item: Expiring, now: number): void {
    item.dueAt = now + this.#millis
    if (item.dueAt === Infinity) return
    this.#items.append(item)
    this.alarm.set()
  }

  remove(item: Expiring): void {
    this.#items.remove(item)
  }
}
