/** A call as its loop sees it while a pool of the host has it. */
import type { Transferable } from "node:worker_threads"
import { detach } from "../pool/poolTask.ts"
import type { Caller, Outcome, TaskKind, TaskRequest } from "../pool/poolTask.ts"
import { Entry } from "./protocol.ts"
import type { RunEntry } from "./protocol.ts"

/** Buffers of at most so many bytes are copied between threads, which is cheaper than to move them. */
export const moveFrom = 64 * 1024

/** The bytes of buffers, or `Infinity` where there is something that can only move. */
export const totalSize = (parts: ReadonlyArray<Transferable>): number =>
  parts.reduce((bytes, part) => bytes + (part instanceof ArrayBuffer ? part.byteLength : Infinity), 0)

export class RemoteTask {
  readonly id: number
  readonly kind: TaskKind
  readonly request: TaskRequest
  /** Whether the host has been told of it. */
  posted = false
  /** What of the payload has moved to the host. */
  moved: ReadonlyArray<Transferable> | undefined = undefined
  /** Items of a stream that its consumer is done with and the worker has not been granted again. */
  consumed = 0
  /** Whether parts of the payload were copied, and are detached once a worker has them, as if they had moved. */
  #detaches = false
  #caller: Caller | undefined

  constructor(id: number, kind: TaskKind, request: TaskRequest) {
    this.id = id
    this.kind = kind
    this.request = request
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

  /** The message that tells the host of it. `workerIsFree` says whether it will surely not have to wait there. */
  toEntry(workerIsFree: boolean): RunEntry {
    const { caller, credit, deadline, index, mayKill, payload, priority, timeout, traceparent, transfer } = this.request
    this.moved = this.#whatMoves(workerIsFree)
    const reports = caller.progress !== undefined
    const rest = [deadline, timeout, priority, mayKill, credit, reports, traceparent] as const
    return [Entry.Run, this.id, index, payload, transfer, ...rest]
  }

  /**
   * A refused payload must stay its caller's, who may try again. So what may have to wait there is copied, and only what a worker is
   * free for moves; but that which cannot be copied moves at any rate.
   */
  #whatMoves(workerIsFree: boolean): ReadonlyArray<Transferable> | undefined {
    const { transfer } = this.request
    if (transfer === undefined) return undefined
    const size = totalSize(transfer)
    this.#detaches = size <= moveFrom || (size < Infinity && !workerIsFree)
    return this.#detaches ? undefined : transfer
  }

  /** Ends it for its caller. Returns how to tell; only the first call does. */
  settle(outcome: Outcome): (() => void) | undefined {
    const caller = this.#caller
    this.#caller = undefined
    return caller && (() => caller.settle(this, outcome))
  }

  /** A worker was given it: parts of the payload that were copied are gone, as if they had moved. */
  detach(): void {
    if (this.#detaches) for (const part of this.request.transfer!) detach(part as ArrayBuffer)
  }
}
