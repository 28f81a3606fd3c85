/** A task as its worker sees it. No module of Effect may be imported here: plain workers load this file. */
import type { Transferable } from "node:worker_threads"
import { Cell, FromWorker, monotonicMillis } from "../protocol.ts"
import type { RunMessage, SharedSlots } from "../protocol.ts"

/** What a handler throws to fail with its declared error. */
export class TaskFailure {
  /** The declared error, encoded. */
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/** What a running task needs from its thread. */
export interface Link {
  readonly slots: SharedSlots
  readonly post: (message: FromWorker, transfer?: ReadonlyArray<Transferable>) => void
}

/** The context of a task. The signal is made when it is first asked for: most tasks never do. */
export class Task {
  readonly slot: number
  readonly deadline: number | undefined
  readonly traceparent: string | undefined
  /** What the answer, or the next item of a stream, moves instead of copying. */
  transfers: Array<Transferable> | undefined = undefined
  readonly #link: Link
  #controller: AbortController | undefined = undefined
  #ended: boolean | undefined = undefined
  #onAbort: (() => void) | undefined = undefined
  #onCredit: (() => void) | undefined = undefined

  constructor(link: Link, message: RunMessage) {
    this.#link = link
    this.slot = message[1]
    this.deadline = message[4]
    this.traceparent = message[5]
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      this.#watch(this.#controller)
    }
    return this.#controller.signal
  }

  /** A synchronous handler never gets to the message that aborts it, but it can see the shared cell: whatever it asks looks there. */
  #watch(controller: AbortController): void {
    const { signal } = controller
    let seen = false
    const look = (): AbortSignal => {
      if (!seen && this.aborted) {
        seen = true
        controller.abort()
      }
      return signal
    }
    look()
    Object.defineProperties(signal, {
      aborted: { get: () => Reflect.get(AbortSignal.prototype, "aborted", look()) },
      reason: { get: () => Reflect.get(AbortSignal.prototype, "reason", look()) },
      throwIfAborted: { value: () => AbortSignal.prototype.throwIfAborted.call(look()) }
    })
  }

  get aborted(): boolean {
    return this.#ended ?? Atomics.load(this.#link.slots.state, this.slot) === Cell.Aborted
  }

  readonly remaining = (): number =>
    this.deadline === undefined ? Infinity : Math.max(0, this.deadline - monotonicMillis())

  readonly fail = (error: unknown): TaskFailure => new TaskFailure(error)

  readonly transfer = <A>(value: A, transferables: ReadonlyArray<Transferable>): A => {
    this.transfers = this.transfers === undefined ? [...transferables] : [...this.transfers, ...transferables]
    return value
  }

  readonly progress = (value: unknown): void => {
    if (this.#ended !== undefined) return
    if (Atomics.compareExchange(this.#link.slots.progress, this.slot, 0, 1) !== 0) return
    try {
      this.#link.post([FromWorker.Progress, this.slot, value])
    } catch (error) {
      Atomics.store(this.#link.slots.progress, this.slot, 0)
      throw error
    }
  }

  /** Calls back when the task is to stop, at once if that is so already. One listener only. */
  onAbort(listener: () => void): void {
    if (this.aborted) return listener()
    this.#onAbort = listener
  }

  /** Calls back at the next `Credit` or `Abort` message. One listener only. */
  onCredit(listener: () => void): void {
    this.#onCredit = listener
  }

  abort(): void {
    this.#controller?.abort()
    this.#onAbort?.()
    this.credit()
  }

  credit(): void {
    const listener = this.#onCredit
    this.#onCredit = undefined
    listener?.()
  }

  /** Freezes its state: the slot is about to belong to another task. */
  end(): void {
    this.#ended = this.aborted
  }
}
