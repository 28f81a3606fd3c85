/** The use that one loop makes of a pool of the host: takes its calls in, and sends what comes of them. */
import type { MessagePort, Transferable } from "node:worker_threads"
import { toErrorData } from "../protocol.ts"
import type { Outcome, PoolTask } from "../pool/poolTask.ts"
import { Entry, ToHost, ToLoop } from "./protocol.ts"
import type { Answer, RunEntry, ToHostEntry, ToLoopEntry } from "./protocol.ts"
import { moveFrom, totalSize } from "./remoteTask.ts"
import type { SharedPool } from "./sharedPool.ts"

/** A call of the loop that the pool has not ended. */
interface Call {
  task: PoolTask | undefined
  readonly priority: number
  /** Whether a report of progress is on its way to the loop. */
  reporting: boolean
  /** The latest report that came meanwhile. */
  report: { readonly value: unknown } | undefined
}

/** An entry for the loop, and what of it moves. */
interface Item {
  readonly entry: ToLoopEntry
  readonly moved: ReadonlyArray<Transferable>
}

const nothing: ReadonlyArray<Transferable> = []

export class Lease {
  readonly #shared: SharedPool
  readonly #port: MessagePort
  readonly #calls = new Map<number, Call>()
  #outbox: Array<Item> = []
  #onEnd: (() => void) | undefined = undefined
  #answered = false
  #ended = false

  /** The port says nothing before the loop was told `Opened`. */
  constructor(shared: SharedPool, port: MessagePort) {
    this.#shared = shared
    this.#port = port
    port.on("message", ([type, entries]: ToHost) => {
      if (this.#ended) return
      if (type === ToHost.Stats) {
        this.#flush()
        return this.#port.postMessage([ToLoop.Stats, shared.stats] satisfies ToLoop)
      }
      for (const entry of entries) this.#receive(entry)
      shared.noteLoad()
    })
    // Nobody knows which call it was about: all that are here die of it, and to this loop the pool is gone.
    port.on("messageerror", (error) => {
      this.#cancelAll({ type: "defect", error: toErrorData(error) })
      this.end()
    })
    port.on("close", () => this.end())
  }

  /** Calls back when it ends. One listener only. */
  onEnd(listener: () => void): void {
    if (this.#ended) listener()
    else this.#onEnd = listener
  }

  /** Tells the loop what became of its request. Only the first call does. */
  answer(answer: Answer): void {
    if (this.#answered) return
    this.#answered = true
    this.#port.postMessage(answer)
  }

  /** Cancels what is left of the loop's calls, and gives the pool back. */
  end(): void {
    if (this.#ended) return
    this.#flush()
    this.#ended = true
    this.#outbox = []
    this.#cancelAll({ type: "interrupted" })
    this.#port.close()
    this.#shared.release(this)
    this.#onEnd?.()
  }

  #cancelAll(outcome: Outcome): void {
    for (const { task } of this.#calls.values()) {
      if (task !== undefined) this.#shared.pool.cancel(task, outcome)
    }
  }

  #receive(entry: ToHostEntry): void {
    if (entry[0] === Entry.Run) return this.#run(entry)
    if (entry[0] === Entry.Untold) return this.#shared.untold(entry[1], entry[2], entry[3])
    const call = this.#calls.get(entry[1])
    if (call?.task === undefined) return
    switch (entry[0]) {
      case Entry.Cancel:
        return this.#shared.pool.cancel(call.task, entry[2])
      case Entry.Grant:
        return this.#shared.pool.grant(call.task, entry[2])
      case Entry.Progress:
        call.reporting = false
        if (call.report !== undefined) this.#report(entry[1], call, call.report.value)
    }
  }

  #run(entry: RunEntry): void {
    const [, id, index, payload, transfer, deadline, timeout, priority, mayKill, credit, reports, traceparent] = entry
    const call: Call = { task: undefined, priority, reporting: false, report: undefined }
    this.#calls.set(id, call)
    this.#shared.awaited(priority, 1)
    const caller = {
      settle: (_: unknown, outcome: Outcome) => this.#onOutcome(id, call, outcome),
      items: (items: ReadonlyArray<unknown>, moved = nothing) => this.#post([Entry.Items, id, items], moved),
      progress: reports ? (value: unknown) => this.#report(id, call, value) : undefined
    }
    const task = this.#shared.pool.submit({
      index,
      payload,
      transfer,
      deadline,
      timeout,
      priority,
      mayKill,
      credit,
      traceparent,
      caller
    })
    call.task = task
  }

  #report(id: number, call: Call, value: unknown): void {
    call.report = call.reporting ? { value } : undefined
    if (call.reporting) return
    call.reporting = true
    this.#post([Entry.Progress, id, value], nothing)
  }

  #onOutcome(id: number, call: Call, outcome: Outcome): void {
    this.#calls.delete(id)
    this.#shared.awaited(call.priority, -1)
    switch (outcome.type) {
      case "succeeded":
        return this.#post([Entry.Succeeded, id, outcome.value], outcome.transfer)
      case "failed":
        return this.#post([Entry.Failed, id, outcome.error], outcome.transfer)
      case "saturated":
        return this.#post([Entry.Ended, id, { ...outcome, load: this.#shared.load }, false], nothing)
      default:
        this.#post([Entry.Ended, id, outcome, call.task?.sent === true], nothing)
    }
  }

  // Messages

  #post(entry: ToLoopEntry, transfer: ReadonlyArray<Transferable> = nothing): void {
    if (this.#ended) return
    // What is small is copied, also where it came by moving.
    const moved = transfer === nothing || totalSize(transfer) <= moveFrom ? nothing : transfer
    if (this.#outbox.push({ entry, moved }) === 1) setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const outbox = this.#outbox
    this.#outbox = []
    if (outbox.length === 0 || this.#ended) return
    this.#shared.noteLoad()
    try {
      return this.#send(outbox)
    } catch {
      // One of them cannot be cloned once more. The others can.
    }
    for (const item of outbox) this.#sendAlone(item)
  }

  #sendAlone(item: Item): void {
    try {
      this.#send([item])
    } catch (error) {
      const id = item.entry[1]
      const defect = { type: "defect", error: toErrorData(error) } as const
      const task = this.#calls.get(id)?.task
      if (task !== undefined) this.#shared.pool.cancel(task, defect)
      else this.#send([{ entry: [Entry.Ended, id, defect, true], moved: nothing }])
    }
  }

  #send(items: ReadonlyArray<Item>): void {
    const moved = items.flatMap((item) => item.moved)
    this.#port.postMessage([ToLoop.Entries, items.map(({ entry }) => entry)] satisfies ToLoop, moved as never)
  }
}
