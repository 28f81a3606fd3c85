/**
 * The scheduler of `Offload`: one admission queue in front of a crew of worker threads. Plain callbacks; `Offload` wraps it in effects
 * and owns its timers.
 *
 * A permit of the queue stands for a task that a worker holds, running or prefetched. A running task keeps it until the thread is done
 * with it or truly gone, whether or not somebody still waits for the answer: an abandoned task never makes a busy thread look free.
 *
 * Short tasks are prefetched: while a worker runs one, some more already lie in its port, which hides the round trip between two
 * threads, most of the cost of a short task. They still count as waiting, and go back to their place in the queue when their worker
 * does not get to them.
 */
import * as AdmissionQueue from "../../../AdmissionQueue.ts"
import { FromWorker, monotonicMillis } from "../protocol.ts"
import type { Answer, ErrorData, News } from "../protocol.ts"
import { Listeners } from "./listeners.ts"
import { PoolTask, TaskKind, isOverdue, toOutcome } from "./poolTask.ts"
import type { Outcome, TaskRequest } from "./poolTask.ts"
import { Reaper } from "./reaper.ts"
import { Trampoline } from "./trampoline.ts"
import { WorkerCrew } from "./workerCrew.ts"
import type { After, CrewOptions } from "./workerCrew.ts"
import type { Gone, WorkerThread } from "./workerThread.ts"

export interface PoolOptions extends CrewOptions {
  readonly maxQueued: number
  /** Times are in milliseconds. */
  readonly maxWait: number
  readonly order: AdmissionQueue.Order
  readonly codel: AdmissionQueue.Options["codel"]
  readonly killGrace: number
}

/** What the pool needs from its owner. */
export interface PoolHost {
  readonly after: After
  /** A task has ended for its caller. */
  readonly ended: (task: PoolTask, outcome: Outcome) => void
  /** A worker is done with a task that it began. */
  readonly ran: (task: PoolTask, waited: number, ran: number) => void
  readonly workerEnded: (gone: WorkerGone) => void
}

export interface WorkerGone extends Gone {
  readonly worker: string
  /** Whether the caller of a task, or whoever starts the pool, learns of it. */
  readonly told: boolean
}

/** The priority classes, most urgent first. */
export const priorities = 3

/** A worker that has not moved on for this long loses what it has prefetched, in milliseconds. */
const stuckAfter = 5

export class ThreadPool {
  readonly queue: AdmissionQueue.AdmissionQueue<PoolTask>
  readonly crew: WorkerCrew
  readonly kinds: ReadonlyArray<TaskKind>
  readonly #options: PoolOptions
  readonly #host: PoolHost
  readonly #reaper: Reaper
  readonly #listeners = new Listeners()
  /** The worker that the next admitted task goes to, as `#makeRoom` found it. */
  #next: WorkerThread | undefined = undefined
  /** How many of the waiting tasks must not be prefetched. While there are any, none is, since nobody knows which comes next. */
  #unprefetchable = 0
  readonly #callers = new Trampoline()
  #cancelExpiry: (() => void) | undefined = undefined
  #watchesPrefetched = false

  constructor(options: PoolOptions, host: PoolHost) {
    this.#options = options
    this.#host = host
    this.kinds = options.tasks.map((task, index) => new TaskKind(task, index))
    const { codel, maxQueued, maxWait, order } = options
    this.queue = AdmissionQueue.make<PoolTask>({ limit: 0, maxQueued, maxWait, order, codel, priorities })
    this.crew = new WorkerCrew(
      options,
      {
        answer: (worker, answer) => this.#onAnswer(worker, answer),
        news: (worker, news) => this.#onNews(worker, news),
        unsendable: (worker, slot, error) => this.#onUnsendable(worker, slot, error),
        gone: (worker, gone) => this.#onGone(worker, gone),
        retiring: (worker) => this.#takeBack(worker),
        changed: () => this.#onCrewChanged()
      },
      host.after,
      monotonicMillis
    )
    this.#reaper = new Reaper({
      killGrace: options.killGrace,
      after: host.after,
      condemned: (worker) => {
        this.#takeBack(worker)
        this.crew.depart(worker)
      }
    })
    this.crew.replenish()
  }

  /** Tasks that occupy a worker. */
  get running(): number {
    return this.queue.running - this.crew.prefetched
  }

  /** Tasks that wait, in the queue or in the port of a worker. */
  get queued(): number {
    return this.queue.queued + this.crew.prefetched
  }

  submit(request: TaskRequest): PoolTask {
    const now = monotonicMillis()
    const task = new PoolTask(this.kinds[request.index]!, request, now)
    if (this.crew.trouble !== undefined) {
      this.#end(task, { type: "unavailable", trouble: this.crew.trouble })
      return task
    }
    this.#makeRoom(task.prefetchable)
    // Also where nothing may wait, and so nothing ever does.
    const grown = this.#next === undefined && !this.queue.closed && this.crew.grow(this.queue.queued + 1)
    if (grown) this.#makeRoom(task.prefetchable)
    if (this.#next === undefined) this.#makePlaceFor(task)
    task.entry = this.queue.offer(task, now, request.priority)
    if (task.entry.state === "Admitted") this.#dispatch(task, now)
    else this.#decided(task, now)
    if (this.queue.queued > 0) this.#pump(now)
    return task
  }

  /**
   * Ends a task for its caller. Waiting, it is unlinked; posted, it is revoked; running, its signal aborts, and if it does not end
   * within the grace and may be killed, its thread is.
   */
  cancel(task: PoolTask, outcome: Outcome): void {
    if (task.settled) return
    const { worker } = task
    const running = worker !== undefined && !worker.revoke(task)
    if (running) worker.abort(task)
    else if (worker !== undefined) this.queue.release()
    else if (this.queue.cancel(task.entry!)) this.#leftQueue(task)
    // This may run the caller, and the caller may come back here: the pool's state is whole by now.
    this.#end(task, !running && isOverdue(task, outcome) ? { type: "deadlinePassed" } : outcome)
    if (running) this.#reaper.watch(worker, task)
    this.#pump(monotonicMillis())
  }

  /** An estimate in milliseconds of when there will be room for one more task. */
  retryAfter(): number {
    const { meanHold } = this.queue
    return meanHold === undefined ? 1000 : ((this.queued + 1) * meanHold) / this.crew.capacity
  }

  /** Lets a stream send so many more items. */
  grant(task: PoolTask, items: number): void {
    task.worker?.grant(task, items)
  }

  /** Calls back once all workers serve, or none can be had. */
  whenStarted(listener: () => void): void {
    this.#listeners.add(() => this.crew.complete || this.crew.trouble !== undefined, listener)
  }

  /** Refuses new tasks and calls back when none is left. */
  drain(listener: () => void): void {
    this.queue.close()
    this.#listeners.add(() => this.queue.running === 0 && this.queue.queued === 0, listener)
  }

  /** Ends every task that is left, and every thread. Calls back when the last thread has gone. */
  close(listener: () => void): void {
    this.queue.close("refuse")
    for (const worker of this.crew.threads) {
      this.#takeBack(worker)
      for (const task of worker.tasks) if (task !== undefined) this.#end(task, this.#unavailable())
    }
    this.#pump(monotonicMillis())
    this.crew.close()
    this.#cancelExpiry?.()
    this.#listeners.add(() => this.crew.threads.size === 0, listener)
  }

  // Dispatching

  /** Decides about as many waiting tasks as can be decided about now. */
  #pump(now: number): void {
    for (;;) {
      this.#makeRoom()
      const entry = this.queue.poll(now)
      if (entry === undefined) {
        if (this.queue.queued > 0 && this.crew.grow(this.queue.queued)) continue
        break
      }
      this.#leftQueue(entry.value)
      if (entry.state === "Admitted") this.#dispatch(entry.value, now)
      else this.#decided(entry.value, now)
    }
    this.#armExpiry(now)
    this.#listeners.notify()
  }

  #leftQueue(task: PoolTask): void {
    if (!task.prefetchable) this.#unprefetchable--
  }

  /** Sets the permits so that one more task is admitted if a worker can take it, and not otherwise. */
  #makeRoom(prefetchable = true): void {
    const prefetched = this.crew.prefetched
    const mayPrefetch = prefetchable && this.#unprefetchable === 0 && prefetched < this.#options.maxQueued
    this.#next = this.crew.findRoom(mayPrefetch)
    const { running } = this.queue
    this.queue.resize(
      this.#next === undefined ? running : running + 1,
      Math.max(0, this.#options.maxQueued - prefetched)
    )
  }

  /**
   * Does what it can for a task that would be refused: reads the answers that lie in the ports, since what has ended occupies nobody,
   * and makes prefetched tasks that are less urgent wait in the queue again.
   */
  #makePlaceFor({ prefetchable, request: { priority } }: PoolTask): void {
    if (this.queue.queued < this.queue.maxQueued) return
    if (this.crew.hearAnswers()) this.#makeRoom(prefetchable)
    if (this.#next !== undefined || priority === priorities - 1) return
    for (const worker of this.crew.active) {
      if (worker.prefetched === 0) continue
      for (const task of worker.tasks) {
        if (task !== undefined && task.request.priority > priority) this.#takeBackTask(worker, task)
      }
    }
    this.#makeRoom(prefetchable)
  }

  /** Acts on the fate of a task that was not admitted. */
  #decided(task: PoolTask, now: number): void {
    const { state } = task.entry!
    if (state === "Waiting") {
      if (!task.prefetchable) this.#unprefetchable++
      return this.#armExpiry(now)
    }
    if (state === "Admitted" || state === "Cancelled") return
    if (state === "Closed" || state === "Evicted") return this.#end(task, this.#unavailable())
    this.#end(task, { type: "saturated", refusal: state })
  }

  /** Posts a task that holds a permit. */
  #dispatch(task: PoolTask, now: number): void {
    const worker = this.#next!
    const { request } = task
    const prefetch = worker.occupied >= worker.concurrency
    if (request.deadline !== undefined && request.deadline <= now) {
      this.queue.release()
      return this.#end(task, { type: "deadlinePassed" })
    }
    worker.post(task, now)
    if (task.worker === undefined) return
    this.crew.dispatched(worker)
    if (request.timeout !== Infinity) this.#watchTime(task, request.timeout)
    if (prefetch) this.#watchPrefetched()
  }

  /** The time of a task runs from its start in the worker, which the shared memory tells. */
  #watchTime(task: PoolTask, millis: number): void {
    const { timeout } = task.request
    task.cancelTimer = this.#host.after(millis, () => {
      if (task.settled || task.worker === undefined) return
      const startedAt = task.worker.startedAt(task)
      const left = startedAt === undefined ? timeout : startedAt + timeout - monotonicMillis()
      if (left <= 0) this.cancel(task, { type: "timedOut" })
      else this.#watchTime(task, left)
    })
  }

  /** A worker that does not move on loses what it has prefetched. */
  #watchPrefetched(): void {
    if (this.#watchesPrefetched) return
    this.#watchesPrefetched = true
    this.#host.after(stuckAfter, () => {
      this.#watchesPrefetched = false
      const now = monotonicMillis()
      for (const worker of this.crew.active) {
        if (worker.prefetched > 0 && now - worker.movedAt >= stuckAfter) this.#takeBack(worker)
      }
      if (this.crew.prefetched > 0) this.#watchPrefetched()
      this.#pump(now)
    })
  }

  /** Makes the tasks that a worker has not begun wait again. */
  #takeBack(worker: WorkerThread): void {
    for (const task of worker.tasks) if (task?.repeatable === true) this.#takeBackTask(worker, task)
  }

  #takeBackTask(worker: WorkerThread, task: PoolTask): void {
    if (!worker.revoke(task)) return
    task.stopTimer()
    this.queue.requeue(task.entry!)
    if (!task.prefetchable) this.#unprefetchable++
  }

  /** One timer for the whole queue: it fires when the entry that has waited longest is due. */
  #armExpiry(now: number): void {
    if (this.#cancelExpiry !== undefined || this.queue.queued === 0) return
    const due = this.queue.nextExpiry()
    if (due === Infinity) return
    this.#cancelExpiry = this.#host.after(Math.max(due - now, 0), () => {
      this.#cancelExpiry = undefined
      this.#pump(monotonicMillis())
    })
  }

  #unavailable(): Outcome {
    return { type: "unavailable", trouble: this.crew.trouble }
  }

  #end(task: PoolTask, outcome: Outcome): void {
    const settle = task.settle(outcome)
    if (settle === undefined) return
    this.#host.ended(task, outcome)
    this.#callers.run(settle)
  }

  // What the threads say

  #onAnswer(worker: WorkerThread, answer: Answer): void {
    const now = monotonicMillis()
    const [type, slot] = answer
    const { endedAt, startedAt } = worker.times(slot)
    const task = worker.vacate(slot, now)
    if (task !== undefined) {
      task.stopTimer()
      this.queue.release(endedAt - startedAt)
      this.#noteRun(task, startedAt, endedAt)
      this.crew.answered(worker)
    }
    this.#emptied(worker)
    // The next task is on its way before this one's caller runs.
    this.#pump(now)
    if (task !== undefined && type !== FromWorker.Skipped) this.#end(task, toOutcome(answer))
  }

  #onUnsendable(worker: WorkerThread, slot: number, error: ErrorData): void {
    const now = monotonicMillis()
    const task = worker.vacate(slot, now)
    if (task !== undefined) {
      this.queue.release()
      this.#end(task, { type: "defect", error })
    }
    // Also one that was revoked before it could be sent has made room now.
    this.#emptied(worker)
    this.#pump(now)
  }

  /** A worker on its way out may hold nothing any more, also because the last task was revoked. */
  #emptied(worker: WorkerThread): void {
    this.#reaper.killIfUseless(worker)
    this.crew.closeIfEmpty(worker)
  }

  #noteRun(task: PoolTask, startedAt: number, endedAt: number): void {
    const ran = endedAt - startedAt
    task.kind.noteRun(ran)
    this.#host.ran(task, startedAt - task.submittedAt, ran)
  }

  #onNews(worker: WorkerThread, [type, slot, value, transfer]: News): void {
    const task = worker.tasks[slot]
    if (task === undefined) return
    if (type === FromWorker.Items) return task.caller?.items?.(value, transfer)
    worker.acceptProgress(task)
    task.caller?.progress?.(value)
  }

  /** What becomes of the tasks of a thread that has gone: begun, they failed with it; not begun, they wait again. */
  #onGone(worker: WorkerThread, gone: Gone): void {
    const now = monotonicMillis()
    this.#takeBack(worker)
    const told = !this.crew.wasComplete || worker.tasks.some((task) => task !== undefined && !task.settled)
    this.#host.workerEnded({ ...gone, worker: worker.name, told })
    for (const task of worker.tasks) {
      if (task === undefined) continue
      const startedAt = worker.startedAt(task)
      worker.abandon(task)
      task.stopTimer()
      this.queue.release()
      if (startedAt !== undefined) this.#noteRun(task, startedAt, now)
      this.#end(task, { type: "crashed", exitCode: gone.exitCode, error: gone.error })
    }
  }

  #onCrewChanged(): void {
    if (this.crew.trouble !== undefined) {
      for (let entry = this.queue.evict(); entry !== undefined; entry = this.queue.evict()) {
        this.#leftQueue(entry.value)
        this.#end(entry.value, this.#unavailable())
      }
    }
    this.#pump(monotonicMillis())
  }
}
