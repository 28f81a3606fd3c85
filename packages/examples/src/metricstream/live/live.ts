/**
 * The live page's source of news: measures the server once a second, whatever the number of viewers, and streams to each what it has not seen.
 *
 * Viewers hold no permit of the door and have no deadline: a response that streams gives both back when it begins. What bounds them is their
 * number, and that a viewer's queue is its place in rings that all share (see `feed.ts`).
 */
import * as Problem from "@spillway/http/Problem"
import { Drain } from "@spillway/runtime/Drain"
import type { ServerStatus } from "@spillway/http/Server"
import type { EventLoop } from "@spillway/runtime/EventLoop"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Respondable from "effect/http/HttpServerRespondable"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { eachSecond, phases } from "../eachSecond.ts"
import { Ingest } from "../ingest.ts"
import { observe } from "../metrics.ts"
import type { OtlpReader } from "../otlp/tasks.ts"
import { Queries } from "../query/queries.ts"
import type { Storage } from "../storage/storage.ts"
import { Changes } from "./changes.ts"
import { Feed } from "./feed.ts"
import type { Refusal } from "./feed.ts"
import { rhythm, watchedAggregations } from "./figures.ts"
import type { Hello, Point } from "./figures.ts"
import * as metrics from "./metrics.ts"
import { follow } from "./follow.ts"
import { limits } from "./limits.ts"
import { makeSampler } from "./sampling.ts"
import { Watches } from "./watches.ts"
import type { Watch, Watched } from "./watches.ts"

/** The time from one point to the next. */
const interval = Duration.millis(rhythm.interval)

/** How many seconds a viewer that is refused is told to wait: until somebody leaves, or the next process is there. */
const retryAfter: Readonly<Record<Refusal, number>> = { Draining: 1, Full: 5, Quota: 5 }

/**
 * There is no room for one more viewer, or the server is about to stop: answered 503 with `Retry-After`. Or it is its own client that watches as
 * often as it may: answered 429 with `Retry-After`.
 */
export class ViewerRefused extends Schema.TaggedError<ViewerRefused>("metricstream/ViewerRefused")("ViewerRefused", {
  reason: Schema.Literals(["Draining", "Full", "Quota"]),
  /** Viewers that one client may have. */
  maxViewers: Schema.Finite
}) {
  override get message() {
    switch (this.reason) {
      case "Draining":
        return "the server is being restarted"
      case "Full":
        return `${limits.viewers} viewers watch already`
      case "Quota":
        return `${this.maxViewers} viewers from your address watch already, as many as may (METRICSTREAM_MAX_VIEWERS)`
    }
  }
  [Respondable.symbol]() {
    const seconds = retryAfter[this.reason]
    const problem =
      this.reason === "Quota" ? quotaExceeded(this.message, seconds) : Problem.unavailable(this.message, seconds)
    return Effect.succeed(Problem.toResponse(problem))
  }
}

const quotaExceeded = (detail: string, seconds: number) =>
  Problem.make({
    status: 429,
    type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
    detail,
    headers: { "retry-after": String(seconds) },
    extensions: { "violated-policies": ["viewers"] }
  })

export interface Options {
  /** That of the page's files. */
  readonly version: string
  /** Viewers that one client may have, of all that there may be. An integer from 1. */
  readonly maxViewers: number
}

/** What a viewer asks for. */
export interface Visit {
  /** The time of the last point that it has. */
  readonly after: number | undefined
  /** The series that it watches. */
  readonly watched: Watched | undefined
}

/** One who comes to watch. */
export interface Visitor extends Visit {
  /** Whose viewer it is: the key by which rate limits know clients. */
  readonly client: string
}

/** What viewers are sent, and the series that they watch. */
interface Sources {
  readonly feed: Feed
  readonly watches: Watches
}

const make = Effect.fnUntraced(function* ({ maxViewers, version }: Options) {
  const context = yield* Effect.context<never>()
  const { measure, workers } = yield* makeSampler
  const watches = new Watches()
  const onLost = (points: number) => metrics.lostPoints.updateUnsafe(points, context)
  const feed = new Feed({ ...limits, viewersOfClient: maxViewers, onLost })
  yield* observed(feed)
  yield* keepUp({ feed, watches }, measure)

  const greeting = Effect.map(Effect.all([Clock.currentTimeMillis, workers]), ([now, workers]): Hello => ({
    version,
    interval: Duration.toMillis(interval),
    keep: limits.points,
    workers,
    now
  }))
  const watch = Effect.fnUntraced(function* (visitor: Visitor) {
    const viewer = yield* admit({ feed, watches }, yield* greeting, visitor).pipe(
      Effect.mapError((reason) => new ViewerRefused({ reason, maxViewers }))
    )
    return follow(feed, viewer)
  })
  return {
    watch: (visitor: Visitor) =>
      Effect.tapError(watch(visitor), ({ reason }) =>
        Metric.update(Metric.withAttributes(metrics.refusedViewers, { reason }), 1)
      )
  }
})

/** Lets the feed have what happens, until the server drains, which ends it. */
const keepUp = Effect.fnUntraced(function* ({ feed, watches }: Sources, measure: Effect.Effect<Point>) {
  const drain = yield* Drain
  const ingest = yield* Ingest
  const changes = new Changes(limits.changes)
  yield* ingest.onCommit((columns, counts) => {
    if (feed.size === 0) return
    changes.add(columns, counts)
    watches.changed(columns.names)
  })
  const tick = Effect.map(measure, (point) => {
    const news = changes.take()
    if (news !== undefined) feed.tell("news", news)
    feed.publish(point)
  })
  yield* Effect.forkScoped(eachSecond(Effect.catchDefect(tick, report), phases.measure))
  yield* Effect.forkScoped(eachSecond(Effect.catchDefect(yield* makeReader(watches), report), phases.read))
  const end = Effect.sync(() => feed.end())
  yield* Effect.forkScoped(Effect.andThen(drain.began, end))
})

/** A bug of ours is no reason to show nothing any more. */
const report = (defect: unknown) => Effect.logError("the live page could not be brought up to date", defect)

/** Lets a viewer in until the scope closes, if there is room. */
const admit = ({ feed, watches }: Sources, hello: Hello, { after, client, watched }: Visitor) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const refusal = feed.refusal(client)
      if (refusal !== undefined) return Effect.fail(refusal)
      const watch = watched === undefined ? undefined : watches.join(watched)
      return Effect.succeed(feed.open(client, hello, after, watch))
    }),
    (viewer) =>
      Effect.sync(() => {
        feed.close(viewer)
        if (viewer.watch !== undefined) watches.leave(viewer.watch)
      })
  )

/** Lets the number of viewers be exported while the scope is open. */
const observed = Effect.fnUntraced(function* (feed: Feed) {
  const context = yield* Effect.context<never>()
  yield* Effect.acquireRelease(
    Effect.sync(() => observe(metrics.viewers, () => feed.size, context)),
    (registration) => Effect.sync(registration.remove)
  )
})

/** Reads the watched series that got events, one after the other: however many viewers there are, they take one worker at most. */
const makeReader = Effect.fnUntraced(function* (watches: Watches) {
  const queries = yield* Queries
  const read = Effect.fnUntraced(function* (watch: Watch, monotonicNow: number) {
    const { name } = watch
    const range = watch.rangeAt(yield* Clock.currentTimeMillis)
    watch.begin(monotonicNow)
    const question = { name, ...range, agg: [...watchedAggregations] }
    const columns = yield* queries.aggregate(question, { priority: "high" })
    const { from, step } = range
    watch.update({ name, from, step, columns: columns.map((column) => Array.from(column, orNull)) })
  })
  return Effect.gen(function* () {
    const now = Number(yield* Clock.monotonicTimeNanos) / 1e6
    // A series that is unknown yet, or a worker that is not free, is looked for again when it has changed again. The page asks too.
    yield* Effect.forEach(watches.due(now), (watch) => Effect.ignore(read(watch, now)), { discard: true })
  })
})

/** JSON has no NaN. */
const orNull = (value: number): number | null => (Number.isFinite(value) ? value : null)

/** Service that lets people watch the server. */
export class Live extends Context.Service<
  Live,
  {
    /**
     * Begins to watch, until the scope closes. The stream is the text of server-sent events; it ends when the server drains.
     *
     * Fails with `ViewerRefused` when `limits.viewers` watch, when the client has as many as it may, and once the server drains.
     */
    readonly watch: (visitor: Visitor) => Effect.Effect<Stream.Stream<string>, ViewerRefused, Scope.Scope>
  }
>()("metricstream/Live") {
  static readonly layer = (
    options: Options
  ): Layer.Layer<Live, never, Drain | EventLoop | Ingest | OtlpReader | Queries | ServerStatus | Storage> =>
    Layer.effect(Live, make(options))
}
