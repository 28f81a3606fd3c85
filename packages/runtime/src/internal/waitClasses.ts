/** The entries that wait in one partition of an `AdmissionQueue`, by priority class. */
import type { Entry, State } from "../AdmissionQueue.ts"
import { WaitList } from "./waitList.ts"
import type { Linked } from "./waitList.ts"

export class WaitEntry<A> implements Entry<A>, Linked {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  state: State = "Waiting"
  /** Whether it was admitted before and came back. */
  returned = false
  /** Whether it has one of the places to wait. */
  hasPlace = false
  readonly value: A
  readonly priority: number
  readonly partition: number
  readonly offeredAt: number
  /** The place in the order of all offers, since several may have the same time. */
  readonly turn: number

  constructor(value: A, priority: number, partition: number, offeredAt: number, turn: number) {
    this.value = value
    this.priority = priority
    this.partition = partition
    this.offeredAt = offeredAt
    this.turn = turn
  }
}

/** The class of a priority as a caller gives it. What is no number is not urgent: an error must not come before all others. */
export const classOf = (priority: number, leastUrgent: number): number => {
  const whole = Math.ceil(priority)
  return Number.isNaN(whole) ? leastUrgent : Math.min(Math.max(whole, 0), leastUrgent)
}

type Lists<A> = ReadonlyArray<WaitList<WaitEntry<A>>>

const oldestOf = <A>(lists: Lists<A>): WaitEntry<A> | undefined => {
  let longest: WaitEntry<A> | undefined
  for (const { oldest } of lists) {
    if (oldest !== undefined && (longest === undefined || oldest.offeredAt < longest.offeredAt)) longest = oldest
  }
  return longest
}

/**
 * All operations look at the ends of lists only, but for `putBack`. Entries that came back have lists of their own: they are next
 * in their class whatever the order, since their turn had come before, and their age says nothing about the queue.
 */
export class WaitClasses<A> {
  readonly #fresh: Lists<A>
  readonly #returned: Lists<A>
  length = 0
  /** Those of them that count in `maxQueued`: all that were not readmitted. */
  bounded = 0

  constructor(priorities: number) {
    this.#fresh = Array.from({ length: priorities }, () => new WaitList<WaitEntry<A>>())
    this.#returned = Array.from({ length: priorities }, () => new WaitList<WaitEntry<A>>())
  }

  append(entry: WaitEntry<A>): void {
    this.#fresh[entry.priority]!.append(entry)
    this.#count(entry, 1)
  }

  putBack(entry: WaitEntry<A>): void {
    entry.returned = true
    this.#returned[entry.priority]!.insert(entry, (other) => other.turn > entry.turn)
    this.#count(entry, 1)
  }

  remove(entry: WaitEntry<A>): void {
    const lists = entry.returned ? this.#returned : this.#fresh
    lists[entry.priority]!.remove(entry)
    this.#count(entry, -1)
  }

  #count({ offeredAt }: WaitEntry<A>, one: 1 | -1): void {
    this.length += one
    if (offeredAt !== Infinity) this.bounded += one
  }

  /** The one that was offered first, of all classes. */
  get oldest(): WaitEntry<A> | undefined {
    const returned = oldestOf(this.#returned)
    const fresh = this.oldestFresh
    if (returned === undefined || fresh === undefined) return returned ?? fresh
    return returned.offeredAt <= fresh.offeredAt ? returned : fresh
  }

  /** The one that was offered first, of all that never were admitted. */
  get oldestFresh(): WaitEntry<A> | undefined {
    return oldestOf(this.#fresh)
  }

  /** The one to be served next: of the most urgent class that has any, one that came back, else its newest or oldest. */
  first(newestFirst: boolean): WaitEntry<A> | undefined {
    for (let priority = 0; priority < this.#fresh.length; priority++) {
      const fresh = this.#fresh[priority]!
      const entry = this.#returned[priority]!.oldest ?? (newestFirst ? fresh.newest : fresh.oldest)
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** The oldest of the least urgent class that has waited for longer than `delay`. */
  latest(now: number, delay: number): WaitEntry<A> | undefined {
    for (let priority = this.#fresh.length - 1; priority >= 0; priority--) {
      const { oldest } = this.#fresh[priority]!
      if (oldest !== undefined && now - oldest.offeredAt > delay) return oldest
    }
    return undefined
  }

  /** The newest of the least urgent class, if there is one below `priority`. Those that are readmitted stay. */
  newestBelow(priority: number): WaitEntry<A> | undefined {
    for (let below = this.#fresh.length - 1; below > priority; below--) {
      const entry = this.#fresh[below]!.newest ?? this.#returned[below]!.newest
      if (entry !== undefined && entry.offeredAt !== Infinity) return entry
    }
    return undefined
  }
}
