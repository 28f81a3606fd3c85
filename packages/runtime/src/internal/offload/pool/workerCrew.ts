/**
 * The threads of a pool: as many as there are places, and spares that take the place of one that ends. Starts them, replaces them
 * with a growing delay while they keep dying, gives up aloud when none can start, and has as many places as there is work for.
 */
import type { Trouble } from "./poolTask.ts"
import { WorkerThread } from "./workerThread.ts"
import type { Gone, WorkerEvents, WorkerOptions } from "./workerThread.ts"

export interface CrewOptions extends Omit<WorkerOptions, "threadName"> {
  readonly name: string
  readonly minWorkers: number
  readonly maxWorkers: number
  /** Times are in milliseconds. */
  readonly idleTimeout: number
  readonly spares: number
  readonly startTimeout: number
  readonly maxStartAttempts: number
}

export interface CrewEvents extends Pick<WorkerEvents, "answer" | "news" | "unsendable"> {
  /** A thread has gone; it still holds the tasks that it took with it. */
  readonly gone: (worker: WorkerThread, gone: Gone) => void
  /** A thread takes no more tasks and is to be rid of those that it has not begun. */
  readonly retiring: (worker: WorkerThread) => void
  /** Workers came, went, or changed their state. */
  readonly changed: () => void
}

/** Calls back after some milliseconds, unless the returned function is called before. */
export type After = (millis: number, callback: () => void) => () => void

/**
 * When to start a spare, in milliseconds. To start a thread costs this one some milliseconds and then occupies a core: what waits goes
 * first.
 */
const spareDelay = 10

const backoffBase = 100
const backoffMax = 5000

/** Tasks are prefetched as long as a worker is expected to get to them within this time, in milliseconds. */
const prefetchAhead = 2

/** How long the `close` of a retired worker may take before its thread is killed, in milliseconds. */
export const closeTimeout = 1000

export class WorkerCrew {
  /** The threads that have a place. Those that are not `ready` have failed and are about to be gone. */
  readonly active: Array<WorkerThread> = []
  /** Threads that another one replaces already, though they may still run tasks: these count until they are done. */
  readonly departing = new Set<WorkerThread>()
  readonly threads = new Set<WorkerThread>()
  /** Why no worker can be had, while that is so. */
  trouble: Trouble | undefined = undefined
  /** Threads started so far. */
  started = 0
  /** Whether all places were taken once: until then whoever starts the pool waits, and learns why it cannot start. */
  wasComplete = false
  readonly #spares: Array<WorkerThread> = []
  readonly #options: CrewOptions
  readonly #events: CrewEvents
  readonly #after: After
  readonly #now: () => number
  #places: number
  #scheduledStarts = 0
  /** Threads in a row that died while they served. */
  #crashes = 0
  /** Threads in a row that never came to serve. */
  #failedStarts = 0
  #closing = false
  #cancelShrink: (() => void) | undefined = undefined

  constructor(options: CrewOptions, events: CrewEvents, after: After, now: () => number) {
    this.#options = options
    this.#events = events
    this.#after = after
    this.#now = now
    this.#places = options.minWorkers
  }

  /** Threads that have a place and take tasks. */
  get ready(): number {
    return this.active.filter((worker) => worker.state === "ready").length
  }

  /** Started threads that wait for a place. */
  get spares(): number {
    return this.#spares.length
  }

  /** The worker that has a place. */
  at(place: number): WorkerThread | undefined {
    return this.active.find((worker) => worker.place === place)
  }

  /** How many tasks can run at once when all places are taken. */
  get capacity(): number {
    return this.#places * this.#options.concurrency
  }

  /** Whether every place is taken by a worker that serves. */
  get complete(): boolean {
    return this.ready >= this.#places
  }

  /** Tasks that workers hold beyond those that they can run. */
  get prefetched(): number {
    let prefetched = 0
    for (const worker of this.active) prefetched += worker.prefetched
    // What one of these could not give back it has begun, while the answer to the one before is on its way.
    for (const worker of this.departing) prefetched += worker.prefetched
    return prefetched
  }

  /** Reads the answers that lie in the ports unread, and says whether there were any. */
  hearAnswers(): boolean {
    let heard = false
    for (const worker of this.active) if (worker.hearAnswers()) heard = true
    return heard
  }

  /** A worker that can run one more task, else one that will soon get to it. */
  findRoom(mayPrefetch: boolean): WorkerThread | undefined {
    const free = this.#mayRunMore() ? this.#freest() : undefined
    if (free !== undefined || !mayPrefetch) return free
    let soonest: WorkerThread | undefined
    let least = prefetchAhead
    for (const worker of this.active) {
      // One that is not full would run it at once.
      if (worker.occupied < worker.concurrency || !worker.hasRoom(true)) continue
      const ahead = worker.expectedWork()
      if (ahead >= least) continue
      least = ahead
      soonest = worker
    }
    return soonest
  }

  /** What departing workers still run takes the room of others. */
  #mayRunMore(): boolean {
    if (this.departing.size === 0) return true
    let running = 0
    for (const worker of this.departing) running += worker.held - worker.prefetched
    for (const worker of this.active) running += worker.held - worker.prefetched
    return running < this.capacity
  }

  #freest(): WorkerThread | undefined {
    let freest: WorkerThread | undefined
    for (const worker of this.active) {
      if (!worker.hasRoom(false)) continue
      if (worker.occupied === 0) return worker
      if (freest === undefined || worker.occupied < freest.occupied) freest = worker
    }
    return freest
  }

  /** Starts as many threads as are missing, later if they keep dying. */
  replenish(): void {
    const { complete } = this
    const wanted = this.#places + (complete ? this.#options.spares : 0)
    const backoff = backoffAfter(Math.max(this.#crashes, this.#failedStarts))
    const delay = complete ? Math.max(backoff, spareDelay) : backoff
    while (!this.#closing && this.threads.size - this.departing.size + this.#scheduledStarts < wanted) {
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

  /**
   * Makes another place, up to the most that there may be, when more tasks wait than workers are on their way. Says whether a spare
   * has taken it.
   */
  grow(waiting: number): boolean {
    if (this.#closing || this.#places >= this.#options.maxWorkers) return false
    const { ready } = this
    if (this.#places - ready >= waiting) return false
    this.#places++
    this.#promote()
    this.replenish()
    this.#watchIdle()
    return this.ready > ready
  }

  /** A worker has been given a task, perhaps its last one. */
  dispatched(worker: WorkerThread): void {
    if (worker.isSpent) this.#replace(worker)
  }

  /** A worker that answers is well: what crashed before it no longer counts. */
  answered(worker: WorkerThread): void {
    this.#crashes = 0
    worker.completed++
    if (worker.isSpent) this.#replace(worker)
  }

  /** Replaces a worker, which gives back what it has not begun and ends what it runs. */
  retire(worker: WorkerThread): void {
    if (worker.state !== "ready") return
    this.#events.retiring(worker)
    this.#replace(worker)
  }

  #replace(worker: WorkerThread): void {
    if (worker.state !== "ready") return
    worker.state = "retiring"
    this.depart(worker)
    this.closeIfEmpty(worker)
  }

  /** Gives the place of a worker that takes no more tasks to another one. */
  depart(worker: WorkerThread): void {
    this.#dismiss(worker)
    this.departing.add(worker)
    this.#promote()
    this.replenish()
    this.#events.changed()
  }

  /** Closes a worker that was replaced, once it holds nothing any more. */
  closeIfEmpty(worker: WorkerThread): void {
    if (worker.state !== "retiring" || worker.held > 0) return
    worker.close()
    worker.cancelTimer = this.#after(closeTimeout, () => worker.kill())
  }

  /** Ends all threads: those that are free run their `close`, those that are busy are killed. No more are started. */
  close(): void {
    this.#closing = true
    this.#cancelShrink?.()
    for (const worker of this.threads) {
      if (worker.held > 0 || worker.state === "starting") worker.kill()
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
      { ...this.#options, threadName: `${name}-${++this.started}` },
      {
        ready: (worker) => this.#onReady(worker),
        answer: this.#events.answer,
        news: this.#events.news,
        unsendable: this.#events.unsendable,
        heapExceeded: (worker) => this.retire(worker),
        gone: (worker, gone) => this.#onGone(worker, gone)
      }
    )
    this.threads.add(worker)
    worker.cancelTimer = this.#after(startTimeout, () => {
      if (worker.state !== "starting") return
      worker.fail({ name: "Error", message: `it did not call serve within ${startTimeout} ms`, stack: undefined })
    })
  }

  #onReady(worker: WorkerThread): void {
    if (worker.state !== "starting") return
    worker.cancelTimer?.()
    worker.state = "ready"
    worker.served = true
    // Has run its message loop once before the first task comes: that is a good part of a millisecond.
    worker.ping()
    this.#failedStarts = 0
    this.trouble = undefined
    this.#spares.push(worker)
    this.#promote()
    this.wasComplete ||= this.complete
    this.#events.changed()
    this.replenish()
    this.#trim()
  }

  #onGone(worker: WorkerThread, gone: Gone): void {
    worker.cancelTimer?.()
    this.threads.delete(worker)
    this.#dismiss(worker)
    if (gone.cause === "crashed") {
      if (worker.served) this.#crashes++
      else this.#failedStarts++
    }
    this.#promote()
    const hopeless = this.active.length === 0 || !this.wasComplete
    if (this.#failedStarts >= this.#options.maxStartAttempts && hopeless) {
      this.trouble = { worker: this.#options.worker.href, exitCode: gone.exitCode, error: gone.error }
    }
    this.#events.gone(worker, gone)
    this.#events.changed()
    // After what waits was given to a spare: to start a thread holds this one up for milliseconds.
    this.replenish()
  }

  #dismiss(worker: WorkerThread): void {
    remove(this.active, worker)
    remove(this.#spares, worker)
    this.departing.delete(worker)
  }

  /** Gives spares the places that are empty. */
  #promote(): void {
    while (this.active.length < this.#places) {
      const worker = this.#spares.shift()
      if (worker === undefined) return
      // One that has failed meanwhile is about to be gone.
      if (worker.state !== "ready") continue
      const taken = new Set(this.active.map(({ place }) => place))
      worker.place = 0
      while (taken.has(worker.place)) worker.place++
      worker.movedAt = this.#now()
      this.active.push(worker)
    }
  }

  /** Gives places up whose workers have had nothing to do for `idleTimeout`, down to the fewest that there may be. */
  #watchIdle(): void {
    const { idleTimeout, minWorkers } = this.#options
    if (this.#cancelShrink !== undefined || this.#places <= minWorkers || idleTimeout === Infinity) return
    this.#cancelShrink = this.#after(idleTimeout, () => {
      this.#cancelShrink = undefined
      const since = this.#now() - idleTimeout
      for (const worker of this.active.toReversed()) {
        if (this.#places <= minWorkers) break
        // A place that nobody has taken yet is given up first.
        if (this.active.length < this.#places) {
          this.#places--
          continue
        }
        if (worker.state !== "ready" || worker.held > 0 || worker.movedAt > since) continue
        this.#places--
        this.retire(worker)
      }
      this.#trim()
      this.#watchIdle()
    })
  }

  /** Closes the spares that are too many, since places were given up meanwhile. */
  #trim(): void {
    while (this.#spares.length > this.#options.spares && this.complete) {
      const spare = this.#spares.shift()!
      this.retire(spare)
    }
  }
}

const backoffAfter = (failures: number): number =>
  failures <= 1 ? 0 : Math.min(backoffMax, backoffBase * 2 ** (failures - 2))

const remove = <A>(items: Array<A>, item: A): void => {
  const index = items.indexOf(item)
  if (index !== -1) items.splice(index, 1)
}
