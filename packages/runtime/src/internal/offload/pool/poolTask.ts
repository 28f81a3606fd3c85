/** A task as the pool sees it: what to run, where it stands, and whom to tell. */
import type { Transferable } from "node:worker_threads"
import type * as AdmissionQueue from "../../../AdmissionQueue.ts"
import { FromWorker, monotonicMillis } from "../protocol.ts"
import type { Answer, ErrorData, TaskName } from "../protocol.ts"
import { weigh } from "./weigh.ts"
import type { WorkerThread } from "./workerThread.ts"

/** Why a task was turned away while it waited, or instead. */
export type Refusal = Exclude<AdmissionQueue.Refusal, "Evicted" | "Closed">

/** Parts of a value that came by moving, and can move on. */
type Transfer = ReadonlyArray<Transferable> | undefined

/** How full a pool was. `retryAfter` is in milliseconds. */
export interface Load {
  readonly queued: number
  readonly retryAfter: number
}

/** How a task ended for its caller. */
export type Outcome =
  | { readonly type: "succeeded"; readonly value: unknown; readonly transfer?: Transfer }
  | { readonly type: "failed"; readonly error: unknown; readonly transfer?: Transfer }
  | { readonly type: "defect"; readonly error: ErrorData }
  | { readonly type: "saturated"; readonly refusal: Refusal; readonly load?: Load | undefined }
  | { readonly type: "timedOut" }
  | { readonly type: "deadlinePassed" }
  | { readonly type: "crashed"; readonly exitCode: number; readonly error: ErrorData | undefined }
  | { readonly type: "unavailable"; readonly trouble: Trouble | undefined }
  | { readonly type: "interrupted" }

/** Who is interrupted because its deadline has passed: timers may be early by a millisecond, and cut off the fraction of one. */
export const isOverdue = ({ request: { deadline } }: PoolTask, { type }: Outcome): boolean =>
  type === "interrupted" && deadline !== undefined && deadline - monotonicMillis() <= 2

export const toOutcome = (answer: Answer): Outcome => {
  switch (answer[0]) {
    case FromWorker.Succeeded:
      return { type: "succeeded", value: answer[2], transfer: answer[3] }
    case FromWorker.Failed:
      return { type: "failed", error: answer[2], transfer: answer[3] }
    case FromWorker.Defect:
      return { type: "defect", error: answer[2] }
    case FromWorker.Skipped:
      return { type: "interrupted" }
  }
}

/** Why no worker can be had; `undefined` when the pool is closed. */
export interface Trouble {
  readonly worker: string
  readonly exitCode: number
  readonly error: ErrorData | undefined
}

/** Whom to tell. Nothing is told after `settle`, or after the caller has cancelled. */
export interface Caller {
  readonly settle: (task: Pick<PoolTask, "kind" | "request">, outcome: Outcome) => void
  readonly items?: ((items: ReadonlyArray<unknown>, transfer: Transfer) => void) | undefined
  readonly progress?: ((value: unknown) => void) | undefined
}

/**
 * Payloads of more bytes are not sent ahead: megabytes of copies that wait in a port cost more, in allocation, page faults and cache
 * misses, than the round trip that they would hide. Buffers of at most so many bytes are copied also where they are to move, since that
 * is cheaper, and lets them be sent ahead; then they are detached, so that their size makes no other difference.
 */
const maxPrefetchedBytes = 64 * 1024

/** The weight of a new sample in the mean time that a kind of task runs: about the last eight count. */
const runWeight = 1 / 8

/** What all calls of one task of the contract have in common. */
export class TaskKind implements TaskName {
  readonly name: string
  readonly stream: boolean
  readonly index: number
  /** The mean time that it runs in milliseconds, `Infinity` before anything is known. */
  meanRun = Infinity

  constructor({ name, stream }: TaskName, index: number) {
    this.name = name
    this.stream = stream
    this.index = index
  }

  noteRun(millis: number): void {
    this.meanRun = this.meanRun === Infinity ? millis : this.meanRun + (millis - this.meanRun) * runWeight
  }
}

export interface TaskRequest {
  /** The place of the task in the contract. */
  readonly index: number
  /** The encoded payload. */
  readonly payload: unknown
  /** What of the payload is moved instead of copied. */
  readonly transfer: ReadonlyArray<Transferable> | undefined
  /** Milliseconds of the monotonic clock. */
  readonly deadline: number | undefined
  /** Milliseconds from the start in the worker; `Infinity` for none. */
  readonly timeout: number
  readonly priority: number
  /** Whether a worker that does not stop running it may be killed. */
  readonly mayKill: boolean
  /** How many items of a stream may be under way. */
  readonly credit: number
  readonly traceparent: string | undefined
  readonly caller: Caller
}

export class PoolTask {
  readonly kind: TaskKind
  readonly request: TaskRequest
  readonly submittedAt: number
  /** Its place in the queue, from submission to the end. */
  entry: AdmissionQueue.Entry<PoolTask> | undefined = undefined
  /** What of the payload moves when it is sent. */
  readonly transfer: ReadonlyArray<Transferable> | undefined
  /** Whether it was sent, and not taken back before a thread began it. */
  sent = false
  /** Whether parts of the payload are copied, and then detached as if they had moved. */
  readonly #detaches: boolean
  /** Whether it may lie in the port of a worker that is busy: it must be possible to take it back, and not cost much to copy ahead. */
  readonly prefetchable: boolean
  /** The thread that holds it, and in which slot. */
  worker: WorkerThread | undefined = undefined
  slot = -1
  /** Ends the timer of `timeout` or of the grace. */
  cancelTimer: (() => void) | undefined = undefined
  #caller: Caller | undefined

  constructor(kind: TaskKind, request: TaskRequest, now: number) {
    this.kind = kind
    this.request = request
    this.submittedAt = now
    const light = weigh(request.payload) <= maxPrefetchedBytes
    this.#detaches = light && request.transfer?.every((part) => part instanceof ArrayBuffer) === true
    this.transfer = this.#detaches ? undefined : request.transfer
    this.prefetchable = light && this.transfer === undefined
    this.#caller = request.caller
  }

  /** Whom to tell, while somebody waits. */
  get caller(): Caller | undefined {
    return this.#caller
  }

  /** Whether nobody waits for it any more. */
  get settled(): boolean {
    return this.#caller === undefined
  }

  /** Whether it can be sent again: a payload that was moved is gone. */
  get repeatable(): boolean {
    return this.transfer === undefined
  }

  stopTimer(): void {
    this.cancelTimer?.()
    this.cancelTimer = undefined
  }

  /** Ends it. Returns how to tell the caller; only the first call does. */
  settle(outcome: Outcome): (() => void) | undefined {
    const caller = this.#caller
    if (caller === undefined) return undefined
    this.#caller = undefined
    this.stopTimer()
    if (this.#detaches && this.sent) for (const part of this.request.transfer!) detach(part as ArrayBuffer)
    return () => caller.settle(this, outcome)
  }
}

export const detach = (buffer: ArrayBuffer): void => {
  try {
    if (!buffer.detached) buffer.transfer(0)
  } catch {
    // The memory of a WebAssembly module stays where it is.
  }
}
