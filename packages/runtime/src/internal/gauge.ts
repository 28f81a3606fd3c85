import type { Failure, Signal } from "../LoadSignals.ts"

/** What a signal has after the defaults. */
export interface GaugeOptions {
  readonly release: number
  readonly ceiling: number
  readonly smoothing: number
}

/** A signal with its state: the average of its samples, and the pressure that comes of it. */
export class Gauge {
  readonly name: string
  readonly #signal: Signal
  readonly #options: GaugeOptions
  #sampledAt = NaN
  #failing = false
  last = NaN
  value = 0
  pressure = 0

  constructor(signal: Signal, options: GaugeOptions) {
    this.name = signal.name
    this.#signal = signal
    this.#options = options
  }

  /** Returns why it can not be sampled, if it could be the last time. */
  update(now: number, mayFall: number, maxAge: number): Failure | undefined {
    let failure: Failure | undefined
    let sample = NaN
    try {
      sample = this.#signal.sample()
      this.#failing = false
    } catch (error) {
      if (!this.#failing) failure = { name: this.name, error }
      this.#failing = true
    }
    if (!Number.isNaN(sample)) this.#average(sample, now)
    this.#press(mayFall, now - this.#sampledAt > maxAge)
    return failure
  }

  #average(sample: number, now: number): void {
    const { smoothing } = this.#options
    // A spike counts as the limit and no more: else the time to recover from it would grow with its height.
    const bounded = Math.min(Math.max(sample, 0), this.#signal.full)
    const isFirst = Number.isNaN(this.last)
    // The time since the last sample, not since the last attempt: what was before a gap counts for the less.
    const elapsed = Math.max(0, now - this.#sampledAt)
    this.last = sample
    this.#sampledAt = now
    const weight = isFirst || smoothing === 0 ? 1 : 1 - Math.exp(-elapsed / smoothing)
    this.value += (bounded - this.value) * weight
  }

  #press(mayFall: number, isStale: boolean): void {
    const { full, start } = this.#signal
    const rising = isStale ? 0 : this.#ramp(start, full)
    const falling = isStale ? 0 : this.#ramp(this.#options.release, full)
    const held = Math.min(Math.max(this.pressure, rising), falling)
    this.pressure = Math.max(held, this.pressure - mayFall)
  }

  #ramp(from: number, to: number): number {
    return this.#options.ceiling * Math.min(Math.max((this.value - from) / (to - from), 0), 1)
  }
}
