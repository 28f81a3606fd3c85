/**
 * What cumulative streams have counted so far, so that of each point only what it adds is stored.
 *
 * A cumulative point counts since the start of its stream. Stored as it is, it would be of no use in a series that holds the points of
 * many streams (one for each set of attributes, of each process): nothing can be read from the mean of their totals. Increases can be
 * added up, over streams and over time. This is what the OpenTelemetry Collector's `cumulativetodelta` processor does; what differs
 * here is said below.
 *
 * - A stream is known by its resource, scope, metric, attributes, and by its start. So a process that starts again is a new stream, and
 *   so are two that send the same attributes: they do not mix.
 * - The first point of a stream counts whole if the stream began after this table did, or if its metric has come from the same sender
 *   without it before: cumulative exporters send all their streams each time, so it is new. Otherwise what it counts may have been stored
 *   already, before this process started: then it is only where the next point begins. That is how it always is for a stream that does
 *   not know when it began. A start that is the time of the point says so too, but not if it comes from an SDK: then the point is of
 *   the millisecond in which its program began to count.
 * - Falling values are a new beginning for a stream without a start, and a point that came late for one with a start.
 * - What it holds is bounded. The stream that was quiet for longest is forgotten first, and if it comes back it is as unknown as at the
 *   start of this process. Then it cannot be told from one that its sender did not have before, so as long as others of that metric are
 *   held, from then on none is taken for new.
 * - A request that was not stored has changed nothing (`revert`): sent again, it counts.
 *
 * A point that was stored and is sent again, since its answer was lost, adds nothing.
 */
import { since, weigh } from "./distribution.ts"
import type { Distribution } from "./distribution.ts"
import type { Integer } from "./message.ts"
import { RecencyMap } from "./recencyMap.ts"

/** What a point counts. */
export interface Totals {
  /** Each with a meaning of its own; the first never falls. */
  readonly numbers: ReadonlyArray<Integer>
  readonly distribution: Distribution | undefined
}

/** A point of a cumulative stream. Times are nanoseconds since 1970. */
export interface Point {
  /** Names the stream. */
  readonly key: string
  /** Names the metric of a sender, and its start: what the streams that are sent together have in common. */
  readonly source: string
  /** 0 if it is unknown. */
  readonly start: Integer
  readonly time: Integer
  /** Whether it comes from where it was measured, which knows its start, and not from what observes that. */
  readonly isFirstHand: boolean
  readonly totals: Totals
}

interface State {
  readonly source: string
  readonly start: Integer
  readonly time: Integer
  readonly totals: Totals
}

/** What a point has changed. */
interface Change {
  readonly key: string
  readonly before: State | undefined
  readonly after: State
  readonly added: Totals | undefined
}

export interface Options {
  /** Nanoseconds since 1970. */
  readonly began: Integer
  /** How many numbers may be held. */
  readonly maxNumbers: number
  /** How many numbers of open requests may be held: of more, the first requests are taken for stored. */
  readonly maxOpen: number
}

/** A metric of a sender, with its start. */
interface Source {
  /** How many of its streams are held. */
  streams: number
  /** When it was last stored from. */
  seen: Integer | undefined
  /** Whether one of its streams was forgotten while others were held. */
  isPartial: boolean
}

/** A request of which it is not known whether it is stored. */
interface Open {
  readonly changes: Array<Change>
  weight: number
}

/** What a state, or an open request, weighs beside its numbers: its key and the objects, in numbers. */
const overhead = 16

const weightOf = ({ totals: { distribution, numbers } }: State): number =>
  overhead + numbers.length + (distribution === undefined ? 0 : weigh(distribution))

/** A source that has no stream in the table. */
const unknown: Readonly<Source> = { streams: 0, seen: undefined, isPartial: false }

/** The table of streams. */
export class Streams {
  readonly #maxNumbers: number
  readonly #maxOpen: number
  /** In the order of their last points. */
  readonly #states = new RecencyMap<State>()
  /** In the order in which they came. */
  readonly #open = new Map<number, Open>()
  #openWeight = 0
  /** Those that have a stream in the table. */
  readonly #sources = new Map<string, Source>()
  #weight = 0
  /** A stream that began after it was never seen before. */
  #horizon: Integer
  #now: Integer

  constructor({ began, maxNumbers, maxOpen }: Options) {
    this.#horizon = began
    this.#now = began
    this.#maxNumbers = maxNumbers
    this.#maxOpen = maxOpen
  }

  get size(): number {
    return this.#states.size
  }

  /** Begins a request, which came at that time. Its number must be new. */
  open(request: number, now: Integer): void {
    this.#now = now
    this.#open.set(request, { changes: [], weight: 0 })
    this.#weighOpen(request, overhead)
  }

  /** What a point of a request adds to what its stream has counted; `undefined` if that cannot be known, or is nothing. */
  advance(request: number, point: Point): Totals | undefined {
    const { key, source, start, time, totals } = point
    const before = this.#states.get(key)
    const after: State = { source, start, time, totals }
    const added = before === undefined ? this.#first(point) : this.#next(before, after)
    if (added === "late") return undefined
    this.#set(key, after)
    this.#open.get(request)?.changes.push({ key, before, after, added })
    this.#weighOpen(request, weightOf(after) + (before === undefined ? 0 : weightOf(before)))
    return added
  }

  /** Ends a request that was stored: its sources are known from then on, but for those of whose streams one was forgotten. */
  settle(request: number): void {
    for (const { after, key } of this.#close(request)) {
      const source = this.#sources.get(after.source)
      if (source === undefined) continue
      // It may have been forgotten together with its source, which others of its streams have brought back.
      if (!this.#states.has(key)) source.isPartial = true
      source.seen = after.time
    }
  }

  /** Ends a request that was not stored: takes back what it counted. One that is not open is left as it is. */
  revert(request: number): void {
    for (const { added, after, before, key } of this.#close(request).toReversed()) {
      const state = this.#states.get(key)
      if (state === after) this.#set(key, before)
      else if (state !== undefined && added !== undefined) {
        // Another request went on from it: what this one has added is owed to the next point.
        const numbers = state.totals.numbers.map((number, index) => minus(number, added.numbers[index]!))
        this.#set(key, { ...state, totals: { ...state.totals, numbers } })
      }
    }
  }

  #weighOpen(request: number, added: number): void {
    const open = this.#open.get(request)
    if (open === undefined) return
    open.weight += added
    this.#openWeight += added
    while (this.#openWeight > this.#maxOpen) this.settle(this.#open.keys().next().value!)
  }

  /** Takes out what a request has changed; nothing if it is not open. */
  #close(request: number): ReadonlyArray<Change> {
    const open = this.#open.get(request)
    if (open === undefined) return []
    this.#open.delete(request)
    this.#openWeight -= open.weight
    return open.changes
  }

  #first({ isFirstHand, source, start, time, totals }: Point): Totals | undefined {
    const { isPartial, seen } = this.#sources.get(source) ?? unknown
    const isNewOfSource = start !== 0 && seen !== undefined && seen < time && !isPartial
    const isNew = start > this.#horizon && (isFirstHand || start < time)
    return isNewOfSource || isNew ? totals : undefined
  }

  #next({ time, totals: before }: State, { start, time: now, totals }: State): Totals | "late" {
    const [count, countBefore] = [totals.numbers[0]!, before.numbers[0]!]
    if (count < countBefore) return start === 0 && now > time ? totals : "late"
    return {
      numbers: totals.numbers.map((number, index) => minus(number, before.numbers[index]!)),
      distribution:
        totals.distribution && before.distribution ? since(totals.distribution, before.distribution) : undefined
    }
  }

  #set(key: string, state: State | undefined): void {
    const before = this.#states.get(key)
    if (state !== undefined) this.#hold(state)
    if (before !== undefined) this.#release(before)
    if (state === undefined) return this.#states.delete(key)
    this.#states.set(key, state)
    while (this.#weight > this.#maxNumbers && this.#states.size > 1) this.#forgetOldest()
  }

  #hold(state: State): void {
    this.#weight += weightOf(state)
    const source = this.#sources.get(state.source) ?? { ...unknown }
    source.streams++
    this.#sources.set(state.source, source)
  }

  /** Says which source it was of, if that has other streams. */
  #release(state: State): Source | undefined {
    this.#weight -= weightOf(state)
    const source = this.#sources.get(state.source)!
    if (--source.streams > 0) return source
    this.#sources.delete(state.source)
    return undefined
  }

  #forgetOldest(): void {
    const { key, value: state } = this.#states.oldest!
    this.#states.delete(key)
    const source = this.#release(state)
    if (source !== undefined) source.isPartial = true
    // A clock that is far ahead must not make every stream look old.
    const start = state.start < this.#now ? state.start : this.#now
    if (start > this.#horizon) this.#horizon = start
  }
}

/** The difference, exact also where the numbers are too large for doubles. */
const minus = (a: Integer, b: Integer): Integer => {
  if (typeof a === "number" && typeof b === "number") return a - b
  if (isWhole(a) && isWhole(b)) return BigInt(a) - BigInt(b)
  return Number(a) - Number(b)
}

const isWhole = (value: Integer): boolean => typeof value === "bigint" || Number.isInteger(value)
