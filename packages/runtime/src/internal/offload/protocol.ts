/**
 * What the pool and its workers say to each other. No module of Effect may be imported here: plain workers load this file.
 *
 * A worker has one slot for each task that it may hold. Messages carry the tasks; a cell of shared memory for each slot says how far
 * its task is, so that both sides agree, by one compare-and-swap, on whether a task has begun:
 *
 *     Free -> Posted -> Running -> Free          the usual way
 *             Posted -> Revoked -> Free          the pool takes a task back; it never runs
 *                       Running -> Aborted -> Free   the pool asks a running task to stop
 *
 * The pool makes all transitions except `Posted -> Running`, which is the worker's claim.
 */
export const Cell = { Free: 0, Posted: 1, Running: 2, Revoked: 3, Aborted: 4 } as const

/** The shared memory of one worker: a state cell and a start time (milliseconds, monotonic clock) for each slot. */
export interface SharedSlots {
  readonly cells: Int32Array<SharedArrayBuffer>
  readonly startedAt: Float64Array<SharedArrayBuffer>
}

export const makeSharedSlots = (slots: number): SharedSlots => ({
  cells: new Int32Array(new SharedArrayBuffer(slots * Int32Array.BYTES_PER_ELEMENT)),
  startedAt: new Float64Array(new SharedArrayBuffer(slots * Float64Array.BYTES_PER_ELEMENT))
})

/** What a worker finds under `workerDataKey` in its `workerData`. */
export interface Boot {
  readonly slots: SharedSlots
  readonly data: unknown
}

export const workerDataKey = "@spillway/runtime/Offload"

/** A task on its way to a worker. */
export interface RunMessage {
  readonly type: "run"
  readonly slot: number
  readonly task: string
  readonly payload: unknown
  readonly deadline: number | undefined
}

export type ToWorker =
  | RunMessage
  | { readonly type: "abort"; readonly slot: number }
  | { readonly type: "ping" }
  | { readonly type: "close" }

/** An error as data: the classes and prototypes of errors do not survive the way between threads, these fields do. */
export interface ErrorData {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
}

export type FromWorker =
  | { readonly type: "ready"; readonly tasks: ReadonlyArray<string> }
  | { readonly type: "pong" }
  | { readonly type: "cannotStart"; readonly error: ErrorData }
  | { readonly type: "succeeded"; readonly slot: number; readonly value: unknown }
  | { readonly type: "failed"; readonly slot: number; readonly error: unknown }
  | { readonly type: "defect"; readonly slot: number; readonly error: ErrorData }
  | { readonly type: "skipped"; readonly slot: number }

export const toErrorData = (u: unknown): ErrorData =>
  u instanceof Error
    ? { name: u.name, message: u.message, stack: u.stack }
    : {
        name: "Error",
        message: typeof u === "string" ? u : `a thrown value that is not an error: ${String(u)}`,
        stack: undefined
      }

/** Milliseconds of the monotonic clock, which all threads of a process share. */
export const monotonicMillis = (): number => Number(process.hrtime.bigint()) / 1e6
