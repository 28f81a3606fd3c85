import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import type { EventLoopUtilization } from "node:perf_hooks"

/** How long a window is and how often node looks within one, in milliseconds. */
export interface Times {
  readonly window: number
  readonly resolution: number
}

/** One window. Times are in milliseconds. */
export interface Reading {
  readonly utilization: number
  readonly delayP50: number
  readonly delayP99: number
  readonly delayMax: number
}

const nothing: Reading = { utilization: 0, delayP50: 0, delayP99: 0, delayMax: 0 }

/** Delay and utilization over windows, not since the process began. Plain code: no fiber, and nothing to do for each request. */
export class Sampler {
  readonly #window: number
  readonly #resolution: number
  readonly #histogram: ReturnType<typeof monitorEventLoopDelay>
  #total: EventLoopUtilization = performance.eventLoopUtilization()
  #startedAt: number | undefined = undefined
  #reading = nothing

  constructor({ resolution, window }: Times) {
    this.#window = window
    this.#resolution = resolution
    this.#histogram = monitorEventLoopDelay({ resolution })
    this.#histogram.enable()
  }

  /** The last window that is complete at `now`, in milliseconds of any clock that moves steadily. */
  sample(now: number): Reading {
    this.#startedAt ??= now
    if (now - this.#startedAt >= this.#window) {
      this.#reading = this.#read(now - this.#startedAt)
      this.#startedAt = now
    }
    return this.#reading
  }

  close(): void {
    this.#histogram.disable()
  }

  #read(elapsed: number): Reading {
    const total = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(total, this.#total)
    this.#total = total
    const histogram = this.#histogram
    // A loop that has not come to node's timer once in a whole window is as late as the window is long, at least.
    const at = (nanos: number) => Math.max(0, (histogram.count === 0 ? elapsed : nanos / 1e6) - this.#resolution)
    const reading = {
      utilization,
      delayP50: at(histogram.percentile(50)),
      delayP99: at(histogram.percentile(99)),
      delayMax: at(histogram.max)
    }
    histogram.reset()
    return reading
  }
}
