/** The tasks of the storage worker, and the service that runs them there. */
import * as Offload from "@spillway/runtime/Offload"
import * as OffloadTask from "@spillway/runtime/OffloadTask"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { Columns } from "./columns.ts"

/** The database could not take a write: it is locked, or the disk is full or failing. Nothing of the write was stored. */
export class StorageFailed extends Schema.TaggedError<StorageFailed>("metricstream/StorageFailed")("StorageFailed", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** What may stay, and for how long to delete: the `Policy` of `retainer.ts`. */
export const Policy = Schema.Struct({
  keepFrom: Schema.Number,
  maxBytes: Schema.Number,
  maxFileBytes: Schema.Number,
  now: Schema.Number,
  budget: Schema.Number
})

/** What was deleted, and what there is: the `Retained` of `retainer.ts`. */
export const Retained = Schema.Struct({
  aged: Schema.Number,
  crowded: Schema.Number,
  more: Schema.Boolean,
  millis: Schema.Number,
  series: Schema.Number,
  usedBytes: Schema.Number,
  freeBytes: Schema.Number,
  walBytes: Schema.Number
})

/** What became of a group: the `Appended` of `writer.ts`. */
export const Appended = Schema.Struct({
  refused: Schema.instanceOf(Uint32Array),
  counts: Schema.instanceOf(Float64Array)
})
export type Appended = typeof Appended.Type

export const StorageTasks = RpcGroup.make(
  /**
   * Stores the events of all requests in one transaction, or none; except for requests that would make too many series, of which it stores
   * nothing.
   */
  Rpc.make("append", {
    payload: Columns.fields,
    success: Appended,
    error: StorageFailed
  }).annotate(
    // Typed arrays and strings, which we have made ourselves.
    OffloadTask.Unchecked,
    true
  ),
  /** Deletes some of the oldest events, and says what there is. */
  Rpc.make("retain", { payload: Policy.fields, success: Retained, error: StorageFailed }),
  /** Fails when the database cannot be locked for writing, or the disk has no room for events. */
  Rpc.make("probe", { success: Schema.Void, error: StorageFailed })
)

/** What the worker is started with. */
export interface Options {
  /** The database file. It and its folder are made if they are not there. */
  readonly path: string
  /** How many series there may be. An integer from 1, or `Infinity`. */
  readonly maxSeries: number
}

/** Service that writes to the database, on the one thread that owns it. */
export class Storage extends Offload.Service<Storage>()("metricstream/Storage", StorageTasks) {
  static readonly layer = (options: Options) =>
    Storage.layerThreads({
      name: "storage",
      worker: new URL("./storage.worker.ts", import.meta.url),
      data: options,
      workers: 1,
      // One writer: a spare would hold the database open beside it.
      spares: 0,
      // A database that cannot be opened is news at once, at the start and after a crash. Opening it is tried on.
      maxStartAttempts: 1,
      // `Ingest` has one group on its way; health probes and deletions come one at a time.
      maxQueued: 8,
      // A commit is never cut short: the answer to "is it stored?" would be lost.
      killGrace: Infinity
    })
}
