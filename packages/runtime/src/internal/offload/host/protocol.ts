/**
 * What a loop and the host of its process say to each other about one pool. Each loop has a channel of its own for each pool that it
 * uses, and what one side says in one turn of its event loop goes in one message: to wake a thread costs more than all the rest.
 *
 * Neither side lets the channel grow: a loop has no more calls under way than the pool can hold, of each call at most one report of
 * progress is on its way, and of a stream as many items as its consumer has granted.
 */
import type { MessagePort, Transferable } from "node:worker_threads"
import type { Stats } from "../../../Offload.ts"
import type { Outcome, Trouble } from "../pool/poolTask.ts"
import type { PoolOptions } from "../pool/threadPool.ts"
import type { ErrorData } from "../protocol.ts"

/** Asks the host for a pool, over the link. */
export interface Open {
  /** The key of the service. */
  readonly id: string
  readonly options: WireOptions
  /** The end of the host of the channel for this pool. */
  readonly port: MessagePort
}

/** The options of a pool as they travel: neither a URL nor the symbol of `SHARE_ENV` can be cloned. */
export interface WireOptions extends Omit<PoolOptions, "worker" | "own"> {
  readonly worker: string
  readonly own: Omit<PoolOptions["own"], "env"> & { readonly env: NodeJS.ProcessEnv | "share" | undefined }
  /** Milliseconds. */
  readonly drainTimeout: number
}

/** What a call is, in a message to the host, and what comes of it, in one to the loop. */
export const Entry = {
  Run: 0,
  Cancel: 1,
  Grant: 2,
  Progress: 3,
  Untold: 4,
  Succeeded: 5,
  Failed: 6,
  Items: 7,
  Ended: 8
} as const

export type RunEntry = readonly [
  type: typeof Entry.Run,
  id: number,
  /** The place of the task in the contract. */
  index: number,
  payload: unknown,
  /** Parts of the payload that are to move on to the worker. */
  transfer: ReadonlyArray<Transferable> | undefined,
  /** Milliseconds of the monotonic clock, which all threads share. */
  deadline: number | undefined,
  timeout: number,
  priority: number,
  mayKill: boolean,
  credit: number,
  progress: boolean,
  traceparent: string | undefined
]

export type ToHostEntry =
  | RunEntry
  | readonly [type: typeof Entry.Cancel, id: number, outcome: Outcome]
  /** A stream may send so many more items. */
  | readonly [type: typeof Entry.Grant, id: number, items: number]
  /** A report of progress has been delivered. */
  | readonly [type: typeof Entry.Progress, id: number]
  /** So many calls of a task were refused without having been sent. */
  | readonly [type: typeof Entry.Untold, index: number, outcome: Outcome["type"], count: number]

export type ToLoopEntry =
  | readonly [type: typeof Entry.Succeeded, id: number, value: unknown]
  | readonly [type: typeof Entry.Failed, id: number, error: unknown]
  | readonly [type: typeof Entry.Items, id: number, items: ReadonlyArray<unknown>]
  | readonly [type: typeof Entry.Progress, id: number, value: unknown]
  /** Any other end of a call. `sent`: a worker had been given it. */
  | readonly [type: typeof Entry.Ended, id: number, outcome: Outcome, sent: boolean]

export const ToHost = { Entries: 0, Stats: 1 } as const

export type ToHost =
  | readonly [type: typeof ToHost.Entries, entries: ReadonlyArray<ToHostEntry>]
  | readonly [type: typeof ToHost.Stats]

export const ToLoop = { Entries: 0, Stats: 1, Opened: 2, CannotStart: 3, Differs: 4, Died: 5 } as const

export type ToLoop =
  | readonly [type: typeof ToLoop.Entries, entries: ReadonlyArray<ToLoopEntry>]
  | readonly [type: typeof ToLoop.Stats, stats: Stats]
  | Answer

/** How the host answers `Open`. */
export type Answer =
  | readonly [type: typeof ToLoop.Opened, load: SharedArrayBuffer, stats: Stats]
  | readonly [type: typeof ToLoop.CannotStart, trouble: Trouble]
  /** Another loop has the pool with other options: which, and their values there and here. */
  | readonly [type: typeof ToLoop.Differs, differences: string]
  /** No pool could be made of the options. */
  | readonly [type: typeof ToLoop.Died, error: ErrorData]
