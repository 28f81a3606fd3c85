/**
 * How busy this thread's event loop is, how late, and who blocked it.
 *
 * A handler that computes for 300 ms on the event loop makes every other request wait for 300 ms, and nothing on that loop can say so
 * while it lasts. So a second thread listens to the loop's heart. When the heart has not beaten for the threshold, the route, the span
 * and, if asked for, the stack of what runs are found out; one line of the log then names what is to be offloaded. The idea is that of
 * Vert.x's `BlockedThreadChecker`, with the culprit added, and with a threshold of 100 ms instead of 2 s.
 *
 * Time here is that of the machine, not that of Effect's `Clock`: a `TestClock` does not move it. Tests take `EventLoop.layerTest`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { performance } from "node:perf_hooks"
import { Heart } from "./internal/eventLoop/heart.ts"
import type { HeartOptions } from "./internal/eventLoop/heart.ts"
import * as reports from "./internal/eventLoop/report.ts"
import * as internal from "./internal/eventLoop/sampler.ts"
import { Witness } from "./internal/eventLoop/witness.ts"
import * as RuntimeMetrics from "./RuntimeMetrics.ts"

/**
 * The state of the loop over the last complete window.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** The share of the window that the loop was busy, from 0 to 1. */
  readonly utilization: number
  /** How late the loop came to its timers, the median of samples every 10 ms. */
  readonly delayP50: Duration.Duration
  /** The same, the 99th percentile. */
  readonly delayP99: Duration.Duration
  /** The same, the longest. */
  readonly delayMax: Duration.Duration
}

/**
 * A function on the stack of a blocked loop. Lines and columns count from 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Frame {
  /** Its name, empty if it has none. */
  readonly functionName: string
  /** Its file. */
  readonly url: string
  /** The line that was running. */
  readonly line: number
  /** The column that was running. */
  readonly column: number
}

/**
 * A block that is over, and what is known of its culprit.
 *
 * @category models
 * @since 0.1.0
 */
export interface Block {
  /** How long the loop did not turn, to about an eighth of the threshold. Time in which the whole process stood still is not in it. */
  readonly duration: Duration.Duration
  /**
   * Processor time of the thread in it, `undefined` before Node 23.9. Much less than `duration` says that the thread waited: for a
   * synchronous read of a file, a lock, or for the processor.
   */
  readonly cpu: Duration.Duration | undefined
  /** The route as in `GET /report/:id`, or the label of `enter`; `undefined` if neither is known. */
  readonly route: string | undefined
  /** The span of the fiber that ran. Its ids are `undefined` where only the inspector saw it. */
  readonly span:
    | { readonly name: string; readonly traceId: string | undefined; readonly spanId: string | undefined }
    | undefined
  /** The culprit ran for less than half of it: it is one of many that did not let the loop turn between them. */
  readonly shared: boolean
  /** The stack in the middle of it, the innermost function first, at most 20. Empty without the option `stack`. */
  readonly stack: ReadonlyArray<Frame>
}

/**
 * Options of `EventLoop.layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long the loop may not turn before that is a block. From 20 ms; `Infinity` watches nothing and starts no thread. The loop's
   * heart beats every quarter of it, at most every 250 ms.
   *
   * @default "100 millis"
   */
  readonly threshold?: Duration.Input | undefined
  /**
   * After how long a block that is not over yet is written to standard error by the watching thread, so that one that never ends is
   * seen too. From `threshold`; `Infinity` writes nothing.
   *
   * @default "1 second"
   */
  readonly stuckAfter?: Duration.Input | undefined
  /**
   * How often the same culprit is said again, at most. `0` says each block, `Infinity` each culprit once. Metrics, `blocks` and
   * `onBlock` have all of them.
   *
   * @default "10 seconds"
   */
  readonly logInterval?: Duration.Input | undefined
  /**
   * The window of `stats` and of the gauges. From 50 ms; finite.
   *
   * @default "1 second"
   */
  readonly window?: Duration.Input | undefined
  /**
   * Takes the JavaScript stack of the blocked thread through `node:inspector`. Nothing listens on a port. It costs: with the debugger
   * enabled asynchronous code is slower, see docs/event-loop.md. In a worker thread the stack is had only while the main thread turns.
   *
   * @default false
   */
  readonly stack?: boolean | undefined
  /** Runs for each block once it is over. Blocks wait for it, the oldest of more than 16 are dropped. A defect is logged. */
  readonly onBlock?: ((block: Block) => Effect.Effect<void>) | undefined
}

/**
 * The defaults of `Options`. Around 100 ms a person begins to notice that an answer is late (Miller 1968, Nielsen 1993).
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = {
  threshold: "100 millis",
  stuckAfter: "1 second",
  logInterval: "10 seconds",
  window: "1 second",
  stack: false
} as const

/**
 * `Stats` as numbers, the delays in milliseconds: what `makeSampler` reads.
 *
 * @category models
 * @since 0.1.0
 */
export type Reading = { readonly [K in keyof Stats]: number }

/**
 * Reads utilization and delay of the loop without fibers and timers of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sampler {
  /**
   * The last complete window at `now`, in milliseconds of a monotonic clock. All 0 in the first one. A window ends with the first call
   * after its time; a loop that did not come to its timers once in it counts as late by the whole of it.
   */
  readonly sample: (now: number) => Reading
  /** Stops the histogram. */
  readonly close: () => void
}

/** How often node looks how late the loop is, in milliseconds: the least with which its own wake-ups do not show. */
const resolution = 10

/** How many blocks wait for `onBlock` and for each reader of `blocks`. */
const maxWaiting = 16

/** How long the layer waits for the watching thread to start. It goes on without after that: to watch is not what the program is for. */
const startTimeout = Duration.seconds(5)

/** How long the watching thread may take to end before it is terminated. */
const closeTimeout = Duration.seconds(1)

/**
 * Makes a sampler. It costs one wake-up of the loop each 10 ms, in native code, and nothing for each request.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSampler = (options: { readonly window?: Duration.Input | undefined } = {}): Sampler => {
  const window = Duration.toMillis(Duration.fromInputUnsafe(options.window ?? defaults.window))
  if (!(window >= 50 && window < Infinity)) {
    throw new RangeError(`EventLoop.makeSampler: window must be from 50 ms and finite, got ${window} ms`)
  }
  return new internal.Sampler({ window, resolution })
}

/**
 * Says of a block what the log says: how long, who, and what to do about it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toMessage = (block: Block): string => reports.toMessage(block)

const toStats = ({ delayMax, delayP50, delayP99, utilization }: Reading): Stats => ({
  utilization,
  delayP50: Duration.millis(delayP50),
  delayP99: Duration.millis(delayP99),
  delayMax: Duration.millis(delayMax)
})

const toHeartOptions = (options: Options): HeartOptions => {
  const millis = (key: "threshold" | "stuckAfter" | "logInterval"): number =>
    Duration.toMillis(Duration.fromInputUnsafe(options[key] ?? defaults[key]))
  const threshold = millis("threshold")
  const stuckAfter = Math.max(millis("stuckAfter"), threshold)
  if (!(threshold >= 20)) throw new RangeError(`EventLoop.layer: threshold must be at least 20 ms, got ${threshold} ms`)
  const stack = options.stack ?? defaults.stack
  return { threshold, stuckAfter, logInterval: millis("logInterval"), stack, period: Math.min(threshold / 4, 250) }
}

/** Reads a window, and the gauges with it, as long as the scope is open. */
const sampling = Effect.fnUntraced(function* (options: Options) {
  const context = yield* Effect.context<never>()
  const window = Duration.toMillis(Duration.fromInputUnsafe(options.window ?? defaults.window))
  const state = { stats: toStats({ utilization: 0, delayP50: 0, delayP99: 0, delayMax: 0 }) }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const sampler = makeSampler(options)
      sampler.sample(performance.now())
      const timer = setInterval(() => {
        const reading = sampler.sample(performance.now())
        state.stats = toStats(reading)
        RuntimeMetrics.eventLoopUtilization.updateUnsafe(reading.utilization, context)
        RuntimeMetrics.eventLoopDelayP50.updateUnsafe(reading.delayP50 / 1000, context)
        RuntimeMetrics.eventLoopDelayP99.updateUnsafe(reading.delayP99 / 1000, context)
        RuntimeMetrics.eventLoopDelayMax.updateUnsafe(reading.delayMax / 1000, context)
      }, window)
      timer.unref()
      return { sampler, timer }
    }),
    ({ sampler, timer }) =>
      Effect.sync(() => {
        clearInterval(timer)
        sampler.close()
      })
  )
  return Effect.sync(() => state.stats)
})

/** Ends the thread, within a time. */
const closeHeart = (heart: Heart): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (!heart.close(() => resume(Effect.void))) resume(Effect.void)
  }).pipe(Effect.timeoutOrElse({ duration: closeTimeout, orElse: () => Effect.sync(() => heart.kill()) }))

/** What is done with each block: it is counted, logged, published, and given to `onBlock`, in this order. */
const makeReport = Effect.fnUntraced(function* (options: Options, heartOptions: HeartOptions) {
  const context = yield* Effect.context<never>()
  const published = yield* Effect.acquireRelease(PubSub.sliding<Block>(maxWaiting), PubSub.shutdown)
  const log = new reports.BlockLog(heartOptions.logInterval)
  const { onBlock } = options
  const report = Effect.fnUntraced(function* (block: Block) {
    reports.count(block, context)
    yield* log.report(block, performance.now())
    yield* PubSub.publish(published, block)
    if (onBlock === undefined) return
    yield* Effect.catchCause(
      Effect.suspend(() => onBlock(block)),
      (cause) => Effect.logError("onBlock of EventLoop died", cause)
    )
  })
  return { published, report }
})

/** Watches the loop as long as the scope is open. */
const watch = Effect.fnUntraced(function* (options: Options, heartOptions: HeartOptions) {
  const queue = yield* Queue.sliding<Block>(maxWaiting)
  const { published, report } = yield* makeReport(options, heartOptions)
  const started = Deferred.makeUnsafe<void>()
  const lost = Deferred.makeUnsafe<unknown>()
  const heart = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Heart(heartOptions, {
          ended: (silence) => void Queue.offerUnsafe(queue, reports.toBlock(silence)),
          watching: () => Deferred.doneUnsafe(started, Effect.void),
          lost: (error) => {
            Deferred.doneUnsafe(started, Effect.void)
            Deferred.doneUnsafe(lost, Effect.succeed(error))
          }
        })
    ),
    closeHeart
  )
  yield* Effect.forkScoped(
    Effect.flatMap(Deferred.await(lost), (error) => Effect.logError("the event loop is not watched any more", error))
  )
  yield* Effect.timeoutOrElse(Deferred.await(started), {
    duration: startTimeout,
    orElse: () => {
      heart.unref()
      return Effect.logWarning("the thread that watches the event loop has not started yet")
    }
  })
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(queue), report)))
  const scheduler = (yield* Effect.context<never>()).pipe(Context.get(Scheduler.Scheduler))
  const witness = new Witness(scheduler, heart.cells, heart.named)
  heart.witness = witness
  return { blocks: Stream.fromPubSub(published), watching: Effect.sync(() => heart.watching), witness }
})

/** What there is of a loop that nobody watches. */
const unwatched: Omit<EventLoop["Service"], "stats"> = {
  blocks: Stream.empty,
  watching: Effect.succeed(false),
  labelId: () => 0,
  enter: () => 0,
  leave: () => {}
}

/**
 * Service that knows how busy and how late the event loop of this thread is, and who blocked it.
 *
 * @category services
 * @since 0.1.0
 */
export class EventLoop extends Context.Service<
  EventLoop,
  {
    /** The last complete window: zeros until the first is. */
    readonly stats: Effect.Effect<Stats>
    /** Every block from now on, once it is over. A reader that falls behind by more than 16 misses the oldest. */
    readonly blocks: Stream.Stream<Block>
    /** Whether the thread that watches is there: not if it could not start, has ended, or none was asked for. */
    readonly watching: Effect.Effect<boolean>
    /** The number of a label for `enter`, from a closed set: 0, which names nothing, when there are more than 1024. */
    readonly labelId: (label: string) => number
    /**
     * Says that from now on the code of a label runs, and gives the number of what ran before, which is to be given to `leave`. For
     * synchronous code that is not in a fiber; fibers are known without. One store to shared memory.
     */
    readonly enter: (id: number) => number
    /** Ends what `enter` began. */
    readonly leave: (previous: number) => void
  }
>()("@spillway/runtime/EventLoop") {
  /**
   * Watches the event loop of the thread in which it is built: one for each thread.
   *
   * **Details**
   *
   * It also provides a `Scheduler`, which wraps the one there is and remembers whose operation ran last. Fibers that run in this layer's
   * context, as those of a server to which it is provided, can be named; of others only the stack is known.
   *
   * The layer is built once the thread watches, in about 60 ms, 150 ms with `stack`; after 5 s, or when the thread can not start, it is
   * built without, and the log says so. Interrupted meanwhile it ends the thread.
   *
   * Neither thread nor timers keep the process alive. When the scope closes they end, within a second.
   *
   * **Example** (A server that says who blocks it)
   *
   * ```ts
   * HttpRouter.serve(routes).pipe(Layer.provide(Server.layer()), Layer.provide(EventLoop.EventLoop.layer()))
   * ```
   */
  static readonly layer = (options: Options = {}): Layer.Layer<EventLoop> =>
    Layer.effectContext(
      Effect.gen(function* () {
        const heartOptions = toHeartOptions(options)
        const stats = yield* sampling(options)
        if (heartOptions.threshold === Infinity) return Context.make(EventLoop, { ...unwatched, stats })
        const { blocks, watching, witness } = yield* watch(options, heartOptions)
        const enter = (id: number): number => witness.enter(id)
        return Context.make(EventLoop, {
          stats,
          blocks,
          watching,
          labelId: (label) => witness.idOf(label),
          enter,
          leave: enter
        }).pipe(Context.add(Scheduler.Scheduler, witness))
      })
    )

  /** A loop that is as the test says, idle by default, and that nobody watches. */
  static readonly layerTest = (
    state: Partial<Stats> & { readonly blocks?: ReadonlyArray<Block> | undefined } = {}
  ): Layer.Layer<EventLoop> => {
    const { blocks = [], ...stats } = state
    return Layer.succeed(EventLoop, {
      ...unwatched,
      stats: Effect.succeed({ ...toStats({ utilization: 0, delayP50: 0, delayP99: 0, delayMax: 0 }), ...stats }),
      blocks: Stream.fromIterable(blocks)
    })
  }
}
