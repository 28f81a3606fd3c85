/**
 * Load that does not wait for the server: requests are due at times that were fixed before, and latency counts from the time at which a
 * request was due.
 *
 * A client that sends its next request when it has its answer slows down with the server, and so leaves out just the requests that would
 * have waited: Gil Tene calls it coordinated omission ("How NOT to Measure Latency", 2013; his wrk2 schedules requests like this module).
 * Users of a server do not wait for each other: this is what they see.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../internal/monotonic.ts"
import { encode } from "./HttpRequest.ts"
import type { HttpRequest } from "./HttpRequest.ts"
import * as arrivals from "./internal/arrivals.ts"
import { LoadEngine } from "./internal/loadEngine.ts"
import { LoadRecorder } from "./internal/loadRecorder.ts"
import { formatCounts } from "./internal/report.ts"
import { checkInteger, checkMillis } from "./internal/swarm.ts"
import type { Summary } from "./LatencyHistogram.ts"
import { resolve } from "./Target.ts"
import type { Input, Resolved } from "./Target.ts"

/**
 * Options of `run` and `during`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Requests a second, a number above 0. One core sends more than 10,000 small ones. */
  readonly rate: number
  /**
   * How long requests become due. Above 0; `Infinity` does not end. `during` ends sooner when its effect does.
   *
   * @default "10 seconds", of `during` Infinity
   */
  readonly duration?: Duration.Input | undefined
  /**
   * When requests are due: at equal distances (`constant`), or independently of each other (`poisson`), as many users send them, in bursts.
   *
   * @default "constant"
   */
  readonly arrivals?: "constant" | "poisson" | undefined
  /**
   * The seed of `poisson`, an integer from 0: the same seed gives the same times.
   *
   * @default 1
   */
  readonly seed?: number | undefined
  /**
   * How many connections there are at most, and so how many requests are in flight. An integer from 1. Requests beyond wait until one is
   * free: they are counted as `late`, their latency still counts from when they were due, and those that lose their patience waiting are
   * counted as `notSent`.
   *
   * @default 100
   */
  readonly connections?: number | undefined
  /**
   * Whether connections are kept for further requests, in turn, or each request has a new one and asks the server to close it.
   *
   * @default "keep-alive"
   */
  readonly connection?: "keep-alive" | "new" | undefined
  /**
   * How long a client waits for its answer, from the time at which the request was due. After that it closes its connection and the request
   * is counted as `timedOut`. Above 0; `Infinity` waits without limit.
   *
   * @default "10 seconds"
   */
  readonly patience?: Duration.Input | undefined
  /**
   * What is sent, or what the n-th request (from 0) is. By default GET of the path of the URL that the target was given as, else `/`. A
   * function that throws ends the run with a defect.
   */
  readonly request?: HttpRequest | ((n: number) => HttpRequest) | undefined
  /**
   * Which statuses are useful answers, as opposed to refusals and errors. By default 200 to 299.
   */
  readonly useful?: ((status: number) => boolean) | undefined
  /**
   * Is told of each answer that came within the patience: the number of its request, its status, its latency in milliseconds. It should
   * return soon, since it holds the load up; when it throws, the run ends with a defect.
   */
  readonly onAnswer?: ((n: number, status: number, latencyMillis: number) => void) | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = {
  duration: "10 seconds",
  arrivals: "constant",
  seed: 1,
  connections: 100,
  connection: "keep-alive",
  patience: "10 seconds"
} as const satisfies Partial<Options>

/**
 * Requests that got no answer, by reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failures {
  /** Sent, and not answered within the patience. */
  readonly timedOut: number
  /** Never sent: all connections were busy until the patience was over. */
  readonly notSent: number
  /** No connection could be opened. */
  readonly refused: number
  /** The connection ended before the answer was whole, also one that was kept alive and that the server closed just then. */
  readonly broken: number
  /** What came was no HTTP answer. */
  readonly malformed: number
}

/**
 * The requests that were due in one second.
 *
 * @category models
 * @since 0.1.0
 */
export interface Second {
  /** From 0. */
  readonly second: number
  /** How many were due. */
  readonly offered: number
  /** How many were answered, whenever that was. */
  readonly answered: number
  /** How many of the answers were useful. */
  readonly useful: number
  /** The median latency of all answers, in milliseconds; `undefined` if there are none. */
  readonly p50: number | undefined
  /** 99 % of them are not above it. */
  readonly p99: number | undefined
  /** The greatest. */
  readonly max: number | undefined
}

/**
 * What became of the requests: `offered` is `answered` and the sum of `failures`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** How long requests became due. */
  readonly seconds: number
  /** How many requests were due. */
  readonly offered: number
  /** How many were answered within the patience, with whatever status. */
  readonly answered: number
  /** How many of the answers were useful. */
  readonly useful: number
  /** Useful answers a second. */
  readonly goodput: number
  /** The answers by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** What was not answered, by reason. */
  readonly failures: Failures
  /** Errors of connections by the code of the system, like `ECONNREFUSED`; `EMFILE` and the like are our own side's. */
  readonly errors: Readonly<Record<string, number>>
  /** How many had to wait for a free connection: if there are many, latencies tell of `connections` as well as of the server. */
  readonly late: number
  /** Latencies of useful answers, from when they were due; `undefined` if there are none. Failures have no latency: mind their number. */
  readonly latencyMillis: Summary | undefined
  /** Latencies of the other answers. */
  readonly otherLatencyMillis: Summary | undefined
  /**
   * How much later than they were due the load noticed requests, in milliseconds, and the longest time (`stall`) for which it did not run
   * at all. This is part of the latencies and not the server's fault: latencies that are not well above it mean nothing. About 1 is usual;
   * much more means that the load's own process was blocked or has too little CPU.
   */
  readonly lagMillis: { readonly p50: number; readonly p99: number; readonly max: number; readonly stall: number }
  /** Second by second, by when requests were due. */
  readonly timeline: ReadonlyArray<Second>
}

const isUseful = (status: number): boolean => status >= 200 && status < 300

const makeRequest = (target: Resolved, { connection, request = {} }: Options) => {
  const close = connection === "new" ? { Connection: "close" } : {}
  const build = (request: HttpRequest) => ({
    bytes: encode(target, { ...request, headers: { ...close, ...request.headers } }),
    method: request.method ?? "GET"
  })
  if (typeof request === "function") return (n: number) => build(request(n))
  const built = build(request)
  return () => built
}

const makeEngine = (input: Input, options: Options, duration: Duration.Input, now: () => number) => {
  const { connections = defaults.connections, patience = defaults.patience, rate, seed = defaults.seed } = options
  if (!(rate > 0) || rate === Infinity)
    throw new RangeError(`OpenLoop.run: rate must be above 0 and finite, got ${rate}`)
  checkInteger("OpenLoop.run: connections", connections)
  checkInteger("OpenLoop.run: seed", seed, 0)
  const target = resolve(input)
  const recorder = new LoadRecorder(options.useful ?? isUseful)
  const engine = new LoadEngine({
    target,
    arrivals: options.arrivals === "poisson" ? arrivals.poisson(rate, seed) : arrivals.constant(rate),
    duration: checkMillis("OpenLoop.run: duration", duration),
    patience: checkMillis("OpenLoop.run: patience", patience),
    connections,
    keepAlive: options.connection !== "new",
    request: makeRequest(target, options),
    onAnswer: options.onAnswer,
    recorder,
    now
  })
  return { engine, report: () => recorder.report(engine.seconds) }
}

/** How often the generator looks what is due. */
const tickMillis = 1

const generate = Effect.fnUntraced(function* (engine: LoadEngine) {
  while (!engine.tick()) yield* Effect.sleep(tickMillis)
})

type Load = ReturnType<typeof makeEngine>

const withEngine = <A, E, R>(
  target: Input,
  options: Options,
  duration: Duration.Input,
  use: (load: Load) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Clock.clockWith((clock) => Effect.sync(() => makeEngine(target, options, duration, () => monotonicMillis(clock)))),
    use,
    ({ engine }) => Effect.sync(() => engine.destroy())
  )

/**
 * Sends requests at their times and reports what became of them.
 *
 * **Details**
 *
 * Returns when the last request is answered or has lost its patience. It does not fail: whatever goes wrong is counted. Interruption closes
 * all connections at once. The first requests of kept connections open them, which is part of their latencies.
 *
 * **Gotchas**
 *
 * Load in the process of the server takes its CPU and waits for its event loop: run it in a process of its own to measure, and look at
 * `lagMillis` before you believe a latency.
 *
 * **Example** (Half a minute of load)
 *
 * ```ts
 * const report = yield* OpenLoop.run("http://127.0.0.1:3000/", { rate: 500, duration: "30 seconds", patience: "1 second" })
 * console.log(report.goodput, report.latencyMillis?.p99)
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = (target: Input, options: Options): Effect.Effect<Report> =>
  withEngine(target, options, options.duration ?? defaults.duration, ({ engine, report }) =>
    Effect.map(generate(engine), report)
  )

/**
 * Sends requests for as long as an effect runs, typically an attack, and returns its result beside the report: how a client that behaves
 * fares meanwhile.
 *
 * **Details**
 *
 * When the effect has succeeded no more requests become due, and those in flight are waited for. When it fails, the load ends at once. What
 * interrupts it interrupts both.
 *
 * **Example** (A client among a thousand)
 *
 * ```ts
 * const flood = ConnectionFlood.run(server, { connections: 1000 })
 * const { load, result } = yield* OpenLoop.during(flood, server, { rate: 10, connection: "new" })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const during = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  target: Input,
  options: Options
): Effect.Effect<{ readonly result: A; readonly load: Report }, E, R> =>
  withEngine(
    target,
    options,
    options.duration ?? Infinity,
    Effect.fnUntraced(function* ({ engine, report }: Load) {
      const generator = yield* Effect.forkChild(generate(engine), { startImmediately: true })
      return yield* Effect.gen(function* () {
        const result = yield* self
        engine.stop()
        yield* Fiber.join(generator)
        return { result, load: report() }
      }).pipe(Effect.ensuring(Fiber.interrupt(generator)))
    })
  )

const summaryLine = (name: string, summary: Summary | undefined): ReadonlyArray<string> => {
  if (summary === undefined) return []
  const { max, p50, p90, p99, p999 } = summary
  const [a, b, c, d, e] = [p50, p90, p99, p999, max].map((millis) => millis.toFixed(1))
  return [`  ${name}: p50 ${a} ms, p90 ${b} ms, p99 ${c} ms, p99.9 ${d} ms, max ${e} ms`]
}

/**
 * A report as a few lines of text, to be read by people: its wording may change. The time line is left out.
 *
 * @category combinators
 * @since 0.1.0
 */
export const format = (report: Report): string => {
  const { failures, goodput, lagMillis, late, offered, seconds, statuses } = report
  return [
    `${offered} requests in ${seconds.toFixed(1)} s, ${goodput.toFixed(1)} useful answers/s`,
    `  statuses: ${formatCounts(statuses)}; failures: ${formatCounts({ ...failures })}; late: ${late}`,
    ...summaryLine("latency", report.latencyMillis),
    ...summaryLine("latency of other answers", report.otherLatencyMillis),
    `  own lag: p50 ${lagMillis.p50.toFixed(1)} ms, p99 ${lagMillis.p99.toFixed(1)} ms, max ${lagMillis.max.toFixed(1)} ms`
  ].join("\n")
}
