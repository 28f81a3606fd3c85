/** The metrics of a pool of threads, and the same numbers as one value. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import * as RuntimeMetrics from "../../RuntimeMetrics.ts"
import type { Outcome, PoolTask } from "./pool/poolTask.ts"
import type { PoolHost, ThreadPool } from "./pool/threadPool.ts"
import type { Gone } from "./pool/workerThread.ts"
import { monotonicMillis } from "./protocol.ts"
import type { Stats } from "../../Offload.ts"

/** How many tasks ended in each way. */
type Ended = Record<Outcome["type"], number>

export class ThreadMetrics {
  readonly #context: Context.Context<never>
  readonly #offload: string
  readonly #wait: Metric.Histogram<number>
  readonly #run: Metric.Histogram<number>
  readonly #tasks = new Map<string, Metric.Counter<number>>()
  readonly #ended: Ended = {
    succeeded: 0,
    failed: 0,
    defect: 0,
    saturated: 0,
    timedOut: 0,
    deadlinePassed: 0,
    crashed: 0,
    unavailable: 0,
    interrupted: 0
  }
  readonly #gone: Record<Gone["cause"], number> = { killed: 0, closed: 0, crashed: 0 }

  constructor(offload: string, context: Context.Context<never>) {
    this.#offload = offload
    this.#context = context
    this.#wait = Metric.withAttributes(RuntimeMetrics.offloadWait, { offload })
    this.#run = Metric.withAttributes(RuntimeMetrics.offloadRun, { offload })
  }

  /** What the pool tells. */
  readonly host: Omit<PoolHost, "after"> = {
    ended: (task, { type }) => {
      this.#ended[type]++
      this.#counter(task, type).updateUnsafe(1, this.#context)
    },
    ran: (_, waited, ran) => {
      this.#wait.updateUnsafe(waited / 1000, this.#context)
      this.#run.updateUnsafe(ran / 1000, this.#context)
    },
    workerEnded: ({ cause }) => {
      this.#gone[cause]++
      const ended = Metric.withAttributes(RuntimeMetrics.offloadWorkersEnded, { offload: this.#offload, cause })
      ended.updateUnsafe(1, this.#context)
    }
  }

  #counter(task: PoolTask, outcome: string): Metric.Counter<number> {
    const key = `${task.kind.name} ${outcome}`
    let counter = this.#tasks.get(key)
    if (counter === undefined) {
      const attributes = { offload: this.#offload, task: task.kind.name, outcome }
      counter = Metric.withAttributes(RuntimeMetrics.offloadTasks, attributes)
      this.#tasks.set(key, counter)
    }
    return counter
  }

  /** Registers what is read when it is exported. Returns how to remove them. */
  registerGauges(pool: ThreadPool, places: number): () => void {
    const offload = this.#offload
    const gauge = (metric: Metric.Gauge<number>, value: () => number, more: Record<string, string> = {}) =>
      Metric.registerUnsafe(Metric.withAttributes(metric, { offload, ...more }), this.#context, {
        get: () => ({ value: value() }),
        update: () => {},
        modify: () => {}
      })
    const started = Metric.withAttributes(RuntimeMetrics.offloadWorkersStarted, { offload })
    const registrations = [
      Metric.registerUnsafe(started, this.#context, {
        get: () => ({ count: pool.crew.started, incremental: true }),
        update: () => {},
        modify: () => {}
      }),
      gauge(RuntimeMetrics.offloadRunning, () => pool.running),
      gauge(RuntimeMetrics.offloadQueued, () => pool.queued),
      gauge(RuntimeMetrics.offloadWorkers, () => pool.crew.ready),
      gauge(RuntimeMetrics.offloadSpares, () => pool.crew.spares)
    ]
    for (let place = 0; place < places; place++) {
      const utilization = () => pool.crew.at(place)?.utilization(monotonicMillis()) ?? 0
      registrations.push(gauge(RuntimeMetrics.offloadUtilization, utilization, { worker: String(place) }))
    }
    return () => {
      for (const registration of registrations) registration.remove()
    }
  }

  stats(pool: ThreadPool): Stats {
    const now = monotonicMillis()
    return {
      running: pool.running,
      queued: pool.queued,
      ended: { ...this.#ended, disconnected: 0 },
      wait: this.#wait.valueUnsafe(this.#context),
      run: this.#run.valueUnsafe(this.#context),
      workers: pool.crew.active.map((worker) => ({
        name: worker.name,
        threadId: worker.threadId,
        running: worker.held - worker.prefetched,
        completed: worker.completed,
        utilization: worker.utilization(now)
      })),
      spares: pool.crew.spares,
      started: pool.crew.started,
      killed: this.#gone.killed,
      crashed: this.#gone.crashed,
      recycled: this.#gone.closed
    }
  }
}
