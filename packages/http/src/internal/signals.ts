/** The signals of a server: what it measures itself, and when it asks the others. */
import * as EventLoop from "@spillway/runtime/EventLoop"
import * as LoadSignals from "@spillway/runtime/LoadSignals"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { performance } from "node:perf_hooks"
import type { BuiltInSignal, Measured, SignalSource } from "../OverloadOptions.ts"
import { defaults } from "../ServerOptions.ts"
import { monotonicMillis } from "./monotonic.ts"

/** How often the signals are sampled, in milliseconds. */
const period = 100

/** Shorter than the period, so that each sample ends a window although timers may be early. */
const window = period / 2

/** The thresholds are those of the rule that sheds at the door: late from the target on, refused from twice that. */
const lateAtDoor = (queueTarget: number): Partial<LoadSignals.Thresholds> => {
  const start =
    queueTarget === Infinity ? Duration.toMillis(Duration.fromInputUnsafe(defaults.queueTarget)) : queueTarget
  return { start, full: 2 * start, ceiling: 0.5 }
}

const makeBuiltIn = (measured: Measured, queueTarget: number): Record<BuiltInSignal, () => LoadSignals.Signal> => ({
  heap: () => LoadSignals.heap(),
  eventLoopDelay: () => LoadSignals.eventLoopDelay(measured.eventLoopDelay),
  eventLoopUtilization: () => LoadSignals.eventLoopUtilization(measured.eventLoopUtilization),
  queueDelay: () => LoadSignals.queueDelay(measured.queueDelay, lateAtDoor(queueTarget))
})

/** Throws a `RangeError` for a name that is not known. */
const toSignal = (source: SignalSource, measured: Measured, queueTarget: number): LoadSignals.Signal => {
  if (typeof source === "function") return source(measured)
  if (typeof source === "object") return source
  const builtIn = makeBuiltIn(measured, queueTarget)
  if (Object.hasOwn(builtIn, source)) return builtIn[source]()
  const names = Object.keys(builtIn).join(", ")
  throw new RangeError(`Server.layer: signals must be of LoadSignals or one of ${names}, got ${JSON.stringify(source)}`)
}

/** What there is to ask for the event loop, of which nothing is measured before somebody asks. */
const makeLoop = () => {
  let sampler: EventLoop.Sampler | undefined
  const read = () => (sampler ??= EventLoop.makeSampler({ window })).sample(performance.now())
  return {
    eventLoopDelay: () => read().delayP99,
    eventLoopUtilization: () => read().utilization,
    close: () => sampler?.close()
  }
}

const warn = ({ error, name }: LoadSignals.Failure): Effect.Effect<void> =>
  Effect.logWarning(
    `the signal ${JSON.stringify(name)} can not be sampled, so its pressure falls until it works again`,
    Cause.die(error)
  )

/** Samples the signals for ever. */
const sample = (signals: LoadSignals.LoadSignals): Effect.Effect<never> => {
  const update = Effect.clockWith((clock) => Effect.sync(() => signals.update(monotonicMillis(clock))))
  return Effect.flatMap(update, (failures) => Effect.forEach(failures, warn, { discard: true })).pipe(
    Effect.andThen(Effect.sleep(period)),
    Effect.forever
  )
}

/**
 * Makes the signals, and what samples them once it runs. Dies with a `RangeError` for one outside its range. The measuring ends with the
 * scope. `queueTarget` is in milliseconds.
 */
export const make = Effect.fnUntraced(function* (
  sources: ReadonlyArray<SignalSource>,
  queueTarget: number,
  queueDelay: () => number
) {
  const loop = yield* Effect.acquireRelease(Effect.sync(makeLoop), ({ close }) => Effect.sync(close))
  const { eventLoopDelay, eventLoopUtilization } = loop
  const measured = { queueDelay, eventLoopDelay, eventLoopUtilization }
  const signals = LoadSignals.make(sources.map((source) => toSignal(source, measured, queueTarget)))
  return { signals, sampling: sample(signals) }
})
