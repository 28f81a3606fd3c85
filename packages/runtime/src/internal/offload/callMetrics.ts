/** The metrics of calls, wherever they run, and the same numbers as one value. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Stats } from "../../Offload.ts"
import * as RuntimeMetrics from "../../RuntimeMetrics.ts"
import type { Ending } from "./boundedCall.ts"

/** How many tasks run and wait. */
export interface Level {
  readonly running: number
  readonly queued: number
}

export class CallMetrics {
  readonly #offload: string
  readonly #context: Context.Context<never>
  readonly #level: () => Level
  readonly #wait: Metric.Histogram<number>
  readonly #run: Metric.Histogram<number>
  readonly #tasks = new Map<string, Metric.Counter<number>>()
  readonly #ended: Record<Ending, number> = {
    succeeded: 0,
    failed: 0,
    defect: 0,
    interrupted: 0,
    saturated: 0,
    timedOut: 0,
    deadlinePassed: 0,
    crashed: 0,
    unavailable: 0,
    disconnected: 0
  }

  constructor(offload: string, context: Context.Context<never>, level: () => Level) {
    this.#offload = offload
    this.#context = context
    this.#level = level
    this.#wait = Metric.withAttributes(RuntimeMetrics.offloadWait, { offload })
    this.#run = Metric.withAttributes(RuntimeMetrics.offloadRun, { offload })
  }

  ended(task: string, outcome: Ending, count = 1): void {
    this.#ended[outcome] += count
    const key = `${task} ${outcome}`
    let counter = this.#tasks.get(key)
    if (counter === undefined) {
      counter = Metric.withAttributes(RuntimeMetrics.offloadTasks, { offload: this.#offload, task, outcome })
      this.#tasks.set(key, counter)
    }
    counter.updateUnsafe(count, this.#context)
  }

  /** A task has run. Times are in milliseconds. */
  ran(waited: number, ran: number): void {
    this.#wait.updateUnsafe(waited / 1000, this.#context)
    this.#run.updateUnsafe(ran / 1000, this.#context)
  }

  /** Counts something that happens rarely. */
  count(metric: Metric.Counter<number>, attributes: Record<string, string>): void {
    Metric.withAttributes(metric, { offload: this.#offload, ...attributes }).updateUnsafe(1, this.#context)
  }

  /** Registers what is read when it is exported, until the scope closes. */
  get observed() {
    return Effect.acquireRelease(
      Effect.sync(() => this.observe()),
      (registrations) => Effect.sync(() => registrations.forEach((registration) => registration.remove()))
    )
  }

  protected observe(): Array<Metric.Registration> {
    return [
      this.gauge(RuntimeMetrics.offloadRunning, () => this.#level().running),
      this.gauge(RuntimeMetrics.offloadQueued, () => this.#level().queued)
    ]
  }

  protected gauge(metric: Metric.Gauge<number>, value: () => number, more?: Record<string, string>) {
    return this.register(metric, () => ({ value: value() }), more)
  }

  protected register<Input, State>(
    metric: Metric.Metric<Input, State>,
    get: () => State,
    more: Record<string, string> = {}
  ): Metric.Registration {
    const attributes = { offload: this.#offload, ...more }
    const hooks = { get, update: () => {}, modify: () => {} }
    return Metric.registerUnsafe(Metric.withAttributes(metric, attributes), this.#context, hooks)
  }

  get stats(): Stats {
    const { queued, running } = this.#level()
    return {
      running,
      queued,
      ended: { ...this.#ended },
      wait: this.#wait.valueUnsafe(this.#context),
      run: this.#run.valueUnsafe(this.#context),
      workers: [],
      spares: 0,
      started: 0,
      killed: 0,
      crashed: 0,
      recycled: 0
    }
  }
}
