/**
 * The threads of a pool: as many as there are places, and spares that take the place of one that dies. Starts them, replaces them
 * with a growing delay while they keep dying, and gives up aloud when none can start.
 */
import { WorkerThread } from "./workerThread.ts"
import type { Answer, Gone, WorkerOptions } from "./workerThread.ts"

export interface CrewOptions extends Omit<WorkerOptions, "threadName"> {
  readonly name: string
  /** The tasks for which every worker must have a handler. */
  readonly tasks: ReadonlyArray<string>
  readonly workers: number
  readonly spares: number
  readonly startTimeout: number
  readonly maxStartAttempts: number
}

export interface CrewEvents {
  readonly answer: (worker: WorkerThread, slot: number, answer: Answer) => void
  /** A thread has gone; it still holds the tasks that it took with it. */
  readonly gone: (worker: WorkerThread, gone: Gone) => void
  /** Workers came, went, or changed their state. */
  readonly changed: () => void
}

/** Calls back after some milliseconds, unless the returned function is called before. */
export type After = (millis: number, callback: () => void) => () => void

const backoffBase = 100
const backoffMax = 5000

export class WorkerCrew {
  /** The threads that have a place. Those that are not `ready` are on their way out. */
  readonly active: Array<WorkerThread> = []
  readonly threads = new Set<WorkerThread>()
  /** Why no worker can be had, while that is so. */
  unavailable: string | undefined = undefined
  readonly #spares: Array<WorkerThread> = []
  readonly #options: CrewOptions
  readonly #events: CrewEvents
  readonly #after: After
  #started = 0
  #scheduledStarts = 0
  #failures = 0
  #closing = false

  constructor(options: CrewOptions, events: CrewEvents, after: After) {
    this.#options = options
    this.#events = events
    this.#after = after
  }

  /** Threads that have a place and take tasks. */
  get ready(): number {
    return this.active.filter((worker) => worker.state === "ready").length
  }

  /** Whether every place is taken by a worker that serves. */
  get complete(): boolean {
    return this.ready === this.#options.workers
  }

  /** The most free of the ready workers, if one has a free slot. */
  freest(): WorkerThread | undefined {
    let best: WorkerThread | undefined
    for (const worker of this.active) {
      if (worker.freeSlots > (best?.freeSlots ?? 0)) best = worker
    }
    return best
  }

  /** How many tasks the workers can hold: all slots of the ready ones, the occupied slots of those on their way out. */
  capacity(): number {
    let capacity = 0
    for (const worker of this.active) capacity += worker.occupied + worker.freeSlots
    return capacity
  }

  /** A worker that answers is well: what failed before it no longer counts. */
  noteSuccess(): void {
    this.#failures = 0
  }

  /** Starts as many threads as are missing, later if they keep dying. */
  replenish(): void {
    const wanted = this.#options.workers + this.#options.spares
    const delay = this.#failures <= 1 ? 0 : Math.min(backoffMax, backoffBase * 2 ** (this.#failures - 2))
    while (!this.#closing && this.threads.size + this.#scheduledStarts < wanted) {
      if (delay === 0) {
        this.#start()
        continue
      }
      this.#scheduledStarts++
      this.#after(delay, () => {
        this.#scheduledStarts--
        if (!this.#closing) this.#start()
      })
    }
  }

  /** Ends all threads: those that are free run their `close`, those that are busy are killed. No more are started. */
  close(): void {
    this.#closing = true
    for (const worker of this.threads) {
      if (worker.occupied > 0 || worker.state === "starting") worker.kill()
      else worker.close()
    }
  }

  /** Ends every thread at once. */
  kill(): void {
    for (const worker of this.threads) worker.kill()
  }

  #start(): void {
    const { name, startTimeout } = this.#options
    const worker = new WorkerThread(
      { ...this.#options, threadName: `${name}-${++this.#started}` },
      {
        ready: (worker, tasks) => this.#onReady(worker, tasks),
        answer: this.#events.answer,
        gone: (worker, gone) => this.#onGone(worker, gone)
      }
    )
    this.threads.add(worker)
    worker.cancelStartTimer = this.#after(startTimeout, () => {
      if (worker.state === "starting") worker.fail(problem(`it did not call serve within ${startTimeout} ms`))
    })
  }

  #onReady(worker: WorkerThread, tasks: ReadonlyArray<string>): void {
    if (worker.state !== "starting") return
    worker.cancelStartTimer?.()
    const missing = this.#options.tasks.filter((task) => !tasks.includes(task))
    if (missing.length > 0) {
      return worker.fail(problem(`it serves no handler for ${missing.map((task) => `"${task}"`).join(", ")}`))
    }
    worker.state = "ready"
    this.unavailable = undefined
    this.#spares.push(worker)
    this.#promote()
    this.#events.changed()
  }

  #onGone(worker: WorkerThread, gone: Gone): void {
    worker.cancelStartTimer?.()
    this.threads.delete(worker)
    remove(this.active, worker)
    remove(this.#spares, worker)
    if (gone.cause === "crashed") this.#failures++
    this.#promote()
    if (this.#failures >= this.#options.maxStartAttempts && this.active.length === 0) {
      const why =
        gone.error === undefined ? `it exited with code ${gone.exitCode}` : `${gone.error.name}: ${gone.error.message}`
      this.unavailable = `worker ${this.#options.worker.href} cannot start: ${why}`
    }
    this.replenish()
    this.#events.gone(worker, gone)
    this.#events.changed()
  }

  /** Gives spares the places that are empty. */
  #promote(): void {
    while (this.active.length < this.#options.workers && this.#spares.length > 0)
      this.active.push(this.#spares.shift()!)
  }
}

const problem = (message: string) => ({ name: "Error", message, stack: undefined })

const remove = <A>(items: Array<A>, item: A): void => {
  const index = items.indexOf(item)
  if (index !== -1) items.splice(index, 1)
}
