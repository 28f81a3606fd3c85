/** Takes events: says which cannot be stored, and hands the others to the group commit. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Event } from "./events.ts"
import { GroupCommit } from "./groupCommit.ts"
import type * as Groups from "./groupCommit.ts"
import * as metrics from "./metrics.ts"
import { EventsRefused } from "./refusals.ts"
import type { StorageUnavailable } from "./refusals.ts"
import type { Storage } from "./storage/storage.ts"

export { EventsRefused, StorageUnavailable } from "./refusals.ts"

export interface Options extends Groups.Options {
  /**
   * For how long events are kept: those that are older when they arrive are refused. More than 0; with `Infinity` none is.
   *
   * @default Infinity
   */
  readonly retention?: Duration.Input | undefined
  /**
   * How many series there may be, for the words of a refusal; it is the storage that counts them.
   *
   * @default Infinity
   */
  readonly maxSeries?: number | undefined
}

/** What a caller says of the events that it hands in. */
export interface Batch {
  /** Whether the body was one event by itself, which has no index. */
  readonly alone?: boolean | undefined
  /** Whether the caller hands in those again that are not refused. Then it also counts the others (`metrics.refuse`). */
  readonly isPartial?: boolean | undefined
}

/** How far ahead of this machine's clock an event may be. Later ones would outlive all that come, and their clock is surely wrong. */
export const maxAhead = Duration.days(1)

const make = Effect.fnUntraced(function* (options: Options) {
  const groups = yield* GroupCommit.make(options)
  const context = yield* Effect.context<never>()
  const check = makeCheck(options)
  yield* Effect.acquireRelease(
    Effect.sync(() => metrics.observe(metrics.pending, () => groups.stats.pending, context)),
    (registration) => Effect.sync(registration.remove)
  )

  const append = (events: ReadonlyArray<Event>, { alone = false, isPartial = false }: Batch = {}) =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<void, StorageUnavailable | EventsRefused> => {
      if (events.length === 0) return Effect.void
      const refuse = (refusal: EventsRefused) => {
        if (!isPartial) metrics.refuse(refusal.reason, events.length, context)
        return Effect.fail(refusal)
      }
      const [refusal] = check.times(events.length, (index) => events[index]!.timestamp ?? now, now, alone)
      if (refusal !== undefined) return refuse(refusal)
      let first = 0
      const committed = groups.submit(events.length, (columns) => (first = columns.add(events, now)))
      return Effect.flatMap(committed, (rows) => {
        const indexes = indexesOf(rows, first, events.length)
        return indexes.length === 0 ? Effect.void : refuse(check.series(indexes, alone))
      })
    })

  return {
    append,
    onCommit: (listener: Groups.CommitListener) => groups.onCommit(listener),
    stats: Effect.sync(() => groups.stats)
  }
})

/** What is wrong with the events of a batch, if anything is. */
const makeCheck = ({ maxSeries = Infinity, retention = Infinity }: Options) => {
  const maxAge = Duration.fromInputUnsafe(retention)
  const [oldest, newest] = [Duration.toMillis(maxAge), Duration.toMillis(maxAhead)]
  const details = {
    TooOld: `events are kept for ${Duration.format(maxAge)}; this one is older`,
    TooNew: "this event is more than a day ahead of the server's clock",
    SeriesLimit: `there are ${maxSeries} series already, as many as may be (METRICSTREAM_MAX_SERIES): this would be a new one`
  } as const
  const refusal = (reason: keyof typeof details, indexes: ReadonlyArray<number>, alone: boolean) =>
    new EventsRefused({ reason, detail: details[reason], indexes, alone })

  return {
    /** The refusals of those of `count` events that are too old, and of those that are too far ahead. */
    times: (count: number, timestampOf: (index: number) => number, now: number, alone: boolean) => {
      const [from, to] = [now - oldest, now + newest]
      const [old, ahead]: [Array<number>, Array<number>] = [[], []]
      for (let index = 0; index < count; index++) {
        const timestamp = timestampOf(index)
        if (timestamp < from) old.push(index)
        else if (timestamp > to) ahead.push(index)
      }
      const refusals: Array<EventsRefused> = []
      if (old.length > 0) refusals.push(refusal("TooOld", old, alone))
      if (ahead.length > 0) refusals.push(refusal("TooNew", ahead, alone))
      return refusals
    },
    /** The refusal of events whose series there is no room for. */
    series: (indexes: ReadonlyArray<number>, alone: boolean) => refusal("SeriesLimit", indexes, alone)
  }
}

const none: ReadonlyArray<number> = []

/** Which of `count` rows from `first` on are among some rows of their group. */
const indexesOf = (rows: Uint32Array, first: number, count: number): ReadonlyArray<number> =>
  rows.length === 0 ? none : Array.from(rows, (row) => row - first).filter((index) => index >= 0 && index < count)

/** Service that stores events. */
export class Ingest extends Context.Service<
  Ingest,
  {
    /**
     * Stores events, all or none, and succeeds once they are on the disk. An event without a timestamp gets the present time.
     *
     * Fails with `EventsRefused` if events are older than the retention, too far ahead, or would make too many series; in its words an event
     * that is `alone` has no index. Fails with `StorageUnavailable` at once when `maxPending` events wait, and when the
     * transaction fails. Interruption gives up waiting only: the events may be stored all the same.
     */
    readonly append: (
      events: ReadonlyArray<Event>,
      batch?: Batch
    ) => Effect.Effect<void, StorageUnavailable | EventsRefused>
    /**
     * Has a function told of each group that is on the disk, until the scope closes. It must return at once, and not change what it is given; if
     * it throws, that is logged.
     */
    readonly onCommit: (listener: Groups.CommitListener) => Effect.Effect<void, never, Scope.Scope>
    /** The events that this process has stored, and those that wait for their commit now. */
    readonly stats: Effect.Effect<{ readonly stored: number; readonly pending: number }>
  }
>()("metricstream/Ingest") {
  /** When the layer's scope closes, all that was accepted is committed first. */
  static readonly layer = (options: Options = {}): Layer.Layer<Ingest, never, Storage> =>
    Layer.effect(Ingest, make(options))
}
