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
  /** Whether it counts in `maxQueued`. */
  isBounded = true
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
  /** Those of them that count in `maxQueued`: all but those that were readmitted, or need no place. */
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

  #count({ isBounded }: WaitEntry<A>, one: 1 | -1): void {
    this.length += one
    if (isBounded) this.bounded += one
  }

  /** The one that was offered first, of all classes. */
  get oldest(): WaitEntry<A> | undefined {
    const returned = oldestOf(this.#returned)
    const fresh = oldestOf(this.#fresh)
    if (returned === undefined || fresh === undefined) return returned ?? fresh
    return returned.offeredAt <= fresh.offeredAt ? returned : fresh
  }

  isEmpty(priority: number): boolean {
    return this.#fresh[priority]!.oldest === undefined && this.#returned[priority]!.oldest === undefined
  }

  /** The one that was offered first, of those of a class that never were admitted. */
  oldestFresh(priority: number): WaitEntry<A> | undefined {
    return this.#fresh[priority]!.oldest
  }

  /** The one of a class to be served next: one that came back, else its newest or oldest. */
  next(priority: number, newestFirst: boolean): WaitEntry<A> | undefined {
    const fresh = this.#fresh[priority]!
    return this.#returned[priority]!.oldest ?? (newestFirst ? fresh.newest : fresh.oldest)
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
