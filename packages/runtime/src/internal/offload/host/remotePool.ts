/**
 * A pool of the host as one of its loops sees it: the same calls as a `ThreadPool`, sent over a port.
 *
 * A call that was ended here, interrupted for example, counts as under way until the host has said what became of it.
 */
import type { MessagePort, Transferable } from "node:worker_threads"
import type { Stats } from "../../../Offload.ts"
import { Listeners } from "../pool/listeners.ts"
import { TaskKind } from "../pool/poolTask.ts"
import type { Load, Outcome, TaskRequest } from "../pool/poolTask.ts"
import { priorities } from "../pool/threadPool.ts"
import { Trampoline } from "../pool/trampoline.ts"
import { monotonicMillis, toErrorData } from "../protocol.ts"
import type { TaskName } from "../protocol.ts"
import { PoolLoad } from "./poolLoad.ts"
import { Entry, ToHost, ToLoop } from "./protocol.ts"
import type { Answer, ToHostEntry, ToLoopEntry } from "./protocol.ts"
import { RemoteTask } from "./remoteTask.ts"

export interface RemoteOptions {
  readonly tasks: ReadonlyArray<TaskName>
  readonly maxQueued: number
  readonly maxWorkers: number
  readonly concurrency: number
}

const closed: Outcome = { type: "unavailable", trouble: undefined }

/** As many calls may be cancelled here without the host's having said so, however few its pool may hold. */
const mostCancelled = 256

/** Calls that ended without the host's knowing of them. */
interface Untold {
  readonly index: number
  readonly outcome: Outcome["type"]
  count: number
}

export class RemotePool {
  readonly #port: MessagePort
  readonly #kinds: ReadonlyArray<TaskKind>
  readonly #capacity: number
  readonly #maxQueued: number
  readonly #listeners = new Listeners()
  readonly #callers = new Trampoline()
  #load = new PoolLoad()
  /** Calls that the host has not ended, by id. */
  readonly #tasks = new Map<number, RemoteTask>()
  /** How many of them somebody waits for, by priority. */
  readonly #awaited = Array.from({ length: priorities }, () => 0)
  /** And how many nobody does. */
  #cancelled = 0
  #nextId = 0
  #outbox: Array<ToHostEntry | RemoteTask> = []
  readonly #untold = new Map<string, Untold>()
  #stats: Stats | undefined = undefined
  #askers: Array<(stats: Stats) => void> = []
  #refusing = false
  #gone = false

  constructor(port: MessagePort, options: RemoteOptions, opened: (answer: Answer | undefined) => void) {
    this.#port = port
    this.#kinds = options.tasks.map((task, index) => new TaskKind(task, index))
    this.#capacity = options.maxWorkers * options.concurrency
    this.#maxQueued = options.maxQueued
    port.on("message", (message: ToLoop) => {
      switch (message[0]) {
        case ToLoop.Entries:
          for (const entry of message[1]) this.#receive(entry)
          return this.#listeners.notify()
        case ToLoop.Stats:
          return this.#tellStats(message[1])
        case ToLoop.Opened:
          this.#load = new PoolLoad(message[1])
          this.#stats = message[2]
      }
      opened(message)
    })
    // Nobody knows which call it was about.
    port.on("messageerror", (error) => this.#lose({ type: "defect", error: toErrorData(error) }))
    port.on("close", () => {
      this.#lose()
      opened(undefined)
    })
  }

  get queued(): number {
    return this.#load.queued
  }

  /** How near the pool is to refusing, from 0 to 1, as its host last said. */
  get saturation(): number {
    return this.#gone ? 0 : this.#load.saturation
  }

  retryAfter(): number {
    return this.#load.retryAfter
  }

  submit(request: TaskRequest): RemoteTask {
    const task = new RemoteTask(this.#nextId++, this.#kinds[request.index]!, request)
    if (this.#refusing) {
      this.#end(task, closed)
    } else if (this.#isFull(request.priority)) {
      this.#leaveUntold(task, "saturated")
      this.#end(task, { type: "saturated", refusal: "QueueFull", load: this.#knownLoad })
    } else {
      this.#tasks.set(task.id, task)
      this.#awaited[request.priority]!++
      this.#post(task)
    }
    return task
  }

  /** Ends a task for its caller, here and, if the host has been told of it, there. */
  cancel(task: RemoteTask, outcome: Outcome): void {
    if (task.settled) return
    this.#awaited[task.request.priority]!--
    if (task.posted) {
      this.#cancelled++
      this.#post([Entry.Cancel, task.id, outcome])
    } else {
      this.#tasks.delete(task.id)
      this.#leaveUntold(task, outcome.type)
    }
    this.#end(task, outcome)
    this.#listeners.notify()
  }

  /** Lets a stream send so many more items. The host is told in lots of half of what the stream may be ahead: it need not stop for that. */
  grant(task: RemoteTask, items: number): void {
    if (task.settled) return
    task.consumed += items
    if (task.consumed * 2 < task.request.credit) return
    this.#post([Entry.Grant, task.id, task.consumed])
    task.consumed = 0
  }

  /** Asks the host for statistics. Once it is gone they are the last that were known, without what they say of the present. */
  stats(listener: (stats: Stats) => void): void {
    if (this.#gone) return listener(this.#stats!)
    if (this.#askers.push(listener) > 1) return
    this.#flush()
    this.#port.postMessage([ToHost.Stats] satisfies ToHost)
  }

  /** Refuses new tasks and calls back when none is left. */
  drain(listener: () => void): void {
    this.#refusing = true
    this.#listeners.add(() => this.#tasks.size === 0, listener)
  }

  /** Ends every task that is left, and gives the pool back to the host. */
  close(): void {
    this.#refusing = true
    for (const task of this.#tasks.values()) this.cancel(task, closed)
    this.#flush()
    this.#lose()
  }

  /** Ends it all without the host. */
  #lose(outcome = closed): void {
    this.#refusing = true
    this.#gone = true
    this.#port.close()
    const left = [...this.#tasks.values()]
    this.#tasks.clear()
    // All is as it will stay before the callers run, which may ask at once.
    if (this.#stats !== undefined) this.#tellStats({ ...this.#stats, running: 0, queued: 0, workers: [], spares: 0 })
    for (const task of left) this.#end(task, outcome)
    this.#listeners.notify()
  }

  #tellStats(stats: Stats): void {
    const askers = this.#askers
    this.#askers = []
    this.#stats = stats
    for (const asker of askers) asker(stats)
  }

  /**
   * Whether a task is refused without asking the host: because of what this loop alone has there, or because the host has just said that
   * there is no place. A more urgent one may still displace another, and one that was cancelled here may leave a place.
   */
  #isFull(priority: number): boolean {
    let atLeastAsUrgent = 0
    for (let urgent = 0; urgent <= priority; urgent++) atLeastAsUrgent += this.#awaited[urgent]!
    const bound = this.#maxQueued + this.#capacity
    if (atLeastAsUrgent >= bound || this.#cancelled >= Math.max(bound, mostCancelled)) return true
    return this.#cancelled === 0 && this.#load.refuses(priority, monotonicMillis())
  }

  /** As the host last said, but calls that are on their way to it must wait there too. */
  get #knownLoad(): Load {
    const waiting = Math.min(this.#here - this.#capacity, this.#maxQueued)
    return { queued: Math.max(this.#load.queued, waiting), retryAfter: this.#load.retryAfter }
  }

  /** How many calls of this loop somebody waits for. */
  get #here(): number {
    return this.#awaited.reduce((sum, count) => sum + count, 0)
  }

  /** Whether a worker can take one more task at once, as far as can be known here. */
  get #workerIsFree(): boolean {
    return this.#here <= this.#capacity && this.#load.queued + this.#load.running < this.#capacity
  }

  /** Notes what the host's metrics lack. It goes along with the next message: the port of a busy host must not fill up with counts. */
  #leaveUntold({ request: { index } }: RemoteTask, outcome: Outcome["type"]): void {
    const key = `${index} ${outcome}`
    const known = this.#untold.get(key)
    if (known === undefined) this.#untold.set(key, { index, outcome, count: 1 })
    else known.count++
  }

  #end(task: RemoteTask, outcome: Outcome): void {
    const settle = task.settle(outcome)
    if (settle !== undefined) this.#callers.run(settle)
  }

  // Messages

  #post(item: ToHostEntry | RemoteTask): void {
    if (this.#outbox.push(item) === 1) setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const outbox = this.#outbox
    this.#outbox = []
    if (this.#gone) return
    const items = outbox.filter((item) => !(item instanceof RemoteTask && item.settled))
    const entries = items.map((item) => this.#toEntry(item))
    for (const { count, index, outcome } of this.#untold.values()) entries.push([Entry.Untold, index, outcome, count])
    if (entries.length === 0) return
    this.#untold.clear()
    const moved = items.flatMap((item) => (item instanceof RemoteTask ? (item.moved ?? []) : []))
    try {
      return this.#send(entries, moved)
    } catch {
      // One of them cannot be cloned. The others can.
    }
    entries.forEach((entry, i) => this.#sendAlone(entry, items[i]))
  }

  #toEntry(item: ToHostEntry | RemoteTask): ToHostEntry {
    if (!(item instanceof RemoteTask)) return item
    item.posted = true
    return item.toEntry(this.#workerIsFree)
  }

  #sendAlone(entry: ToHostEntry, item: ToHostEntry | RemoteTask | undefined): void {
    if (!(item instanceof RemoteTask)) return this.#send([entry], [])
    try {
      this.#send([entry], item.moved ?? [])
    } catch (error) {
      this.#forget(item)
      this.#leaveUntold(item, "defect")
      this.#end(item, { type: "defect", error: toErrorData(error) })
    }
  }

  #send(entries: ReadonlyArray<ToHostEntry>, moved: ReadonlyArray<Transferable>): void {
    this.#port.postMessage([ToHost.Entries, entries] satisfies ToHost, moved as never)
  }

  #receive(entry: ToLoopEntry): void {
    const task = this.#tasks.get(entry[1])
    if (task === undefined) return
    switch (entry[0]) {
      case Entry.Items:
        return task.caller?.items?.(entry[2], undefined)
      case Entry.Progress:
        this.#post([Entry.Progress, task.id])
        return task.caller?.progress?.(entry[2])
      case Entry.Succeeded:
        return this.#onEnded(task, { type: "succeeded", value: entry[2] }, true)
      case Entry.Failed:
        return this.#onEnded(task, { type: "failed", error: entry[2] }, true)
      case Entry.Ended:
        return this.#onEnded(task, entry[2], entry[3])
    }
  }

  #onEnded(task: RemoteTask, outcome: Outcome, sent: boolean): void {
    this.#forget(task)
    if (sent) task.detach()
    this.#end(task, outcome)
  }

  #forget(task: RemoteTask): void {
    this.#tasks.delete(task.id)
    if (task.settled) this.#cancelled--
    else this.#awaited[task.request.priority]!--
  }
}
