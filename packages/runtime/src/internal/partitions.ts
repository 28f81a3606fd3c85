/** The partitions of an `AdmissionQueue`: who waits in each, and which is to be served next. */
import type { Options, Order } from "../AdmissionOptions.ts"
import * as CoDel from "../CoDel.ts"
import { WaitClasses } from "./waitClasses.ts"
import type { WaitEntry } from "./waitClasses.ts"

/** One partition: its entries, its permits, and the rule for its queue. */
export class Partition<A> {
  readonly waiting: WaitClasses<A>
  /** Its part of the capacity, of 1. */
  readonly share: number
  readonly #weight: number
  readonly #sum: number
  running = 0
  /** Milliseconds for which its permits were out, over its share: the partition that has the least is next. */
  used = 0
  readonly #order: Order
  readonly #sheds: boolean
  /** One for each class: those who come first are not late because others wait. */
  readonly #codels: ReadonlyArray<CoDel.CoDel>
  readonly #maxStretch: number
  readonly #target: number

  constructor({ codel, order = "fifo", priorities = 1 }: Options, weight: number, sum: number) {
    this.waiting = new WaitClasses(priorities)
    this.share = weight / sum
    this.#weight = weight
    this.#sum = sum
    this.#order = order
    this.#sheds = codel !== undefined
    const measures = codel !== undefined || order === "adaptive"
    this.#codels = measures ? Array.from({ length: priorities }, () => CoDel.make(codel)) : []
    this.#target = codel?.target ?? CoDel.defaults.target
    this.#maxStretch = Math.max(1, (codel?.maxTarget ?? 0) / this.#target)
  }

  /** Its part of so many permits or places, in whole ones. With one division: 1 / 49 * 49 is less than 1. */
  partOf(count: number): number {
    return Math.floor((this.#weight * count) / this.#sum)
  }

  overloaded(now: number, priority?: number): boolean {
    return this.#codels.some((codel, i) => (priority === undefined || priority === i) && codel.overloaded(now))
  }

  /** The next to be served: of the most urgent class that has any. */
  first(now: number): WaitEntry<A> {
    let priority = 0
    while (this.waiting.isEmpty(priority)) priority++
    return this.waiting.next(priority, this.#isNewestFirst(priority, now))!
  }

  /** Until CoDel has seen a whole interval, a burst would make all that come behind it wait for as long. */
  #isNewestFirst(priority: number, now: number): boolean {
    if (this.#order !== "adaptive") return this.#order === "lifo"
    const codel = this.#codels[priority]!
    const oldest = this.waiting.oldestFresh(priority)
    return codel.overloaded(now) || (oldest !== undefined && now - oldest.offeredAt > codel.tolerance)
  }

  /** Nobody waited for a permit that was taken. */
  foundEmpty(): void {
    for (const codel of this.#codels) codel.empty()
  }

  /** Permits are held for so many milliseconds: a queue is not late that is no longer than the work takes. */
  held(mean: number): void {
    if (this.#maxStretch === 1) return
    const factor = Math.min(this.#maxStretch, Math.max(1, mean / this.#target))
    for (const codel of this.#codels) codel.stretch(factor)
  }

  /**
   * Tells CoDel how late each class is, now that it may be served. Returns the entry that is shed, if any: the one that waited longest, of the
   * least urgent class in which that is too long, if that class or a more urgent one is overloaded.
   */
  late(now: number, isLast: boolean): WaitEntry<A> | undefined {
    let sheds = false
    let late: WaitEntry<A> | undefined
    for (let priority = 0; priority < this.#codels.length; priority++) {
      const codel = this.#codels[priority]!
      const oldest = this.waiting.oldestFresh(priority)
      if (oldest === undefined) {
        codel.empty()
        continue
      }
      const delay = now - oldest.offeredAt
      if (codel.dequeued(delay, now) === "shed") sheds = true
      if (sheds && delay > codel.tolerance) late = oldest
    }
    return this.#sheds && !isLast ? late : undefined
  }
}

/** All partitions of a queue. There are few: each decision looks at all of them. */
export class Partitions<A> {
  readonly all: ReadonlyArray<Partition<A>>
  length = 0
  running = 0
  #virtualTime = 0

  constructor(options: Options) {
    const weights = options.partitions ?? [1]
    const sum = weights.reduce((total, weight) => total + weight, 0)
    this.all = weights.map((weight) => new Partition(options, weight, sum))
  }

  /** How many of those who wait count in `maxQueued`. */
  get bounded(): number {
    let count = 0
    for (const { waiting } of this.all) count += waiting.bounded
    return count
  }

  of(entry: { readonly partition: number }): Partition<A> {
    return this.all[entry.partition]!
  }

  /** The entry that was offered first. */
  get oldest(): WaitEntry<A> | undefined {
    if (this.all.length === 1) return this.all[0]!.waiting.oldest
    let longest: WaitEntry<A> | undefined
    for (const { waiting } of this.all) {
      const { oldest } = waiting
      if (oldest !== undefined && (longest === undefined || oldest.offeredAt < longest.offeredAt)) longest = oldest
    }
    return longest
  }

  /**
   * Whether a partition has fewer permits than it is guaranteed, of so many, when some more are out. One whose part is less than a whole
   * permit is guaranteed none that somebody waits for in another like it: those have their turns.
   */
  isBelowShare(partition: Partition<A>, limit: number, more: number = 0): boolean {
    if (this.all.length === 1) return false
    const part = partition.partOf(limit)
    const out = partition.running + more
    if (part > 0) return out < part
    return out === 0 && this.#hasRest(limit, ({ running, waiting }) => running > 0 || waiting.length > 0)
  }

  /**
   * Whether one permit is left, of so many, for a partition whose part is less than a whole one: the others have theirs, and those like
   * it that claim one have it. So the guarantees of all are never more than the limit.
   */
  #hasRest(limit: number, claims: (partition: Partition<A>) => boolean): boolean {
    let rest = limit
    for (const partition of this.all) rest -= partition.partOf(limit) || Number(claims(partition))
    return rest > 0
  }

  /**
   * The partition that is to be served: of those where somebody waits, and that may have a permit, the one that has had least for its
   * share. What is out counts as if it came back after the mean time.
   */
  next(limit: number, meanHold: number): Partition<A> | undefined {
    const hasFree = this.running < limit
    const hasRest = !hasFree && this.all.length > 1 && this.#hasRest(limit, ({ running }) => running > 0)
    let next: Partition<A> | undefined
    let least = Infinity
    for (const partition of this.all) {
      if (partition.waiting.length === 0) continue
      if (!hasFree && partition.running >= (partition.partOf(limit) || Number(hasRest))) continue
      const used = partition.used + (partition.running * meanHold) / partition.share
      if (used >= least && next !== undefined) continue
      next = partition
      least = used
    }
    if (next !== undefined && least > this.#virtualTime) this.#virtualTime = least
    return next
  }

  append(entry: WaitEntry<A>): void {
    const partition = this.of(entry)
    this.#wake(partition)
    partition.waiting.append(entry)
    this.length++
  }

  putBack(entry: WaitEntry<A>): void {
    this.of(entry).waiting.putBack(entry)
    this.length++
  }

  remove(entry: WaitEntry<A>): void {
    this.of(entry).waiting.remove(entry)
    this.length--
  }

  began(partition: Partition<A>): void {
    this.#wake(partition)
    partition.running++
    this.running++
  }

  ended(partition: Partition<A>, held: number): void {
    partition.running--
    this.running--
    partition.used += held / partition.share
  }

  /** Who has done nothing has no claim to what others have had meanwhile (the start tag of start-time fair queueing). */
  #wake(partition: Partition<A>): void {
    if (partition.running > 0 || partition.waiting.length > 0) return
    if (partition.used < this.#virtualTime) partition.used = this.#virtualTime
  }

  /**
   * Whom an entry takes the place of in a full queue: the newest of those less urgent in its partition, or, while that has fewer places
   * than its share of `maxQueued`, the newest of the least urgent of the partition that has most beyond its own, of those where one
   * waits that is not more urgent than it.
   */
  victimOf(entry: WaitEntry<A>, maxQueued: number): WaitEntry<A> | undefined {
    const own = this.of(entry)
    const lesser = own.waiting.newestBelow(entry.priority)
    if (lesser !== undefined || own.waiting.bounded >= own.partOf(maxQueued)) return lesser
    let victim: WaitEntry<A> | undefined
    let most = 0
    for (const partition of this.all) {
      const excess = partition.waiting.bounded - partition.partOf(maxQueued)
      const newest = excess > most ? partition.waiting.newestBelow(entry.priority - 1) : undefined
      if (newest === undefined) continue
      victim = newest
      most = excess
    }
    return victim
  }
}
