/** A pool of the host, and the loops that use it. */
import { isDeepStrictEqual } from "node:util"
import type { Stats } from "../../../Offload.ts"
import { Listeners } from "../pool/listeners.ts"
import type { Load, Outcome } from "../pool/poolTask.ts"
import { poolSaturation } from "../pool/saturation.ts"
import { priorities } from "../pool/threadPool.ts"
import type { ThreadPool } from "../pool/threadPool.ts"
import { monotonicMillis } from "../protocol.ts"
import type { ErrorData } from "../protocol.ts"
import type { ThreadMetrics } from "../threadMetrics.ts"
import { Lease } from "./lease.ts"
import { PoolLoad } from "./poolLoad.ts"
import { ToLoop } from "./protocol.ts"
import type { Open, WireOptions } from "./protocol.ts"

/** A pool that runs, and its metrics. */
export interface Made {
  readonly pool: ThreadPool
  readonly metrics: ThreadMetrics
}

export class SharedPool {
  readonly options: WireOptions
  readonly leases = new Set<Lease>()
  readonly #load = new PoolLoad()
  readonly #listeners = new Listeners()
  /** Calls of all loops that somebody waits for, by priority. */
  readonly #awaited = Array.from({ length: priorities }, () => 0)
  #made: Made | undefined = undefined
  /** Whether the loops were told that it is full. */
  #full = false

  constructor(options: WireOptions) {
    this.options = options
  }

  /** Not there before `made`, and not asked for before a loop was told `Opened`. */
  get pool(): ThreadPool {
    return this.#made!.pool
  }

  get stats(): Stats {
    return this.#made!.metrics.stats
  }

  get load(): Load {
    return { queued: this.pool.queued, retryAfter: this.pool.retryAfter() }
  }

  /** Lets one more loop use the pool, unless it asks for another one. It is told once the pool has started. */
  lease({ options, port }: Open): Lease | undefined {
    const differences = describeDifferences(this.options, options)
    if (differences.length > 0) {
      port.postMessage([ToLoop.Differs, differences.join(", ")])
      port.close()
      return undefined
    }
    const lease = new Lease(this, port)
    this.leases.add(lease)
    this.#listeners.notify()
    if (this.#made !== undefined) this.#answerOnceStarted(lease)
    return lease
  }

  release(lease: Lease): void {
    this.leases.delete(lease)
    this.#listeners.notify()
  }

  /** Calls back once some loop uses the pool, or none does. */
  when(used: boolean, listener: () => void): void {
    this.#listeners.add(() => this.leases.size > 0 === used, listener)
  }

  made(made: Made): void {
    this.#made = made
    this.noteLoad()
    for (const lease of this.leases) this.#answerOnceStarted(lease)
  }

  /** No pool could be made of these options. */
  failed(error: ErrorData): void {
    for (const lease of this.leases) lease.answer([ToLoop.Died, error])
  }

  /** Ends the use of the pool, once it has closed. */
  dispose(): void {
    for (const lease of this.leases) lease.end()
  }

  awaited(priority: number, change: 1 | -1): void {
    this.#awaited[priority]! += change
  }

  /** Counts calls that ended in a loop without having been sent. */
  untold(index: number, outcome: Outcome["type"], count: number): void {
    this.#made!.metrics.ended(this.pool.kinds[index]!.name, outcome, count)
  }

  /** A worker is done with a task, perhaps with one that nobody waits for any more: a full pool may have a place again. */
  readonly ran = (): void => {
    if (this.#full && this.#made !== undefined) this.noteLoad()
  }

  /** Lets the loops know how full the pool is. */
  noteLoad(): void {
    const { concurrency, maxQueued, maxWorkers } = this.options
    const { queued, running } = this.pool
    this.#full = queued >= maxQueued && running >= maxWorkers * concurrency
    this.#load.write(
      { queued, running, retryAfter: this.pool.retryAfter(), saturation: poolSaturation(this.pool, this.options) },
      this.#full ? this.#refusesFrom : undefined,
      monotonicMillis()
    )
  }

  /** The most urgent priority that finds no place in a full queue: more urgent ones might displace one of those that are there. */
  get #refusesFrom(): number {
    return this.options.maxQueued === 0
      ? 0
      : Math.max(
          0,
          this.#awaited.findLastIndex((count) => count > 0)
        )
  }

  /** The pool has started, or cannot. All hear of it before anything else happens to the pool. */
  started(): void {
    for (const lease of this.leases) this.#answer(lease)
  }

  #answerOnceStarted(lease: Lease): void {
    this.pool.whenStarted(() => this.#answer(lease))
  }

  #answer(lease: Lease): void {
    const { trouble } = this.pool.crew
    lease.answer(trouble === undefined ? [ToLoop.Opened, this.#load.buffer, this.stats] : [ToLoop.CannotStart, trouble])
  }
}

/** The options that are not the same there and here. */
const describeDifferences = (there: WireOptions, here: WireOptions): ReadonlyArray<string> =>
  (Object.keys({ ...there, ...here }) as Array<keyof WireOptions>)
    .filter((option) => !isDeepStrictEqual(there[option], here[option]))
    .map(
      (option) =>
        `${describeOption[option] ?? option} (${describe(there[option])} there, ${describe(here[option])} here)`
    )

/** What users know by another name. */
const describeOption: { readonly [Option in keyof WireOptions]?: string } = {
  own: "argv, env and execArgv",
  tasks: "the tasks of the contract"
}

const describe = (value: unknown): string =>
  typeof value === "object" && value !== null ? "other ones" : typeof value === "string" ? `"${value}"` : String(value)
