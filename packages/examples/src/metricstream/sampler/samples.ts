/** Measures this machine every second. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { eachSecond, phases } from "../eachSecond.ts"
import { makeDelivery } from "./delivery.ts"
import { readMachine, toEvents } from "./machine.ts"

/** Posts what was measured in each second to a URL, for ever. */
export const postSamples = Effect.fnUntraced(function* (url: string) {
  const deliver = makeDelivery(url)
  let before = readMachine(yield* Clock.currentTimeMillis)
  const sample = Effect.gen(function* () {
    const now = readMachine(yield* Clock.currentTimeMillis)
    const events = toEvents(before, now)
    before = now
    yield* deliver(events)
  })
  return yield* eachSecond(sample, phases.sample)
})
