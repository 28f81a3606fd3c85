/**
 * What viewers are sent: points, news of the series, and the watched series of each.
 *
 * Each message is encoded once and held once, whatever the number of viewers. A viewer's queue is its place in two rings that all share, so that
 * a viewer who does not read costs the server a few numbers. One that falls behind by more than the rings hold has lost what was in between:
 * points are counted, and for news it is told to ask for everything again. Plain code without time, so that tests need neither.
 */
import type { Hello, Point } from "./figures.ts"
import { Ring } from "./ring.ts"
import { encodeEvent, retry } from "./serverSentEvents.ts"
import type { Watch } from "./watches.ts"

export interface Options {
  /** Points that are kept: what a page that is opened or comes back can see of the past. */
  readonly points: number
  /** News that are kept. */
  readonly news: number
  /** Viewers at once, and those of one client. More are refused. */
  readonly viewers: number
  readonly viewersOfClient: number
  /** Hears how many points a viewer has lost. */
  readonly onLost: (points: number) => void
}

/** The milliseconds after which a browser's `EventSource` connects again. */
const retryMillis = 1000

interface Kept {
  readonly time: number
  readonly text: string
}

/** Why somebody cannot watch: there is nothing more to come, all places are taken, or those of the client are. */
export type Refusal = "Draining" | "Full" | "Quota"

/** One who watches. */
export class Viewer {
  /** Whose it is. */
  readonly client: string
  readonly watch: Watch | undefined
  /** What it gets first. */
  greeting: string | undefined
  /** Called once when there is something to read. */
  wake: (() => void) | undefined = undefined
  /** The next point and the next news that it is to get, and the version of its watch that it has, or does not need. */
  point: number
  news: number
  version: number

  constructor(client: string, greeting: string, point: number, news: number, watch: Watch | undefined) {
    this.client = client
    this.greeting = greeting
    this.point = point
    this.news = news
    this.watch = watch
    // What was read before it came may be older than what it has from elsewhere. It is read again, see `Watches.join`.
    this.version = watch?.version ?? 0
  }
}

export class Feed {
  readonly #options: Options
  readonly #viewers = new Set<Viewer>()
  readonly #news: Ring<string>
  #points: Ring<Kept>
  #ended = false

  constructor(options: Options) {
    this.#options = options
    this.#points = new Ring(options.points)
    this.#news = new Ring(options.news)
  }

  /** How many watch. */
  get size(): number {
    return this.#viewers.size
  }

  /** There is nothing more to come. */
  get ended(): boolean {
    return this.#ended
  }

  /** Why a client cannot have one more viewer, if it cannot. */
  refusal(client: string): Refusal | undefined {
    if (this.#ended) return "Draining"
    if (this.#viewers.size >= this.#options.viewers) return "Full"
    // All places are few enough to be looked at.
    const own = [...this.#viewers].filter((viewer) => viewer.client === client)
    return own.length < this.#options.viewersOfClient ? undefined : "Quota"
  }

  /** Adds a viewer of a client, who has the points up to the time `after`, or none. It must be let go by `close`. */
  open(client: string, hello: Hello, after: number | undefined, watch?: Watch): Viewer {
    const kept = this.#points.from(0)
    const known = after === undefined ? 0 : kept.findLastIndex(({ time }) => time <= after) + 1
    const greeting = retry(retryMillis) + encodeEvent("hello", hello)
    const viewer = new Viewer(client, greeting, this.#points.oldest + known, this.#news.next, watch)
    this.#viewers.add(viewer)
    return viewer
  }

  close(viewer: Viewer): void {
    this.#viewers.delete(viewer)
  }

  publish(point: Point): void {
    const time = point[0]!
    // The clock was set back. What lies in the time to come is of no use to a chart.
    if (time <= (this.#points.last?.time ?? -Infinity)) this.#forget()
    this.#points.push({ time, text: JSON.stringify(point) })
    this.#wakeAll()
  }

  /** Adds news, which go out with the next point. */
  tell(event: string, data: unknown): void {
    this.#news.push(encodeEvent(event, data))
  }

  /** Ends every viewer's stream, once it has read what there is and that this is the end. */
  end(): void {
    if (this.#ended) return
    this.tell("drain", {})
    this.#ended = true
    this.#wakeAll()
  }

  /** Whether `take` has something for a viewer, or never will have again. */
  isReady(viewer: Viewer): boolean {
    const isBehind = viewer.point < this.#points.next || viewer.news < this.#news.next
    return this.#ended || isBehind || viewer.greeting !== undefined || hasNewTail(viewer)
  }

  #wakeAll(): void {
    for (const viewer of this.#viewers) {
      const { wake } = viewer
      viewer.wake = undefined
      wake?.()
    }
  }

  /** Takes everything that there is for a viewer, as one text; nothing if there is nothing. */
  take(viewer: Viewer): string | undefined {
    const text = this.#greet(viewer) + this.#takePoints(viewer) + this.#takeNews(viewer) + takeTail(viewer)
    return text === "" ? undefined : text
  }

  #greet(viewer: Viewer): string {
    const { greeting = "" } = viewer
    viewer.greeting = undefined
    return greeting
  }

  #takePoints(viewer: Viewer): string {
    const { next, oldest } = this.#points
    if (viewer.point < oldest) this.#options.onLost(oldest - viewer.point)
    if (viewer.point >= next) return ""
    const points = this.#points.from(viewer.point)
    viewer.point = next
    return encodeEvent("points", `[${points.map(({ text }) => text).join()}]`, points.at(-1)!.time)
  }

  #takeNews(viewer: Viewer): string {
    const { next, oldest } = this.#news
    const news = viewer.news < oldest ? [encodeEvent("resync", {})] : this.#news.from(viewer.news)
    viewer.news = next
    return news.join("")
  }

  #forget(): void {
    this.#points = new Ring(this.#options.points)
    for (const viewer of this.#viewers) viewer.point = 0
  }
}

const hasNewTail = ({ version, watch }: Viewer): boolean => watch?.tail !== undefined && version !== watch.version

const takeTail = (viewer: Viewer): string => {
  if (!hasNewTail(viewer)) return ""
  viewer.version = viewer.watch!.version
  return viewer.watch!.tail!
}
