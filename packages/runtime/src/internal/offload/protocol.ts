/**
 * What the pool and its workers say to each other. No module of Effect may be imported here: plain workers load this file.
 *
 * A worker has one slot for each task that it may hold, running or waiting in its port. Messages carry the tasks; cells of shared
 * memory for each slot say how far its task is, so that both sides agree, by one compare-and-swap, on whether a task has begun:
 *
 *     Free -> Posted -> Running -> Free              the usual way
 *             Posted -> Revoked -> Free              the pool takes a task back; it never runs
 *                       Running -> Aborted -> Free   the pool asks a running task to stop
 *
 * The pool makes all transitions except `Posted -> Running`, which is the worker's claim.
 */
import type { MessagePort, Transferable } from "node:worker_threads"

export const Cell = { Free: 0, Posted: 1, Running: 2, Revoked: 3, Aborted: 4 } as const

/** The shared memory of one worker, one element of each array for a slot. */
export interface SharedSlots {
  /** How far the task is: a `Cell`. */
  readonly state: Int32Array<SharedArrayBuffer>
  /** How many items of a stream the worker may still send; `awaitsCredit` while it waits for a `Credit` message. */
  readonly credit: Int32Array<SharedArrayBuffer>
  /** 1 while a report of progress has not been delivered. */
  readonly progress: Int32Array<SharedArrayBuffer>
  /** When the task began and ended, in milliseconds of the monotonic clock. */
  readonly startedAt: Float64Array<SharedArrayBuffer>
  readonly endedAt: Float64Array<SharedArrayBuffer>
}

export const awaitsCredit = -1

export const makeSharedSlots = (slots: number): SharedSlots => {
  const integers = () => new Int32Array(new SharedArrayBuffer(slots * Int32Array.BYTES_PER_ELEMENT))
  const times = () => new Float64Array(new SharedArrayBuffer(slots * Float64Array.BYTES_PER_ELEMENT))
  return { state: integers(), credit: integers(), progress: integers(), startedAt: times(), endedAt: times() }
}

/** What a worker finds under `workerDataKey` in its `workerData`. */
export interface Boot {
  /** The end of the worker of the channel between the two. */
  readonly port: MessagePort
  readonly slots: SharedSlots
  /** How many tasks it runs at once; further ones wait in its slots. */
  readonly concurrency: number
  /** The tasks of the contract: messages name them by their place in this list. */
  readonly tasks: ReadonlyArray<TaskName>
  /** The heap size in bytes above which it asks to be replaced. */
  readonly maxHeap: number
  readonly data: unknown
}

export interface TaskName {
  readonly name: string
  /** Whether it answers with many values. */
  readonly stream: boolean
  /** Whether it is to be run with middlewares. */
  readonly middlewares?: boolean | undefined
}

/** Why plain functions cannot serve some tasks. To leave middlewares out in silence would leave out authorization too. */
export const noMiddlewares = (tasks: ReadonlyArray<TaskName>): string => {
  const names = tasks.map(({ name }) => `"${name}"`).join(", ")
  return `plain functions run without middlewares, and ${names} has some: serve a layer of handlers instead (OffloadEffectWorker)`
}

export const workerDataKey = "@spillway/runtime/Offload"

/** Messages are tuples: they cost half as much to clone as objects. */
export const ToWorker = { Run: 0, Abort: 1, Credit: 2, Ping: 3, Close: 4, RunAll: 5 } as const

export type RunMessage = readonly [
  type: typeof ToWorker.Run,
  slot: number,
  task: number,
  payload: unknown,
  /** Milliseconds of the monotonic clock. */
  deadline: number | undefined,
  /** The caller's span, as W3C Trace Context writes it. */
  traceparent: string | undefined
]

export type ToWorker =
  | RunMessage
  | readonly [type: typeof ToWorker.RunAll, messages: ReadonlyArray<RunMessage>]
  | readonly [type: typeof ToWorker.Abort, slot: number]
  | readonly [type: typeof ToWorker.Credit, slot: number]
  | readonly [type: typeof ToWorker.Ping]
  | readonly [type: typeof ToWorker.Close]

export const FromWorker = {
  Ready: 0,
  CannotStart: 1,
  Succeeded: 2,
  Failed: 3,
  Defect: 4,
  Skipped: 5,
  Items: 6,
  Progress: 7,
  Pong: 8,
  HeapExceeded: 9
} as const

/** The parts that move, named so that the pool can move them on. */
type Transfer = ReadonlyArray<Transferable> | undefined

/** The end of a task. */
export type Answer =
  | readonly [type: typeof FromWorker.Succeeded, slot: number, value: unknown, transfer: Transfer]
  | readonly [type: typeof FromWorker.Failed, slot: number, error: unknown, transfer: Transfer]
  | readonly [type: typeof FromWorker.Defect, slot: number, error: ErrorData]
  | readonly [type: typeof FromWorker.Skipped, slot: number]

/** News of a task that goes on. */
export type News =
  | readonly [type: typeof FromWorker.Items, slot: number, items: ReadonlyArray<unknown>, transfer?: Transfer]
  | readonly [type: typeof FromWorker.Progress, slot: number, value: unknown, transfer?: undefined]

export type FromWorker =
  | Answer
  | News
  | readonly [type: typeof FromWorker.Ready]
  | readonly [type: typeof FromWorker.CannotStart, error: ErrorData]
  | readonly [type: typeof FromWorker.Pong]
  | readonly [type: typeof FromWorker.HeapExceeded]

/** An error as data: the classes and prototypes of errors do not survive the way between threads, these fields do. */
export interface ErrorData {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** That of the errors of Node.js: `ENOENT`. */
  readonly code?: string | number | undefined
  readonly cause?: ErrorData | undefined
}

/** Causes are followed so far: they may form a circle. */
const maxCauses = 8

export const toErrorData = (u: unknown, causes = maxCauses): ErrorData => {
  if (!(u instanceof Error)) return { name: "Error", message: describe(u), stack: undefined }
  const { code } = u as { readonly code?: unknown }
  return {
    name: u.name,
    message: u.message,
    stack: u.stack,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(u.cause === undefined || causes === 0 ? {} : { cause: toErrorData(u.cause, causes - 1) })
  }
}

const describe = (u: unknown): string => {
  if (typeof u === "string") return u
  try {
    return `a thrown value that is not an error: ${typeof u === "object" ? JSON.stringify(u) : String(u)}`
  } catch {
    return "a thrown value that is not an error"
  }
}

/** Milliseconds of the monotonic clock, which all threads of a process share. */
export const monotonicMillis = (): number => Number(process.hrtime.bigint()) / 1e6
