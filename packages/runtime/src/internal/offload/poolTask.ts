/** A task as the pool sees it: what to run, where it stands, and whom to tell. */
import type * as AdmissionQueue from "../../AdmissionQueue.ts"
import type { ErrorData } from "./protocol.ts"
import type { WorkerThread } from "./workerThread.ts"

/** How a task ended for its caller. */
export type Outcome =
  | { readonly type: "succeeded"; readonly value: unknown }
  | { readonly type: "failed"; readonly error: unknown }
  | { readonly type: "defect"; readonly error: ErrorData }
  | { readonly type: "saturated"; readonly refusal: "QueueFull" | "WaitExceeded" | "Displaced" }
  | { readonly type: "timedOut" }
  | { readonly type: "deadlineExceeded" }
  | { readonly type: "crashed"; readonly exitCode: number; readonly error: ErrorData | undefined }
  | { readonly type: "unavailable"; readonly message: string }
  | { readonly type: "interrupted" }

export interface TaskRequest {
  readonly name: string
  /** The encoded payload. */
  readonly payload: unknown
  /** Milliseconds of the monotonic clock. */
  readonly deadline: number | undefined
  /** Milliseconds from the start in the worker; `Infinity` for none. */
  readonly timeout: number
  readonly priority: number
  /** Whether a worker that does not stop running it may be killed. */
  readonly mayKill: boolean
  /** Told once, unless the caller cancelled. */
  readonly settle: (task: PoolTask, outcome: Outcome) => void
}

export class PoolTask {
  readonly name: string
  readonly payload: unknown
  readonly deadline: number | undefined
  readonly timeout: number
  readonly mayKill: boolean
  readonly submittedAt: number
  dispatchedAt = 0
  /** Its place in the queue, from submission to the end. */
  entry: AdmissionQueue.Entry<PoolTask> | undefined = undefined
  /** The thread that holds it. */
  worker: WorkerThread | undefined = undefined
  /** Ends the timer of `timeout`. */
  cancelTimer: (() => void) | undefined = undefined
  #settle: TaskRequest["settle"] | undefined

  constructor(request: TaskRequest, now: number) {
    this.name = request.name
    this.payload = request.payload
    this.deadline = request.deadline
    this.timeout = request.timeout
    this.mayKill = request.mayKill
    this.submittedAt = now
    this.#settle = request.settle
  }

  /** Whether nobody waits for it any more. */
  get settled(): boolean {
    return this.#settle === undefined
  }

  /** Tells the caller how it ended. Only the first call counts. */
  settle(outcome: Outcome): void {
    const settle = this.#settle
    this.#settle = undefined
    this.cancelTimer?.()
    this.cancelTimer = undefined
    settle?.(this, outcome)
  }
}
