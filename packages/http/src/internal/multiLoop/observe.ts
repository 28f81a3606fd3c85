/** What is known of the loops: whether they turn, and their metrics. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as HttpMetrics from "../../HttpMetrics.ts"
import { merge } from "./exposition.ts"
import type { LoopThread } from "./loopThread.ts"
import { beatMillis } from "./protocol.ts"
import type { Slot, Supervisor } from "./supervisor.ts"

/** How long a loop may take to say what its metrics are, in milliseconds. */
const collectTimeout = 250

/** How often the beats are looked at, in milliseconds. */
const watchInterval = ({ options }: Supervisor): number =>
  Math.min(1000, Math.max(2 * beatMillis, options.maxBlocked / 5))

/** How long a loop has not turned, in milliseconds, to the precision of the looks. */
export const blockedOf = (supervisor: Supervisor, { current }: Slot): number =>
  (current?.missed ?? 0) * watchInterval(supervisor)

const gauge = (metric: Metric.Gauge<number>, loop: number, value: number, context: Context.Context<never>): void =>
  Metric.withAttributes(metric, { loop: String(loop) }).updateUnsafe(value, context)

/**
 * Kills the loops that have not beaten for `maxBlocked`. It counts its own looks, not time: when the whole process stood still that was
 * one.
 */
export const watch = (supervisor: Supervisor, context: Context.Context<never>): Effect.Effect<never> => {
  const interval = watchInterval(supervisor)
  const look = (thread: LoopThread): void => {
    const beats = Atomics.load(supervisor.beats, thread.seat)
    // One that starts has a time limit of its own.
    thread.missed = beats === thread.beats && thread.state !== "starting" ? thread.missed + 1 : 0
    thread.beats = beats
    if (thread.missed * interval >= supervisor.options.maxBlocked) supervisor.kill(thread, "blocked")
  }
  const lookAtAll = Effect.sync(() => {
    for (const thread of supervisor.threads) look(thread)
    for (const slot of supervisor.slots) {
      gauge(HttpMetrics.loopBlocked, slot.loop, blockedOf(supervisor, slot) / 1000, context)
    }
  })
  return Effect.forever(Effect.andThen(Effect.sleep(interval), lookAtAll))
}

/** The metrics of this thread and of all loops that answer in time, every series labelled with its loop. */
export const collect = (supervisor: Supervisor, context: Context.Context<never>): Effect.Effect<string> => {
  const ofLoop = ({ current }: Slot): Effect.Effect<string | undefined> =>
    current === undefined
      ? Effect.succeed(undefined)
      : Effect.timeoutOrElse(current.metrics, { duration: collectTimeout, orElse: () => Effect.succeed(undefined) })
  return Effect.map(Effect.forEach(supervisor.slots, ofLoop, { concurrency: "unbounded" }), (texts) => {
    texts.forEach((text, loop) => gauge(HttpMetrics.loopUp, loop, text === undefined ? 0 : 1, context))
    const sources = texts.flatMap((text, loop) => (text === undefined ? [] : [{ loop: String(loop), text }]))
    return merge([{ loop: "main", text: PrometheusMetrics.formatUnsafe(context) }, ...sources])
  })
}
