/** A count as small as this is none. */
const negligible = 0.01
/** A few things at once say nothing about a rate. */
const leastSeen = 0.05

/**
 * How many times a second something happened lately: the older it is the less it counts, by the time constant in milliseconds. Before it
 * has happened for so long, it counts the time since the first.
 */
export class DecayingRate {
  readonly #timeConstant: number
  #count = 0
  #countedAt = 0
  #begunAt = 0

  constructor(timeConstant: number) {
    this.#timeConstant = timeConstant
  }

  add(now: number): void {
    this.#decay(now)
    if (this.#count < negligible) this.#begunAt = now
    this.#count++
  }

  /** How often, each time counting less the older it is. */
  count(now: number): number {
    this.#decay(now)
    return this.#count
  }

  perSecond(now: number): number {
    this.#decay(now)
    const seen = 1 - Math.exp((this.#begunAt - now) / this.#timeConstant)
    return (this.#count * 1000) / (this.#timeConstant * Math.max(seen, leastSeen))
  }

  #decay(now: number): void {
    if (now <= this.#countedAt) return
    this.#count *= Math.exp((this.#countedAt - now) / this.#timeConstant)
    this.#countedAt = now
  }
}
