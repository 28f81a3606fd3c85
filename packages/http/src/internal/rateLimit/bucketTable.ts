import { LinkedList } from "../linkedList.ts"
import type { Linked } from "../linkedList.ts"
import type { Rule } from "./rules.ts"

interface Bucket extends Linked {
  readonly key: string
  /** When each rule's bucket is full again, in milliseconds. */
  fullAt: Array<number>
}

/** Slots of the calendar: an eviction forgives at most a 126th of the longest horizon more than the least it could. */
const slotCount = 128

/** How many full buckets each change may drop: more than it can add, so what an attack leaves goes away with the traffic after it. */
const droppedAtOnce = 2

/**
 * The buckets of at most `maxKeys` clients. A full bucket is the same as none, so it is dropped; if there is no room and none is full, the
 * bucket that is soonest full goes, and its client is forgiven the few tokens it lacked. That is what keeps a flood of new addresses from
 * resetting the quotas of others: with one request each they push out each other, while to push out a client that has used up its
 * quota they would have to use up `maxKeys` quotas of the same size. (Least recently seen first, as is common, lets a million
 * single requests reset everyone.)
 *
 * The order is kept in a calendar queue (R. Brown, 1988): a ring of slots of time, in each a list in the order of the last change.
 * Every operation is O(1) in the number of clients.
 */
export class BucketTable {
  readonly #maxKeys: number
  readonly #rules: ReadonlyArray<Rule>
  readonly #slotMillis: number
  readonly #buckets = new Map<string, Bucket>()
  readonly #slots = Array.from({ length: slotCount }, () => new LinkedList<Bucket>())
  /** Buckets whose slot has passed: all of them are full. */
  readonly #full = new LinkedList<Bucket>()
  /** The slot of the present, counted from the origin of the clock. */
  #present = -Infinity

  constructor(rules: ReadonlyArray<Rule>, maxKeys: number) {
    this.#rules = rules
    this.#maxKeys = maxKeys
    // Two slots are spare: the present one has begun already, and a horizon may end in the middle of one.
    this.#slotMillis = Math.max(1, Math.max(...rules.map(({ horizon }) => horizon)) / (slotCount - 2))
  }

  get size(): number {
    return this.#buckets.size
  }

  /** How long a slot is: the most by which the choice of whom to forget is not exact. */
  get slotMillis(): number {
    return this.#slotMillis
  }

  /** The debt of a client to each rule; none if it is not known. A clock that was set back leaves at most an empty bucket. */
  debts(key: string, now: number): Array<number> {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return Array.from(this.#rules, () => 0)
    return bucket.fullAt.map((fullAt, i) => Math.max(0, Math.min(fullAt - now, this.#rules[i]!.horizon)))
  }

  /** Remembers the debts of a client. Without any it is forgotten. */
  set(key: string, debts: ReadonlyArray<number>, now: number): void {
    this.#advance(now)
    this.#dropFull()
    const known = this.#buckets.get(key)
    const longest = Math.max(...debts)
    if (!(longest > 0)) {
      if (known !== undefined) this.#forget(known)
      return
    }
    const fullAt = debts.map((debt) => now + debt)
    if (known !== undefined) this.#full.remove(known)
    const bucket = known ?? this.#insert(key)
    bucket.fullAt = fullAt
    const slot = Math.floor((now + longest) / this.#slotMillis)
    this.#list(Math.max(this.#present, Math.min(slot, this.#present + slotCount - 1))).append(bucket)
  }

  #insert(key: string): Bucket {
    if (this.#buckets.size >= this.#maxKeys) this.#evict()
    const bucket: Bucket = { key: detach(key), fullAt: [], previous: undefined, next: undefined }
    this.#buckets.set(bucket.key, bucket)
    return bucket
  }

  #list(slot: number): LinkedList<Bucket> {
    return this.#slots[((slot % slotCount) + slotCount) % slotCount]!
  }

  /** Slots that have passed are emptied into the list of full buckets, whole lists at a time. */
  #advance(now: number): void {
    const present = Math.floor(now / this.#slotMillis)
    if (present <= this.#present) return
    const end = Math.min(present, this.#present + slotCount)
    for (let slot = this.#present; slot < end; slot++) moveAll(this.#list(slot), this.#full)
    this.#present = present
  }

  #dropFull(): void {
    for (let i = 0; i < droppedAtOnce; i++) {
      const bucket = this.#full.oldest
      if (bucket === undefined) return
      this.#forget(bucket)
    }
  }

  #evict(): void {
    let bucket = this.#full.oldest
    for (let i = 0; bucket === undefined && i < slotCount; i++) bucket = this.#list(this.#present + i).oldest
    if (bucket !== undefined) this.#forget(bucket)
  }

  /** The links of a bucket suffice to take it out of whatever list it is in. */
  #forget(bucket: Bucket): void {
    this.#full.remove(bucket)
    this.#buckets.delete(bucket.key)
  }
}

/** Moves all items of a list to the end of another, in O(1). */
const moveAll = (from: LinkedList<Bucket>, to: LinkedList<Bucket>): void => {
  if (from.oldest === undefined) return
  from.next.previous = to.previous
  to.previous.next = from.next
  from.previous.next = to
  to.previous = from.previous
  from.next = from
  from.previous = from
}

/**
 * A copy of a string that keeps no other alive: V8 makes a part of a header field a view of it, and a view of 16 KiB for each client
 * would be what the bound on clients is to prevent.
 */
const detach = (text: string): string => {
  const copy = Buffer.from(text, "latin1").toString("latin1")
  return copy === text ? copy : Buffer.from(text, "utf16le").toString("utf16le")
}
