/** The series that viewers watch: each is read once, whatever the number of those who watch it. */
import type { Tail } from "./figures.ts"
import { encodeEvent } from "./serverSentEvents.ts"

/** A series and the length of its buckets. */
export interface Watched {
  readonly name: string
  /** Milliseconds of a bucket. */
  readonly step: number
}

/** A tail is read again after this share of a bucket, so that a long bucket, which costs much to read, is not read each second. */
const readsPerStep = 20

/** The least time between two looks at a series, in milliseconds. */
const minPause = 1000

export class Watch implements Watched {
  readonly name: string
  readonly step: number
  viewers = 0
  /** The event with its last buckets, as they were read last, and how often they were. */
  tail: string | undefined = undefined
  version = 0
  /** It got events since, and may be read again from `dueAt`, in monotonic milliseconds. */
  isStale = true
  dueAt = 0

  constructor({ name, step }: Watched) {
    this.name = name
    this.step = step
  }

  /** The range of the last two buckets: the one before the present may still get events that are late. */
  rangeAt(now: number): { readonly from: number; readonly to: number; readonly step: number } {
    const present = now - (now % this.step)
    return { from: present - this.step, to: present + this.step, step: this.step }
  }

  /** It is being read, at `now` in monotonic milliseconds. */
  begin(now: number): void {
    this.isStale = false
    this.dueAt = now + Math.max(minPause, this.step / readsPerStep)
  }

  /** Somebody came who is to see what there is now: it is read again at the next look. */
  renew(): void {
    this.isStale = true
    this.dueAt = 0
  }

  /** It was read. */
  update(tail: Tail): void {
    this.tail = encodeEvent("tail", tail)
    this.version++
  }
}

export class Watches {
  readonly #watches = new Map<string, Watch>()

  /** Begins to watch a series. It must be given back by `leave`. */
  join(watched: Watched): Watch {
    const key = keyOf(watched)
    let watch = this.#watches.get(key)
    if (watch === undefined) this.#watches.set(key, (watch = new Watch(watched)))
    watch.viewers++
    watch.renew()
    return watch
  }

  leave(watch: Watch): void {
    if (--watch.viewers === 0) this.#watches.delete(keyOf(watch))
  }

  /** Series have got events. */
  changed(names: ReadonlyArray<string>): void {
    if (this.#watches.size === 0) return
    const all = new Set(names)
    for (const watch of this.#watches.values()) if (all.has(watch.name)) watch.isStale = true
  }

  /** Those to be read again at `now`, in monotonic milliseconds. */
  due(now: number): ReadonlyArray<Watch> {
    return [...this.#watches.values()].filter(({ dueAt, isStale }) => isStale && now >= dueAt)
  }
}

const keyOf = ({ name, step }: Watched): string => `${step} ${name}`
