/** One worker thread with its slots: starts it, passes tasks in and answers out, and says when it is truly gone. */
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads"
import type { MessagePort, ResourceLimits, Transferable, WorkerOptions as NodeOptions } from "node:worker_threads"
import { awaitsCredit, Cell, FromWorker, makeSharedSlots, toErrorData, ToWorker, workerDataKey } from "../protocol.ts"
import type { Answer, Boot, ErrorData, News, RunMessage, SharedSlots, TaskName } from "../protocol.ts"
import type { PoolTask } from "./poolTask.ts"

export interface WorkerOptions {
  readonly worker: URL
  readonly threadName: string
  readonly tasks: ReadonlyArray<TaskName>
  readonly concurrency: number
  /** How many further tasks may lie in its port. */
  readonly prefetch: number
  /** How many tasks it answers before it is replaced. */
  readonly maxTasks: number
  /** Bytes. */
  readonly maxHeap: number
  readonly data: unknown
  readonly resourceLimits: ResourceLimits | undefined
  /** What of the thread's process is its own. */
  readonly own: Pick<NodeOptions, "argv" | "env" | "execArgv">
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
  readonly ready: (worker: WorkerThread) => void
  readonly answer: (worker: WorkerThread, answer: Answer) => void
  readonly news: (worker: WorkerThread, news: News) => void
  readonly heapExceeded: (worker: WorkerThread) => void
  /** The payload of a task cannot be cloned: its slot is to be vacated. May be called from within `post`. */
  readonly unsendable: (worker: WorkerThread, slot: number, error: ErrorData) => void
  readonly gone: (worker: WorkerThread, gone: Gone) => void
}

interface LoadSample {
  readonly at: number
  readonly total: ReturnType<Worker["performance"]["eventLoopUtilization"]>
}

/** Tasks that run for longer than this, in milliseconds, are worth waking a thread for, each by itself. */
const longEnough = 0.1

/** Worker files that were found to call `serve` again some time after the first call: that they are ready is not to be believed. */
const servesTwice = new WeakSet<URL>()

const toMessage = ({ kind, request }: PoolTask, slot: number): RunMessage => [
  ToWorker.Run,
  slot,
  kind.index,
  request.payload,
  request.deadline,
  request.traceparent
]

export class WorkerThread {
  /**
   * `starting` until it says that it serves; `ready` takes tasks; `retiring` takes no more and is closed once it has none;
   * `condemned` takes no more and is killed once nobody waits for what it runs; `ending` was told to close or is being terminated;
   * `gone` has exited.
   */
  state: "starting" | "ready" | "retiring" | "condemned" | "ending" | "gone" = "starting"
  readonly name: string
  /** The tasks that it holds, by slot. A task stays in its slot until the thread is done with it, wanted or not. */
  readonly tasks: Array<PoolTask | undefined>
  /** How many tasks it holds. */
  held = 0
  /** How many of its slots are in use: those of tasks, and those of revoked ones that it has not come across yet. */
  occupied = 0
  /** When it last made room, or took a task while it had none, in milliseconds of the monotonic clock. */
  movedAt = 0
  /** Tasks that it has answered. */
  completed = 0
  /** Whether its event loop has turned since the last `ping`. */
  responsive = true
  /** Its place in the crew, from 0, or -1 for a spare. */
  place = -1
  /** Whether it ever got ready. */
  served = false
  /** Ends the timer that bounds its start or its end. */
  cancelTimer: (() => void) | undefined = undefined
  readonly concurrency: number
  readonly #free: Array<number>
  readonly #shared: SharedSlots
  readonly #maxTasks: number
  readonly #worker: URL
  readonly #thread: Worker
  /** Its own, because the `parentPort` of the thread belongs to the code of the user. */
  readonly #port: MessagePort
  readonly #events: WorkerEvents
  #outbox: Array<readonly [PoolTask, number]> = []
  #cause: Gone["cause"] = "crashed"
  #error: ErrorData | undefined = undefined
  #load: ReadonlyArray<LoadSample> = []

  constructor(options: WorkerOptions, events: WorkerEvents) {
    const slots = options.concurrency + options.prefetch
    this.#events = events
    this.#worker = options.worker
    this.#maxTasks = options.maxTasks
    this.name = options.threadName
    this.concurrency = options.concurrency
    this.tasks = Array.from({ length: slots }, () => undefined)
    this.#free = Array.from({ length: slots }, (_, slot) => slot)
    this.#shared = makeSharedSlots(slots)
    const { concurrency, data, maxHeap, tasks } = options
    const names = tasks.map(({ middlewares, name, stream }) => ({ name, stream, middlewares }))
    const { port1, port2 } = new MessageChannel()
    const boot: Boot = { port: port2, slots: this.#shared, concurrency, tasks: names, maxHeap, data }
    this.#thread = new Worker(options.worker, {
      ...options.own,
      name: options.threadName,
      workerData: { [workerDataKey]: boot },
      transferList: [port2],
      ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits })
    })
    this.#port = port1
    port1.on("message", (message: FromWorker) => this.#receive(message, events))
    // An answer that cannot be read here leaves nobody knowing which task it was of.
    port1.on("messageerror", (error) => this.fail(toErrorData(error)))
    // The thread keeps the process alive, as long as there is one.
    port1.unref()
    this.#thread.on("error", (error) => {
      this.#error ??= toErrorData(error)
    })
    this.#thread.on("exit", (exitCode) => {
      this.#drain(events)
      if (this.state === "starting" && exitCode === 0) {
        this.#error ??= { name: "Error", message: "it ended without calling serve", stack: undefined }
      }
      this.state = "gone"
      events.gone(this, { cause: this.#cause, exitCode, error: this.#error })
    })
  }

  #receive(message: FromWorker, events: WorkerEvents): void {
    switch (message[0]) {
      case FromWorker.Ready:
        if (servesTwice.has(this.#worker)) return
        return events.ready(this)
      case FromWorker.CannotStart:
        if (this.served) servesTwice.add(this.#worker)
        return this.fail(message[1])
      case FromWorker.Pong:
        this.responsive = true
        return
      case FromWorker.HeapExceeded:
        return events.heapExceeded(this)
      case FromWorker.Items:
      case FromWorker.Progress:
        return events.news(this, message)
      default:
        events.answer(this, message)
    }
  }

  /**
   * Reads what a thread that has ended a task has said, before the event loop comes to it, and says whether there was anything: in the
   * loop's own turn a burst of calls may be longer than the tasks that it is made of.
   */
  hearAnswers(): boolean {
    const { endedAt, startedAt, state } = this.#shared
    const hasEnded = ({ slot }: PoolTask) =>
      Atomics.load(state, slot) >= Cell.Running && endedAt[slot]! >= startedAt[slot]!
    if (!this.tasks.some((task) => task !== undefined && hasEnded(task))) return false
    try {
      return this.#readPort(this.#events)
    } catch (error) {
      this.fail(toErrorData(error))
      return true
    }
  }

  #readPort(events: WorkerEvents): boolean {
    for (let heard = false; ; heard = true) {
      const received = receiveMessageOnPort(this.#port) as { readonly message: FromWorker } | undefined
      if (received === undefined) return heard
      this.#receive(received.message, events)
    }
  }

  /** Takes what the thread has said before it ended, and closes the port. */
  #drain(events: WorkerEvents): void {
    try {
      this.#readPort(events)
    } catch (error) {
      this.#error ??= toErrorData(error)
    }
    this.#port.close()
  }

  get threadId(): number {
    return this.#thread.threadId
  }

  /** Whether it may be given a task to run or, if its turn is soon, to keep. */
  hasRoom(prefetch: boolean): boolean {
    if (this.state !== "ready" || this.completed + this.held >= this.#maxTasks) return false
    return this.occupied < (prefetch ? this.tasks.length : this.concurrency)
  }

  /** Whether what it runs is the last of the tasks that it may. */
  get isSpent(): boolean {
    return this.completed + this.held >= this.#maxTasks && this.prefetched === 0
  }

  /** How many tasks it holds beyond those that it can run. */
  get prefetched(): number {
    return Math.max(0, this.held - this.concurrency)
  }

  /** The mean time after which it will have run what it holds, in milliseconds; `Infinity` when it holds something unknown. */
  expectedWork(): number {
    let work = 0
    for (const task of this.tasks) if (task !== undefined) work += task.kind.meanRun
    return work / this.concurrency
  }

  /**
   * Puts a task into a free slot. To wake a thread costs the event loop about as much as all the rest of a call, so short tasks are
   * sent together at the end of the loop's turn: no answer could be read before that anyway.
   */
  post(task: PoolTask, now: number): void {
    const { request, kind } = task
    const slot = this.#free.pop()!
    const { credit, progress, state } = this.#shared
    if (kind.stream) Atomics.store(credit, slot, request.credit)
    Atomics.store(progress, slot, request.caller.progress === undefined ? 1 : 0)
    Atomics.store(state, slot, Cell.Posted)
    if (this.held === 0) this.movedAt = now
    this.tasks[slot] = task
    this.held++
    this.occupied++
    task.worker = this
    task.slot = slot
    task.sent = true
    if (kind.meanRun < longEnough && task.transfer === undefined) return this.#sendSoon(task, slot)
    // Those before it go first.
    this.#flush()
    this.#sendTask(task, slot)
  }

  #sendTask(task: PoolTask, slot: number): void {
    try {
      this.#send(toMessage(task, slot), task.transfer)
    } catch (error) {
      this.#events.unsendable(this, slot, toErrorData(error))
    }
  }

  #sendSoon(task: PoolTask, slot: number): void {
    if (this.#outbox.push([task, slot]) === 1) setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const outbox = this.#outbox
    this.#outbox = []
    if (outbox.length === 0 || this.state === "gone") return
    try {
      if (outbox.length > 1) return this.#send([ToWorker.RunAll, outbox.map(([task, slot]) => toMessage(task, slot))])
    } catch {
      // One of them cannot be cloned. The others can.
    }
    for (const [task, slot] of outbox) this.#sendTask(task, slot)
  }

  /** Frees a slot with which the thread is done, and returns the task that was in it. */
  vacate(slot: number, now: number): PoolTask | undefined {
    const task = this.tasks[slot]
    Atomics.store(this.#shared.state, slot, Cell.Free)
    if (task !== undefined) this.#detach(task)
    this.#free.push(slot)
    this.occupied--
    this.movedAt = now
    return task
  }

  /**
   * Takes a task back that the thread has not begun; its slot is free once the thread has come across it. Says whether it did so: then
   * the task will surely not run there.
   */
  revoke(task: PoolTask): boolean {
    const { state } = this.#shared
    if (Atomics.compareExchange(state, task.slot, Cell.Posted, Cell.Revoked) !== Cell.Posted) return false
    this.#detach(task)
    task.sent = false
    return true
  }

  /** Takes out a task that a thread which has gone, or will never answer, had begun. */
  abandon(task: PoolTask): void {
    this.#detach(task)
  }

  #detach(task: PoolTask): void {
    this.tasks[task.slot] = undefined
    task.worker = undefined
    this.held--
  }

  /** Asks a running task to stop. */
  abort({ slot }: PoolTask): void {
    if (Atomics.compareExchange(this.#shared.state, slot, Cell.Running, Cell.Aborted) === Cell.Running) {
      this.#send([ToWorker.Abort, slot])
    }
  }

  /** Lets a stream send so many more items. */
  grant({ slot }: PoolTask, items: number): void {
    const { credit } = this.#shared
    for (;;) {
      const before = Atomics.load(credit, slot)
      const after = Math.max(before, 0) + items
      if (Atomics.compareExchange(credit, slot, before, after) !== before) continue
      if (before === awaitsCredit) this.#send([ToWorker.Credit, slot])
      return
    }
  }

  /** Lets a task report progress again. */
  acceptProgress({ slot }: PoolTask): void {
    Atomics.store(this.#shared.progress, slot, 0)
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.responsive = false
    this.#send([ToWorker.Ping])
  }

  /** When the thread began the task, or `undefined` while it has not. */
  startedAt({ slot }: PoolTask): number | undefined {
    const begun = Atomics.load(this.#shared.state, slot) >= Cell.Running
    return begun ? this.#shared.startedAt[slot] : undefined
  }

  /** When the answered task of a slot began and ended. */
  times(slot: number): { readonly startedAt: number; readonly endedAt: number } {
    return { startedAt: this.#shared.startedAt[slot]!, endedAt: this.#shared.endedAt[slot]! }
  }

  /** The share of the last one to two seconds that its event loop was busy, from 0 to 1; of its whole life when first asked. */
  utilization(now: number): number {
    if (this.state === "gone") return 0
    const { performance } = this.#thread
    const total = performance.eventLoopUtilization()
    const [before, latest] = this.#load
    const { utilization } = before === undefined ? total : performance.eventLoopUtilization(total, before.total)
    if (latest === undefined)
      this.#load = [
        { at: now, total },
        { at: now, total }
      ]
    else if (now - latest.at >= 1000) this.#load = [latest, { at: now, total }]
    // Not a number before the first turn of its loop, and a little below 0 right after it.
    return utilization > 0 ? Math.min(utilization, 1) : 0
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
    this.#send([ToWorker.Close])
  }

  #terminate(): void {
    if (this.state === "gone") return
    this.state = "ending"
    void this.#thread.terminate()
  }

  #send(message: ToWorker, transfer?: ReadonlyArray<Transferable>): void {
    this.#port.postMessage(message, transfer as never)
  }
}
