/** The metrics of a pool of threads: those of its calls, and of its workers. */
import type * as Context from "effect/Context"
import type * as Metric from "effect/Metric"
import type { Stats } from "../../Offload.ts"
import * as RuntimeMetrics from "../../RuntimeMetrics.ts"
import { CallMetrics } from "./callMetrics.ts"
import type { ThreadPool } from "./pool/threadPool.ts"
import type { Gone } from "./pool/workerThread.ts"
import { monotonicMillis } from "./protocol.ts"

export class ThreadMetrics extends CallMetrics {
  readonly #pool: () => ThreadPool
  readonly #places: number
  readonly #gone: Record<Gone["cause"], number> = { killed: 0, closed: 0, crashed: 0 }

  /** `pool` is not asked for before something is read. */
  constructor(offload: string, context: Context.Context<never>, pool: () => ThreadPool, places: number) {
    super(offload, context, pool)
    this.#pool = pool
    this.#places = places
  }

  workerEnded({ cause }: Gone): void {
    this.#gone[cause]++
    this.count(RuntimeMetrics.offloadWorkersEnded, { cause })
  }

  protected override observe(): Array<Metric.Registration> {
    const { crew } = this.#pool()
    const registrations = [
      ...super.observe(),
      this.register(RuntimeMetrics.offloadWorkersStarted, () => ({ count: crew.started, incremental: true })),
      this.gauge(RuntimeMetrics.offloadWorkers, () => crew.ready),
      this.gauge(RuntimeMetrics.offloadSpares, () => crew.spares)
    ]
    for (let place = 0; place < this.#places; place++) {
      const utilization = () => crew.at(place)?.utilization(monotonicMillis()) ?? 0
      registrations.push(this.gauge(RuntimeMetrics.offloadUtilization, utilization, { worker: String(place) }))
    }
    return registrations
  }

  override get stats(): Stats {
    const now = monotonicMillis()
    const { crew } = this.#pool()
    return {
      ...super.stats,
      workers: crew.active.map((worker) => ({
        name: worker.name,
        threadId: worker.threadId,
        running: worker.held - worker.prefetched,
        completed: worker.completed,
        utilization: worker.utilization(now)
      })),
      spares: crew.spares,
      started: crew.started,
      killed: this.#gone.killed,
      crashed: this.#gone.crashed,
      recycled: this.#gone.closed
    }
  }
}
