import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { monotonicMillis } from "./monotonic.ts"

/**
 * One fiber instead of a timer for each waiting thing.
 *
 * `due` is the earliest time, in monotonic milliseconds, at which something expires (`Infinity`: nothing waits), and `ring` deals
 * with all that has expired. It suits things that all wait equally long: then whatever is added expires after all that is there
 * already, and a timer once set need never be moved forward. A busy server sets one timer per timeout, not one per request.
 */
export class Alarm {
  readonly #due: () => number
  readonly #ring: (now: number) => void
  readonly #latch = Latch.makeUnsafe(false)
  #parked = false

  constructor(due: () => number, ring: (now: number) => void) {
    this.#due = due
    this.#ring = ring
  }

  /** To be called after something was added. */
  set(): void {
    if (this.#parked) {
      this.#parked = false
      this.#latch.openUnsafe()
    }
  }

  /** Runs for ever; the owner's scope ends it. */
  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.withFiber((fiber) => {
      const due = this.#due()
      if (due === Infinity) {
        this.#latch.closeUnsafe()
        this.#parked = true
        return this.#latch.await
      }
      const now = monotonicMillis(fiber.getRef(Clock.Clock))
      if (due > now) return Effect.sleep(Math.ceil(due - now))
      this.#ring(now)
      return Effect.void
    })
  )
}
