/** The queues between those who have tasks and the workers who take them: bounded together, ordered by a `Balancing`. */
import * as Effect from "effect/Effect"
import type { Balancing, Loads } from "./balancing.ts"

/** What a worker gets when there are no tasks and will be none. */
export const closed = Symbol("closed")

export class WorkQueues<A> {
  readonly #balancing: Balancing
  readonly #choose: (loads: Loads) => number
  readonly #maxQueued: number
  readonly #queues: ReadonlyArray<Array<A>>
  /** What to tell each worker that waits for a task. */
  readonly #idle: Array<((task: A | typeof closed) => void) | undefined>
  readonly #loads: Loads
  #isClosed = false

  constructor(workers: number, maxQueued: number, balancing: Balancing) {
    this.#balancing = balancing
    this.#choose = balancing.chooser()
    this.#maxQueued = maxQueued
    this.#queues = Array.from({ length: balancing.shared ? 1 : workers }, () => [])
    this.#idle = Array.from({ length: workers }, () => undefined)
    this.#loads = { workers, of: (worker) => this.#queueOf(worker).length + (this.#idle[worker] === undefined ? 1 : 0) }
  }

  /** How many tasks wait. */
  get size(): number {
    let size = 0
    for (const queue of this.#queues) size += queue.length
    return size
  }

  /** How many workers are at work. */
  get busy(): number {
    return this.#idle.filter((resume) => resume === undefined).length
  }

  /** Gives a task to a worker, or lets it wait for one. `false` when it would have to wait and as many as may wait already, or all is closed. */
  offer(task: A): boolean {
    if (this.#isClosed) return false
    const chosen = this.#choose(this.#loads)
    const worker = this.#starter(chosen)
    if (worker !== undefined) {
      this.#wake(worker, task)
      return true
    }
    if (this.size >= this.#maxQueued) return false
    this.#queueOf(chosen).push(task)
    return true
  }

  /** Waits, without limit, for the next task of a worker. Tasks that wait when all is closed are still given out. */
  take(worker: number): Effect.Effect<A | typeof closed> {
    return Effect.callback((resume) => {
      const task = this.#next(worker)
      if (task !== undefined) return resume(Effect.succeed(task))
      if (this.#isClosed) return resume(Effect.succeed(closed))
      this.#idle[worker] = (task) => resume(Effect.succeed(task))
      return Effect.sync(() => (this.#idle[worker] = undefined))
    })
  }

  /** Takes no more tasks, and tells those who wait for one. */
  close(): void {
    this.#isClosed = true
    this.#idle.forEach((resume, worker) => resume !== undefined && this.#wake(worker, closed))
  }

  #queueOf(worker: number): Array<A> {
    return this.#balancing.shared ? this.#queues[0]! : this.#queues[worker]!
  }

  /** The idle worker that may start a task for which this one was chosen. */
  #starter(chosen: number): number | undefined {
    if (!this.#balancing.shared && this.#idle[chosen] !== undefined) return chosen
    if (!this.#balancing.shared && !this.#balancing.steals) return undefined
    const worker = this.#idle.findIndex((resume) => resume !== undefined)
    return worker === -1 ? undefined : worker
  }

  #wake(worker: number, task: A | typeof closed): void {
    const resume = this.#idle[worker]!
    this.#idle[worker] = undefined
    resume(task)
  }

  #next(worker: number): A | undefined {
    const own = this.#queueOf(worker).shift()
    if (own !== undefined || !this.#balancing.steals) return own
    return this.#queues.reduce((longest, queue) => (queue.length > longest.length ? queue : longest)).shift()
  }
}
