/** One worker thread with its slots: starts it, passes tasks in and answers out, and says when it is truly gone. */
import { Worker } from "node:worker_threads"
import type { ResourceLimits } from "node:worker_threads"
import type { PoolTask } from "./poolTask.ts"
import { Cell, makeSharedSlots, toErrorData, workerDataKey } from "./protocol.ts"
import type { Boot, ErrorData, FromWorker, SharedSlots, ToWorker } from "./protocol.ts"

export interface WorkerOptions {
  readonly worker: URL
  readonly threadName: string
  readonly concurrency: number
  readonly data: unknown
  readonly resourceLimits: ResourceLimits | undefined
}

/** How a thread ended. `error` is what it died of, if it did not simply exit. */
export interface Gone {
  /** `killed` and `closed` were the pool's doing, `crashed` was its own. */
  readonly cause: "killed" | "closed" | "crashed"
  readonly exitCode: number
  readonly error: ErrorData | undefined
}

/** What a thread reports. Each is called from the event loop, never from within a method of `WorkerThread`. */
export interface WorkerEvents {
  readonly ready: (worker: WorkerThread, tasks: ReadonlyArray<string>) => void
  readonly answer: (worker: WorkerThread, slot: number, answer: Answer) => void
  readonly gone: (worker: WorkerThread, gone: Gone) => void
}

export type Answer = Extract<FromWorker, { readonly slot: number }>

export class WorkerThread {
  /**
   * `starting` until it says that it serves; `ready` takes tasks; `condemned` takes no more and is killed once nobody waits for what
   * it runs; `ending` was told to close or is being terminated; `gone` has exited.
   */
  state: "starting" | "ready" | "condemned" | "ending" | "gone" = "starting"
  /** The tasks that it holds, by slot. A task stays in its slot until the thread is done with it, wanted or not. */
  readonly tasks: Array<PoolTask | undefined>
  occupied = 0
  /** Whether its event loop has turned since the last `ping`. */
  responsive = true
  /** Ends the timer that bounds its start. */
  cancelStartTimer: (() => void) | undefined = undefined
  readonly #shared: SharedSlots
  readonly #thread: Worker
  #cause: Gone["cause"] = "crashed"
  #error: ErrorData | undefined = undefined

  constructor(options: WorkerOptions, events: WorkerEvents) {
    this.tasks = Array.from({ length: options.concurrency }, () => undefined)
    this.#shared = makeSharedSlots(options.concurrency)
    const boot: Boot = { slots: this.#shared, data: options.data }
    this.#thread = new Worker(options.worker, {
      name: options.threadName,
      workerData: { [workerDataKey]: boot },
      ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits })
    })
    this.#thread.on("message", (message: FromWorker) => {
      if (message.type === "ready") return events.ready(this, message.tasks)
      if (message.type === "cannotStart") return this.fail(message.error)
      if (message.type === "pong") this.responsive = true
      else events.answer(this, message.slot, message)
    })
    // An answer that cannot be read here leaves nobody knowing which task it was of.
    this.#thread.on("messageerror", (error) => this.fail(toErrorData(error)))
    this.#thread.on("error", (error) => {
      this.#error ??= toErrorData(error)
    })
    this.#thread.on("exit", (exitCode) => {
      this.state = "gone"
      events.gone(this, { cause: this.#cause, exitCode, error: this.#error })
    })
  }

  get freeSlots(): number {
    return this.state === "ready" ? this.tasks.length - this.occupied : 0
  }

  /** Puts a task into a free slot. Throws, and changes nothing, when its payload cannot be cloned. */
  post(task: PoolTask): void {
    const slot = this.tasks.indexOf(undefined)
    Atomics.store(this.#shared.cells, slot, Cell.Posted)
    try {
      this.#send({ type: "run", slot, task: task.name, payload: task.payload, deadline: task.deadline })
    } catch (error) {
      Atomics.store(this.#shared.cells, slot, Cell.Free)
      throw error
    }
    this.tasks[slot] = task
    this.occupied++
  }

  /** Empties a slot and returns the task that was in it. */
  vacate(slot: number): PoolTask | undefined {
    const task = this.tasks[slot]
    if (task === undefined) return undefined
    Atomics.store(this.#shared.cells, slot, Cell.Free)
    this.tasks[slot] = undefined
    this.occupied--
    return task
  }

  /** Takes a task back that the thread has not begun. Says whether it will surely never run there. */
  revoke(task: PoolTask): boolean {
    const slot = this.tasks.indexOf(task)
    const before = Atomics.compareExchange(this.#shared.cells, slot, Cell.Posted, Cell.Revoked)
    return before === Cell.Posted || before === Cell.Revoked
  }

  /** Asks a running task to stop. */
  abort(task: PoolTask): void {
    const slot = this.tasks.indexOf(task)
    if (Atomics.compareExchange(this.#shared.cells, slot, Cell.Running, Cell.Aborted) === Cell.Running) {
      this.#send({ type: "abort", slot })
    }
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.responsive = false
    this.#send({ type: "ping" })
  }

  /** When the thread began the task, or `undefined` while it has not. */
  startedAt(task: PoolTask): number | undefined {
    const slot = this.tasks.indexOf(task)
    const begun = Atomics.load(this.#shared.cells, slot) >= Cell.Running
    return begun ? this.#shared.startedAt[slot] : undefined
  }

  /** Ends a thread that cannot serve; it counts as crashed, of `error`. */
  fail(error: ErrorData): void {
    this.#error ??= error
    this.#terminate()
  }

  /** Ends the thread, whatever it is doing. `gone` follows. */
  kill(): void {
    if (this.state !== "gone" && this.state !== "ending") this.#cause = "killed"
    this.#terminate()
  }

  /** Asks the thread to end its tasks, run its `close`, and exit. */
  close(): void {
    if (this.state === "gone" || this.state === "ending") return
    this.#cause = "closed"
    this.state = "ending"
    this.#send({ type: "close" })
  }

  #terminate(): void {
    if (this.state === "gone") return
    this.state = "ending"
    void this.#thread.terminate()
  }

  #send(message: ToWorker): void {
    this.#thread.postMessage(message)
  }
}
