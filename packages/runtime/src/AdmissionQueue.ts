/**
 * The one admission core of Spillway: permits, a bounded wait queue, an order, a longest wait, priorities, partitions and CoDel.
 *
 * It is plain synchronous code: times go in as numbers, decisions come out, nothing is scheduled and no clock is read. So it
 * can be simulated and property-tested without fibers, and the door of the HTTP server, `Bulkhead` and `Offload` are three
 * uses of the same rules. Most programs want `Bulkhead`, which wraps this in effects.
 *
 * All operations are O(1), except that `poll` and `nextExpiry` look at one entry of every priority class of every partition, and that
 * `requeue` looks at those of its class that were put back before it and still wait, which are nearly always none.
 *
 * @since 0.1.0
 */
import type { Budget, Options } from "./AdmissionOptions.ts"
import { Partitions } from "./internal/partitions.ts"
import { classOf, WaitEntry } from "./internal/waitClasses.ts"
import { WaitList } from "./internal/waitList.ts"

/**
 * The options, which have a module of their own.
 *
 * @category options
 * @since 0.1.0
 */
export * from "./AdmissionOptions.ts"

/**
 * Why an entry was turned away.
 *
 * **Details**
 *
 * - `QueueFull`: no permit was free and the queue held `maxQueued` entries.
 * - `WaitExceeded`: it waited for `maxWait` and no permit came free.
 * - `Displaced`: the queue was full and an entry took its place that is more urgent, or of a partition with less than its share and not
 *   less urgent.
 * - `Shed`: CoDel found the queue overloaded, and it had waited for more than twice the target.
 * - `Evicted`: its owner gave up on serving it.
 * - `Closed`: the queue was closed.
 *
 * @category models
 * @since 0.1.0
 */
export type Refusal = "QueueFull" | "WaitExceeded" | "Displaced" | "Shed" | "Evicted" | "Closed"

/**
 * The state of an entry: it waits, or it was decided upon. Only `Admitted` can be undone, by `requeue`.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "Waiting" | "Admitted" | "Cancelled" | Refusal

/**
 * One request for a permit, made by `offer`. It belongs to the queue that made it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<out A> {
  /** What the caller attached: its fiber, its socket, its task. */
  readonly value: A
  /** The priority class, `0` being the most urgent. */
  readonly priority: number
  /** The partition, by its index in the option `partitions`. */
  readonly partition: number
  /** The time given to `offer`, in milliseconds of the caller's clock; `Infinity` for one that was readmitted. */
  readonly offeredAt: number
  /** Where the entry stands. It leaves `Waiting` once, and once more after each `requeue`. */
  readonly state: State
}

/** The share of a new sample in the mean time that permits are held: about the last 16 count. */
const holdWeight = 1 / 16

/** The estimate of `retryAfter` before the first permit came back, in milliseconds. */
const defaultRetryAfter = 1000

/**
 * A set of permits and the bounded queue of those who wait for one. Made by `make`.
 *
 * **Details**
 *
 * The owner drives it: after `offer` it looks at the entry's state; after `release`, `resize`, `close`, and when `nextExpiry`
 * has come, it calls `poll` until that returns `undefined` and tells each entry's caller what became of it.
 *
 * @category models
 * @since 0.1.0
 */
export class AdmissionQueue<A> {
  readonly #partitions: Partitions<A>
  readonly #displaced = new WaitList<WaitEntry<A>>()
  readonly #maxWait: number
  readonly #leastUrgent: number
  readonly #budget: Budget | undefined
  #limit: number
  #maxQueued: number
  #readmitting = 0
  #turn = 0
  #closed = false
  #refusing = false
  #meanHold: number | undefined = undefined

  /** Use `make`, which checks the options. */
  constructor(options: Options) {
    const { budget, limit, maxQueued, maxWait = Infinity, priorities = 1 } = options
    this.#partitions = new Partitions(options)
    this.#maxWait = maxWait
    this.#leastUrgent = priorities - 1
    this.#budget = budget
    this.#limit = limit
    this.#maxQueued = maxQueued
  }

  /** Permits that are out now. It is above `limit` only after `resize` made the limit smaller, and for the shares of `partitions`. */
  get running(): number {
    return this.#partitions.running
  }

  /** Entries that wait now, those that were readmitted included. */
  get queued(): number {
    return this.#partitions.length
  }

  /** Entries that wait after `readmit`. */
  get readmitting(): number {
    return this.#readmitting
  }

  /** The `offeredAt` of the entry that has waited longest, or `undefined` when none waits. */
  get waitingSince(): number | undefined {
    return this.#partitions.oldest?.offeredAt
  }

  /** The present number of permits. */
  get limit(): number {
    return this.#limit
  }

  /** The mean time in milliseconds for which the last permits were out, or `undefined` before the first came back. */
  get meanHold(): number | undefined {
    return this.#meanHold
  }

  /** The longest the queue may become by `offer`. It is longer for a while after `requeue`, or after `resize` made it smaller. */
  get maxQueued(): number {
    return this.#maxQueued
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Whether CoDel finds a class of a partition overloaded at the time `now`, or any class of it if none is given. Never without `codel`
   * or the order `adaptive`.
   */
  overloaded(now: number, partition: number = 0, priority?: number): boolean {
    return this.#partitions.all[partition]!.overloaded(now, priority)
  }

  /**
   * Takes a permit for a partition if one is free and nobody waits for it, or if the partition has fewer than its share and nobody
   * waits in it. Says whether it did; makes no entry.
   */
  tryAcquire(partition: number = 0): boolean {
    const own = this.#partitions.all[partition]!
    const mayHave =
      (this.queued === 0 && this.running < this.#limit) ||
      (own.waiting.length === 0 && this.#partitions.isBelowShare(own, this.#limit))
    if (!mayHave || this.#closed || !this.#take()) return false
    own.foundEmpty()
    this.#partitions.began(own)
    return true
  }

  /**
   * Whether the share of a partition guarantees a permit to one more entry, those of it that wait counted. Never for the whole of a queue
   * without partitions.
   */
  guarantees(partition: number = 0): boolean {
    const own = this.#partitions.all[partition]!
    return this.#partitions.isBelowShare(own, this.#limit, own.waiting.length)
  }

  /**
   * Asks for a permit. The entry's state is `Admitted`, `Waiting`, `QueueFull` or `Closed`.
   *
   * A full queue makes place for an entry of a more urgent class by displacing the newest of the least urgent class of its partition,
   * and for one of a partition that has less than its share of the places by displacing one of the partition that has most beyond its
   * own, but never one that is more urgent than itself; `poll` returns the displaced one. A `priority` outside of its classes is taken
   * for the nearest, one between two for the less urgent, and `NaN` for the least urgent.
   */
  offer(value: A, now: number, priority: number = 0, partition: number = 0): Entry<A> {
    if (!this.tryAcquire(partition)) return this.enqueue(value, now, priority, partition)
    const entry = this.#entry(value, now, priority, partition)
    entry.state = "Admitted"
    return entry
  }

  /**
   * Like `offer`, for an owner that has work to hand out only later: the entry waits also when a permit is free. With `bounded` false it
   * needs no place, and takes none from others: the queue may become longer than `maxQueued` by it.
   */
  enqueue(value: A, now: number, priority: number = 0, partition: number = 0, bounded: boolean = true): Entry<A> {
    const entry = this.#entry(value, now, priority, partition)
    entry.isBounded = bounded
    if (this.#closed) entry.state = "Closed"
    else if (!bounded || this.#takePlace(entry) || this.#displaceFor(entry)) this.#partitions.append(entry)
    else entry.state = "QueueFull"
    return entry
  }

  /**
   * Lets wait for a permit again what was inside, and gave its permit up to wait for something. It is neither refused nor shed nor
   * displaced, does not count in `maxQueued`, never has waited for too long, and comes before the others of its partition. Only
   * `close("refuse")` turns it away.
   */
  readmit(value: A, partition: number = 0): Entry<A> {
    const entry = this.#entry(value, Infinity, 0, partition)
    entry.isBounded = false
    this.#readmitting++
    this.#partitions.putBack(entry)
    return entry
  }

  /**
   * Decides the fate of one waiting entry, if there is anything to decide: returns one that was displaced, one whose wait is
   * over, one that was shed, or one that now has a permit. Returns `undefined` when nothing more is to be done at this time.
   *
   * `room` is how many more the owner can take on at this time, if something else than the permits bounds it. CoDel sheds nothing for
   * which there is room.
   */
  poll(now: number, room: number = Infinity): Entry<A> | undefined {
    const displaced = this.#displaced.oldest
    if (displaced !== undefined) {
      this.#displaced.remove(displaced)
      return displaced
    }
    const longest = this.#partitions.oldest
    if (longest === undefined) return undefined
    if (now - longest.offeredAt >= this.#maxWait) return this.#decide(longest, "WaitExceeded")
    if (this.#refusing) return this.#decide(longest, "Closed")
    const partition = room <= 0 ? undefined : this.#partitions.next(this.#limit, this.#meanHold ?? 1)
    if (partition === undefined || !this.#take()) return undefined
    // With no more waiting than can be taken on, a refusal would make nobody else's wait shorter (RFC 8289 keeps the last packet).
    const late = partition.late(now, this.queued <= Math.min(room, this.#limit - this.running))
    if (late !== undefined) {
      this.#budget?.give()
      return this.#decide(late, "Shed")
    }
    this.#partitions.began(partition)
    return this.#decide(partition.first(now), "Admitted")
  }

  /**
   * Gives a permit of a partition back. `held` is the time in milliseconds for which it was out, from which `retryAfter` is estimated and
   * by which partitions get their shares; leave it away for a permit that was taken but not used.
   */
  release(held?: number, partition: number = 0): void {
    const own = this.#partitions.all[partition]
    if (own === undefined || own.running === 0) throw new RangeError("AdmissionQueue.release: no permit is out")
    this.#partitions.ended(own, held ?? 0)
    this.#budget?.give()
    if (held === undefined) return
    this.#meanHold = this.#meanHold === undefined ? held : this.#meanHold + (held - this.#meanHold) * holdWeight
    own.held(this.#meanHold)
  }

  /**
   * Takes back the admission of an entry whose permit was not used: gives the permit back and lets the entry wait again, with its
   * own `offeredAt`, before the others of its class. Call `poll` afterwards. Throws a `RangeError` for an entry that is not
   * `Admitted`.
   *
   * The queue may become longer than `maxQueued` by it. In a closed queue the entry keeps its turn like the others, or the next
   * `poll` returns it as `Closed`, as `close` was told. If its longest wait is over by then, `poll` returns it as `WaitExceeded`.
   */
  requeue(entry: Entry<A>): void {
    if (entry.state !== "Admitted") {
      throw new RangeError(`AdmissionQueue.requeue: the entry must be Admitted, got ${entry.state}`)
    }
    this.release(undefined, entry.partition)
    const returned = entry as WaitEntry<A>
    returned.state = "Waiting"
    if (returned.offeredAt === Infinity) this.#readmitting++
    this.#partitions.putBack(returned)
  }

  /**
   * Takes a waiting entry out of the queue, in O(1). Says whether it was waiting: an entry that was admitted must be given back
   * with `release` instead, and one that was refused needs nothing.
   */
  cancel(entry: Entry<A>): boolean {
    if (entry.state !== "Waiting") return false
    this.#decide(entry as WaitEntry<A>, "Cancelled")
    return true
  }

  /** Takes the entry that has waited longest out of the queue, as `Evicted`, or returns `undefined` when none waits. */
  evict(): Entry<A> | undefined {
    const entry = this.#partitions.oldest
    return entry === undefined ? undefined : this.#decide(entry, "Evicted")
  }

  /**
   * Changes the number of permits and, if it is given, the bound of the queue. Permits that are out stay out, and those who wait
   * already keep waiting: a smaller limit or bound is reached as they leave. Throws a `RangeError` for a value outside the range
   * of `make`.
   */
  resize(limit: number, maxQueued: number = this.#maxQueued): void {
    checkCount("resize: limit", limit)
    checkCount("resize: maxQueued", maxQueued)
    this.#limit = limit
    this.#maxQueued = maxQueued
  }

  /**
   * Refuses all further offers. Entries that wait already keep their turn, unless `waiting` is `"refuse"`: then `poll` returns
   * them all as `Closed`. May be called again with `"refuse"`.
   */
  close(waiting: "keep" | "refuse" = "keep"): void {
    this.#closed = true
    if (waiting === "refuse") this.#refusing = true
  }

  /** The time at which the next entry will have waited for `maxWait`, or `Infinity`. */
  nextExpiry(): number {
    return (this.#partitions.oldest?.offeredAt ?? Infinity) + this.#maxWait
  }

  /**
   * Estimates in how many milliseconds a permit would be free for one more entry: those ahead of it, times the mean time that a
   * permit is held, over the number of permits. 1000 before anything is known.
   */
  retryAfter(): number {
    if (this.#meanHold === undefined || this.#limit === 0) return defaultRetryAfter
    return (((this.#budget?.queued ?? this.queued) + 1) * this.#meanHold) / this.#limit
  }

  #take(): boolean {
    return this.#budget === undefined || this.#budget.take()
  }

  #entry(value: A, now: number, priority: number, partition: number): WaitEntry<A> {
    return new WaitEntry(value, classOf(priority, this.#leastUrgent), partition, now, this.#turn++)
  }

  #decide(entry: WaitEntry<A>, state: Exclude<State, "Waiting">): Entry<A> {
    this.#partitions.remove(entry)
    if (entry.offeredAt === Infinity) this.#readmitting--
    if (entry.hasPlace) this.#budget?.dequeue?.()
    entry.hasPlace = false
    entry.state = state
    return entry
  }

  /** Takes a place to wait, if one is free. */
  #takePlace(entry: WaitEntry<A>): boolean {
    return (entry.hasPlace = this.#partitions.bounded < this.#maxQueued && (this.#budget?.enqueue?.() ?? true))
  }

  /** The place of the one that goes becomes its own: given back, another queue of the budget could have it. */
  #displaceFor(entry: WaitEntry<A>): boolean {
    const victim = this.#partitions.victimOf(entry, this.#maxQueued)
    if (victim === undefined) return false
    entry.hasPlace = victim.hasPlace
    victim.hasPlace = false
    this.#decide(victim, "Displaced")
    this.#displaced.append(victim)
    return true
  }
}

const checkCount = (what: string, count: number): void => {
  if (count === Infinity || (Number.isInteger(count) && count >= 0)) return
  throw new RangeError(`AdmissionQueue.${what} must be an integer >= 0 or Infinity, got ${count}`)
}

/**
 * Creates an admission queue.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(options: Options): AdmissionQueue<A> => {
  const { limit, maxQueued, maxWait = Infinity, partitions = [1], priorities = 1 } = options
  checkCount("make: limit", limit)
  checkCount("make: maxQueued", maxQueued)
  if (!(maxWait >= 0)) throw new RangeError(`AdmissionQueue.make: maxWait must be >= 0 milliseconds, got ${maxWait}`)
  if (!(Number.isInteger(priorities) && priorities >= 1)) {
    throw new RangeError(`AdmissionQueue.make: priorities must be an integer >= 1, got ${priorities}`)
  }
  if (partitions.length === 0 || !partitions.every((share) => share > 0 && share < Infinity)) {
    throw new RangeError(`AdmissionQueue.make: partitions must be finite numbers > 0, got [${partitions.join(", ")}]`)
  }
  return new AdmissionQueue<A>(options)
}
