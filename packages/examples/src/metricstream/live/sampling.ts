/** Measures the server once a second, from metrics that exist anyway: nothing is counted for the page. */
import * as HttpMetrics from "@spillway/http/HttpMetrics"
import { ServerStatus } from "@spillway/http/Server"
import { EventLoop } from "@spillway/runtime/EventLoop"
import * as Offload from "@spillway/runtime/Offload"
import { secondsBoundaries } from "@spillway/runtime/RuntimeMetrics"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Ingest } from "../ingest.ts"
import { OtlpReader } from "../otlp/tasks.ts"
import { Queries, questions } from "../query/queries.ts"
import { Storage } from "../storage/storage.ts"
import { figures } from "./figures.ts"
import type { Figures, Point } from "./figures.ts"
import { difference, percentile } from "./latency.ts"
import type { Counts } from "./latency.ts"

/** Everything that only ever grows. */
interface Totals {
  /** Monotonic, in seconds. */
  readonly time: number
  readonly stored: number
  readonly answered: number
  readonly refused: number
  readonly failed: number
  /** Of the requests that were answered or failed: a refusal takes no time, and would make an overloaded server look fast. */
  readonly durations: Counts
  /** Of the same requests together, in seconds. */
  readonly duration: number
}

/** Requests that last as long as their page is open say nothing of how fast the server is. */
const isEndless = (route: string | undefined): boolean => route === "/live"

const kindOf = (status: number): "answered" | "refused" | "failed" | "abandoned" => {
  if (status === 429 || status === 503) return "refused"
  if (status === 499) return "abandoned"
  return status >= 500 ? "failed" : "answered"
}

/** What the server's own histogram says of all requests so far. */
export const readRequests = (context: Context.Context<never>): Omit<Totals, "time" | "stored"> => {
  const totals = { answered: 0, refused: 0, failed: 0, abandoned: 0 }
  const durations = Array.from({ length: secondsBoundaries.length + 1 }, () => 0)
  let duration = 0
  for (const { attributes, hooks, id } of Context.get(context, Metric.MetricRegistry).values()) {
    if (id !== HttpMetrics.requestDuration.id || isEndless(attributes?.["route"])) continue
    const { buckets, count, sum }: Metric.HistogramState = hooks.get(context)
    const kind = kindOf(Number(attributes?.["status"]))
    totals[kind] += count
    if (kind === "refused" || kind === "abandoned") continue
    duration += sum
    let below = 0
    for (const [index, [, cumulative]] of buckets.entries()) {
      durations[index]! += cumulative - below
      below = cumulative
    }
    durations[buckets.length]! += count - below
  }
  return { ...totals, durations, duration }
}

const workersOf = Effect.fnUntraced(function* (offload: object) {
  const { queued, workers } = yield* Offload.stats(offload)
  // What runs at this very moment says little of a second in which tasks take a millisecond.
  return { busy: workers.reduce((sum, { utilization }) => sum + utilization, 0), waiting: queued, all: workers.length }
})

/** Measures the second since the call before, or since it was made. */
export const makeSampler = Effect.gen(function* () {
  const context = yield* Effect.context<never>()
  const ingest = yield* Ingest
  const offloads = [yield* Storage, yield* Queries, yield* OtlpReader]
  const server = yield* ServerStatus
  const loop = yield* EventLoop

  const totals = Effect.gen(function* () {
    const time = Number(yield* Clock.monotonicTimeNanos) / 1e9
    const { stored } = yield* ingest.stats
    return { time, stored, ...readRequests(context) } satisfies Totals
  })

  let before = yield* totals
  const measure = Effect.gen(function* () {
    const now = yield* totals
    const { pending } = yield* ingest.stats
    const { queued, running } = yield* server.stats
    const { delayP50, delayP99 } = yield* loop.stats
    const workers = yield* Effect.forEach(offloads, workersOf)
    const { queued: asked } = yield* questions.stats
    const measured: Figures = {
      ...since(before, now),
      pending,
      running,
      queued,
      loopP50: Duration.toSeconds(delayP50),
      loopP99: Duration.toSeconds(delayP99),
      busy: workers.reduce((sum, { busy }) => sum + busy, 0),
      waiting: workers.reduce((sum, { waiting }) => sum + waiting, asked)
    }
    before = now
    return toPoint(yield* Clock.currentTimeMillis, measured)
  })
  const workers = Effect.map(Effect.forEach(offloads, workersOf), (all) => all.reduce((sum, { all }) => sum + all, 0))
  return { measure, workers }
})

const since = (before: Totals, now: Totals) => {
  const rate = (of: "stored" | "answered" | "refused" | "failed") => (now[of] - before[of]) / (now.time - before.time)
  const durations = difference(now.durations, before.durations)
  return {
    stored: rate("stored"),
    answered: rate("answered"),
    refused: rate("refused"),
    failed: rate("failed"),
    p50: percentile(durations, now.duration - before.duration, secondsBoundaries, 0.5),
    p99: percentile(durations, now.duration - before.duration, secondsBoundaries, 0.99)
  }
}

/** Four digits are more than a chart can show, and half of the bytes. */
export const toPoint = (time: number, measured: Figures): Point => [
  time,
  ...figures.map((figure) => {
    const value = measured[figure]
    return value === null ? null : Number(value.toPrecision(4))
  })
]
