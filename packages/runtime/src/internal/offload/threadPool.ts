/**
 * The scheduler of `Offload`: one admission queue in front of a crew of worker threads. Plain callbacks; `Offload` wraps it in effects
 * and owns its timers.
 *
 * A permit of the queue stands for a slot of a worker. A task holds it from its dispatch until the thread is done with it or truly
 * gone, whether or not somebody still waits for the answer: an abandoned task never makes a busy thread look free.
 */
import * as AdmissionQueue from "../../AdmissionQueue.ts"
import { PoolTask } from "./poolTask.ts"
import type { Outcome, TaskRequest } from "./poolTask.ts"
import { monotonicMillis, toErrorData } from "./protocol.ts"
import { WorkerCrew } from "./workerCrew.ts"
import type { After, CrewOptions } from "./workerCrew.ts"
import type { Answer, Gone, WorkerThread } from "./workerThread.ts"

export interface PoolOptions extends CrewOptions {
  readonly maxQueued: number
  /** Times are in milliseconds. */
  readonly maxWait: number
  readonly order: AdmissionQueue.Order
  readonly killGrace: number
}

/** What the pool needs from its owner. */
export interface PoolHost {
  readonly after: After
  /** The numbers of tasks or workers may have changed. */
  readonly changed: () => void
  readonly dispatched: (waited: number) => void
  /** A task has ended for its caller; `ran` is the time since its dispatch, if it was dispatched. */
  readonly ended: (task: PoolTask, outcome: Outcome, ran: number | undefined) => void
  readonly workerEnded: (gone: Gone) => void
}

/** The priority classes, most urgent first. */
export const priorities = 3

/** How long a thread that runs an abandoned task may leave a ping unanswered, in milliseconds. */
const signOfLife = 100

export class ThreadPool {
  readonly queue: AdmissionQueue.AdmissionQueue<PoolTask>
  readonly crew: WorkerCrew
  readonly #options: PoolOptions
  readonly #host: PoolHost
  /** Dispatched tasks whose thread died before it began them. They keep their permits and go first. */
  readonly #orphans: Array<PoolTask> = []
  readonly #listeners: Array<{ readonly condition: () => boolean; readonly listener: () => void }> = []
  #cancelExpiry: (() => void) | undefined = undefined

  constructor(options: PoolOptions, host: PoolHost) {
    this.#options = options
    this.#host = host
    const { maxQueued, maxWait, order } = options
    this.queue = AdmissionQueue.make<PoolTask>({ limit: 0, maxQueued, maxWait, order, priorities })
    this.crew = new WorkerCrew(
      options,
      {
        answer: (worker, slot, answer) => this.#onAnswer(worker, slot, answer),
        gone: (worker, gone) => this.#onGone(worker, gone),
        changed: () => this.#onCrewChanged()
      },
      host.after
    )
    this.crew.replenish()
  }

  submit(request: TaskRequest): PoolTask {
    const now = monotonicMillis()
    const task = new PoolTask(request, now)
    if (this.crew.unavailable !== undefined) {
      this.#end(task, this.#unavailable())
      return task
    }
    task.entry = this.queue.offer(task, now, request.priority)
    this.#decided(task, now)
    this.#pump(now)
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
    else if (worker === undefined && !this.queue.cancel(task.entry!)) this.#dropOrphan(task)
    // This may run the caller, and the caller may come back here: the pool's state is whole by now.
    this.#end(task, outcome)
    if (running) this.#leaveRunning(task, worker)
    else if (worker !== undefined) this.#killIfUseless(worker)
    this.#pump(monotonicMillis())
  }

  /** Calls back once all workers serve, or none can be had. */
  whenStarted(listener: () => void): void {
    this.#when(() => this.crew.complete || this.crew.unavailable !== undefined, listener)
  }

  /** Refuses new tasks and calls back when none is left. */
  drain(listener: () => void): void {
    this.queue.close()
    this.#when(() => this.queue.running === 0 && this.queue.queued === 0, listener)
  }

  /** Ends every task that is left, and every thread. Calls back when the last thread has gone. */
  close(listener: () => void): void {
    this.queue.close("refuse")
    this.#pump(monotonicMillis())
    for (const task of this.#orphans.splice(0)) this.#giveUp(task)
    for (const worker of this.crew.threads) {
      for (const task of worker.tasks) if (task !== undefined) this.#end(task, this.#unavailable())
    }
    this.crew.close()
    this.#cancelExpiry?.()
    this.#when(() => this.crew.threads.size === 0, listener)
  }

  // Dispatching

  #pump(now: number): void {
    while (this.#orphans.length > 0 && this.crew.freest() !== undefined) this.#dispatch(this.#orphans.shift()!, now)
    for (let entry = this.queue.poll(now); entry !== undefined; entry = this.queue.poll(now))
      this.#decided(entry.value, now)
    this.#armExpiry(now)
    this.#notify()
    this.#host.changed()
  }

  /** Acts on the state of a task's entry. */
  #decided(task: PoolTask, now: number): void {
    const { state } = task.entry!
    if (state === "Admitted") this.#dispatch(task, now)
    else if (state === "QueueFull" || state === "WaitExceeded" || state === "Displaced") {
      this.#end(task, { type: "saturated", refusal: state })
    } else if (state !== "Waiting") this.#end(task, this.#unavailable())
  }

  /** Posts a task that holds a permit. */
  #dispatch(task: PoolTask, now: number): void {
    const worker = this.crew.freest()
    if (worker === undefined) {
      this.#orphans.push(task)
      return
    }
    if (task.deadline !== undefined && task.deadline <= now) {
      this.queue.release()
      return this.#end(task, { type: "deadlineExceeded" })
    }
    try {
      worker.post(task)
    } catch (error) {
      this.queue.release()
      return this.#end(task, { type: "defect", error: toErrorData(error) })
    }
    task.worker = worker
    task.dispatchedAt = now
    this.#host.dispatched(now - task.submittedAt)
    if (task.timeout !== Infinity) this.#watch(task, task.timeout)
  }

  /** The time of a task runs from its start in the worker, which the shared memory tells. */
  #watch(task: PoolTask, millis: number): void {
    task.cancelTimer = this.#host.after(millis, () => {
      if (task.settled) return
      const startedAt = task.worker?.startedAt(task)
      const left = startedAt === undefined ? task.timeout : startedAt + task.timeout - monotonicMillis()
      if (left <= 0) this.cancel(task, { type: "timedOut" })
      else this.#watch(task, left)
    })
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

  #dropOrphan(task: PoolTask): void {
    const index = this.#orphans.indexOf(task)
    if (index === -1) return
    this.#orphans.splice(index, 1)
    this.queue.release()
  }

  #giveUp(task: PoolTask): void {
    this.queue.release()
    this.#end(task, this.#unavailable())
  }

  #unavailable(): Outcome {
    return { type: "unavailable", message: this.crew.unavailable ?? "the pool is closed" }
  }

  #end(task: PoolTask, outcome: Outcome): void {
    if (task.settled) return
    this.#host.ended(task, outcome, task.worker === undefined ? undefined : monotonicMillis() - task.dispatchedAt)
    task.settle(outcome)
  }

  // What the threads say

  #onAnswer(worker: WorkerThread, slot: number, answer: Answer): void {
    const task = worker.vacate(slot)
    if (task === undefined) return
    task.cancelTimer?.()
    const now = monotonicMillis()
    if (answer.type === "skipped") {
      this.queue.release()
    } else {
      this.crew.noteSuccess()
      this.queue.release(now - task.dispatchedAt)
    }
    this.queue.resize(this.crew.capacity())
    this.#killIfUseless(worker)
    // The next task is on its way before this one's caller runs.
    this.#pump(now)
    if (answer.type !== "skipped") this.#end(task, answer)
  }

  /** A thread may still run a task that nobody waits for: it gets its grace, unless it may run on. */
  #leaveRunning(task: PoolTask, worker: WorkerThread): void {
    const { killGrace } = this.#options
    if (task.mayKill && killGrace !== Infinity && worker.tasks.includes(task)) {
      task.cancelTimer = this.#host.after(killGrace, () => this.#condemn(worker, task))
    }
    this.#killIfUseless(worker)
  }

  /** Takes a worker that still runs an abandoned task out of service, to be killed. */
  #condemn(worker: WorkerThread, task: PoolTask): void {
    if (worker.state !== "ready" || !worker.tasks.includes(task)) return
    worker.state = "condemned"
    for (let slot = 0; slot < worker.tasks.length; slot++) {
      const neighbour = worker.tasks[slot]
      if (neighbour !== undefined && worker.revoke(neighbour)) this.#reclaim(worker, slot)
    }
    this.queue.resize(this.crew.capacity())
    this.#killIfUseless(worker)
    this.#watchCondemned(worker)
    this.#pump(monotonicMillis())
  }

  /**
   * Neighbours that began may finish, as long as the thread's event loop turns. A loop that stands still finishes nothing: its thread
   * is killed, and they fail with it.
   */
  #watchCondemned(worker: WorkerThread): void {
    if (worker.state !== "condemned") return
    worker.ping()
    this.#host.after(signOfLife, () => {
      if (worker.state !== "condemned") return
      if (worker.responsive) this.#watchCondemned(worker)
      else worker.kill()
    })
  }

  /** Takes a task that will surely not run out of its slot: one that nobody waits for ends here, another goes elsewhere. */
  #reclaim(worker: WorkerThread, slot: number): void {
    const task = worker.vacate(slot)!
    task.worker = undefined
    if (task.settled) this.queue.release()
    else this.#orphans.push(task)
  }

  /** Kills a condemned worker as soon as nobody waits for anything it holds, so that a kill costs no other task. */
  #killIfUseless(worker: WorkerThread): void {
    if (worker.state === "condemned" && worker.tasks.every((task) => task?.settled ?? true)) worker.kill()
  }

  /** What becomes of the tasks of a thread that has gone: begun, they failed with it; not begun, they go to another thread. */
  #onGone(worker: WorkerThread, gone: Gone): void {
    this.#host.workerEnded(gone)
    for (let slot = 0; slot < worker.tasks.length; slot++) {
      const task = worker.tasks[slot]
      if (task === undefined) continue
      if (worker.revoke(task)) {
        this.#reclaim(worker, slot)
      } else {
        worker.vacate(slot)
        task.cancelTimer?.()
        this.queue.release()
        this.#end(task, { type: "crashed", ...gone })
      }
    }
  }

  #onCrewChanged(): void {
    this.queue.resize(this.crew.capacity())
    if (this.crew.unavailable !== undefined) {
      for (const task of this.#orphans.splice(0)) this.#giveUp(task)
      for (let entry = this.queue.evict(); entry !== undefined; entry = this.queue.evict()) {
        this.#end(entry.value, this.#unavailable())
      }
    }
    this.#pump(monotonicMillis())
  }

  // Listeners

  #when(condition: () => boolean, listener: () => void): void {
    this.#listeners.push({ condition, listener })
    this.#notify()
  }

  #notify(): void {
    if (this.#listeners.length === 0) return
    const due = this.#listeners.filter(({ condition }) => condition())
    // Gone from the list before they are called: a listener may add another, and come back here.
    for (const item of due) this.#listeners.splice(this.#listeners.indexOf(item), 1)
    for (const { listener } of due) listener()
  }
}
