import type { LoopPace } from "../LoopPace.ts"
import { Alarm } from "./alarm.ts"

/** How often the event loop is probed, in milliseconds. */
const period = 10

/** What a door holds when the loop gets to a probe. */
interface Held {
  readonly running: number
  readonly queued: number
  readonly meanHold: number | undefined
}

/** Tells a pace how late the event loop is, from the first request on until nobody is inside and nobody waits. */
export class Probes {
  /** When the next one is due, in milliseconds of the clock; `Infinity`: none is. */
  dueAt = Infinity
  readonly #pace: LoopPace
  readonly #alarm: Alarm

  /** `after` is called when the pace may have changed. */
  constructor(pace: LoopPace, held: () => Held, after: () => void) {
    this.#pace = pace
    this.#alarm = new Alarm(
      () => this.dueAt,
      (now) => {
        this.probe(now, held())
        after()
      }
    )
  }

  /** Runs for ever; the owner's scope ends it. */
  get run() {
    return this.#alarm.run
  }

  /** Somebody comes. */
  came(now: number): void {
    this.set(now)
    this.#pace.came()
  }

  /** To be called before somebody waits or is let in. */
  set(now: number): void {
    if (this.dueAt !== Infinity) return
    this.#pace.begin(now)
    this.dueAt = now + period
    this.#alarm.set()
  }

  probe(now: number, { meanHold, queued, running }: Held): void {
    this.#pace.probe({ now, late: now - this.dueAt, isWaiting: queued > 0, inside: running, meanHold })
    this.dueAt = running + queued === 0 ? Infinity : now + period
  }
}
