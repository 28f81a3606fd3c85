/**
 * The loop of a worker thread: takes tasks in, runs as many at once as it may, and sends answers. No module of Effect may be imported
 * here: plain workers load this file.
 */
import { workerData } from "node:worker_threads"
import type { Transferable } from "node:worker_threads"
import { Cell, FromWorker, monotonicMillis, toErrorData, ToWorker, workerDataKey } from "../protocol.ts"
import type { Boot, RunMessage } from "../protocol.ts"
import { isPromise, sendBatches } from "./streaming.ts"
import type { Batches } from "./streaming.ts"
import { Task, TaskFailure } from "./task.ts"
import type { Link } from "./task.ts"

/**
 * Runs one task. The result of a task that answers once is its encoded value or a promise of it; that of a stream is its batches. It
 * fails with a `TaskFailure` for a declared error, with anything else for a defect.
 */
export type Runner = (payload: unknown, task: Task) => unknown

/** What an entry module makes of a worker's boot data. */
export interface Program {
  /** The runner of each task, by name. */
  readonly runners: Readonly<Record<string, Runner | undefined>>
  /** Runs when the pool closes and all tasks have ended. */
  readonly close: () => void | Promise<void>
}

/** The heap is looked at after a task, but not more often than this, in milliseconds. */
const heapInterval = 50

let served = false

/** Throws outside a worker, and the second time in one: two loops would each run every task. */
export const readBoot = (where: string): Boot => {
  const boot = workerData?.[workerDataKey] as Boot | undefined
  if (boot === undefined) {
    throw new Error(`${where}: this file is a worker of Offload.layerThreads and does nothing when run by itself`)
  }
  if (served) {
    const error = new Error(`${where}: a worker serves once, and this one does so already`)
    boot.port.postMessage([FromWorker.CannotStart, toErrorData(error)])
    throw error
  }
  served = true
  return boot
}

/** Starts the worker. The pool hears that it serves, or why it cannot. */
export const start = async (boot: Boot, make: () => Program | Promise<Program>): Promise<void> => {
  // What it waits for may not keep the thread alive.
  boot.port.ref()
  try {
    const program = await make()
    const missing = boot.tasks.filter(({ name }) => typeof program.runners[name] !== "function")
    if (missing.length > 0) {
      throw new Error(`it serves no handler for ${missing.map(({ name }) => `"${name}"`).join(", ")}`)
    }
    // Once the worker file has run to its end: what is wrong further down in it is a failure to start.
    setImmediate(() => new WorkerLoop(boot, program).listen())
  } catch (error) {
    boot.port.postMessage([FromWorker.CannotStart, toErrorData(error)])
  }
}

/** Waits for what was written so far: `process.exit` would cut it off. */
const written = (stream: NodeJS.WriteStream) =>
  new Promise<void>((resolve) => {
    if (stream.writableLength === 0) resolve()
    else stream.write("", () => resolve())
  })

class WorkerLoop implements Link {
  readonly slots: Boot["slots"]
  readonly #boot: Boot
  readonly #program: Program
  readonly #runners: ReadonlyArray<Runner>
  /** Tasks that have begun, by slot. */
  readonly #running = new Map<number, Task>()
  /** Tasks that have arrived and not begun. */
  readonly #waiting: Array<RunMessage> = []
  #closing = false
  #heapSeenAt = 0

  constructor(boot: Boot, program: Program) {
    this.#boot = boot
    this.#program = program
    this.#runners = boot.tasks.map(({ name }) => program.runners[name]!)
    this.slots = boot.slots
  }

  listen(): void {
    this.#boot.port.on("message", (message: ToWorker) => {
      switch (message[0]) {
        case ToWorker.Run:
          return this.#accept(message)
        case ToWorker.RunAll:
          for (const run of message[1]) this.#accept(run)
          return
        case ToWorker.Abort:
          return this.#running.get(message[1])?.abort()
        case ToWorker.Credit:
          return this.#running.get(message[1])?.credit()
        case ToWorker.Ping:
          return this.post([FromWorker.Pong])
        case ToWorker.Close:
          this.#closing = true
          if (this.#running.size === 0) void this.#end()
      }
    })
    this.post([FromWorker.Ready])
  }

  post(message: FromWorker, transfer?: ReadonlyArray<Transferable>): void {
    this.#boot.port.postMessage(message, transfer as never)
  }

  #accept(message: RunMessage): void {
    if (this.#running.size < this.#boot.concurrency) this.#begin(message)
    else this.#waiting.push(message)
  }

  #begin(message: RunMessage): void {
    const [, slot, index, payload] = message
    this.slots.startedAt[slot] = monotonicMillis()
    const claimed = Atomics.compareExchange(this.slots.state, slot, Cell.Posted, Cell.Running) === Cell.Posted
    if (!claimed) return this.post([FromWorker.Skipped, slot])
    const task = new Task(this, message)
    this.#running.set(slot, task)
    try {
      const result = this.#runners[index]!(payload, task)
      if (this.#boot.tasks[index]!.stream) {
        sendBatches(this, task, result as Batches).then(
          () => this.#settle(task, undefined),
          (error: unknown) => this.#settleError(task, error)
        )
      } else if (isPromise(result)) {
        result.then(
          (value) => this.#settle(task, value),
          (error: unknown) => this.#settleError(task, error)
        )
      } else {
        this.#settle(task, result)
      }
    } catch (error) {
      this.#settleError(task, error)
    }
  }

  #settle(task: Task, value: unknown): void {
    this.#leave(task)
    try {
      this.post([FromWorker.Succeeded, task.slot, value, task.transfers], task.transfers)
    } catch (error) {
      this.post([FromWorker.Defect, task.slot, toErrorData(error)])
    }
    this.#next()
  }

  #settleError(task: Task, error: unknown): void {
    this.#leave(task)
    try {
      if (error instanceof TaskFailure)
        this.post([FromWorker.Failed, task.slot, error.error, task.transfers], task.transfers)
      else this.post([FromWorker.Defect, task.slot, toErrorData(error)])
    } catch (uncloneable) {
      this.post([FromWorker.Defect, task.slot, toErrorData(uncloneable)])
    }
    this.#next()
  }

  #leave(task: Task): void {
    task.end()
    this.#running.delete(task.slot)
    this.slots.endedAt[task.slot] = monotonicMillis()
  }

  /** Goes on after a task has ended. */
  #next(): void {
    while (this.#waiting.length > 0 && this.#running.size < this.#boot.concurrency) this.#begin(this.#waiting.shift()!)
    this.#checkHeap()
    if (this.#closing && this.#running.size === 0) void this.#end()
  }

  #checkHeap(): void {
    if (this.#boot.maxHeap === Infinity) return
    const now = monotonicMillis()
    if (now - this.#heapSeenAt < heapInterval) return
    this.#heapSeenAt = now
    // Not imported: it brings modules into every worker that few need.
    const { getHeapStatistics } = process.getBuiltinModule("node:v8")
    if (getHeapStatistics().used_heap_size > this.#boot.maxHeap) this.post([FromWorker.HeapExceeded])
  }

  async #end(): Promise<void> {
    try {
      await this.#program.close()
    } finally {
      this.#boot.port.close()
    }
    // What is still open, an interval or a pool of connections, must not hold the thread up until it is killed.
    await written(process.stdout)
    await written(process.stderr)
    process.exit(0)
  }
}
