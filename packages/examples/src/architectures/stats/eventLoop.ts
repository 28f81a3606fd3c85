/** Samples how late the event loop of this thread is. */
import * as EventLoop from "@spillway/runtime/EventLoop"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Stats } from "./stats.ts"

/** Samples until the scope closes. */
export const sample = Effect.gen(function* () {
  const stats = yield* Stats
  const sampler = yield* Effect.acquireRelease(
    Effect.sync(() => EventLoop.makeSampler({ window: "1 second" })),
    (sampler) => Effect.sync(() => sampler.close())
  )
  const read = Effect.map(Clock.monotonicTimeNanos, (now) => {
    const { delayP99 } = sampler.sample(Number(now / 1_000_000n))
    stats.set("eventLoopDelayMicros", Math.round(delayP99 * 1000))
  })
  yield* Effect.forkScoped(Effect.repeat(read, Schedule.spaced("250 millis")))
})
