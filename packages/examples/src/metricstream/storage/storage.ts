/** The tasks of the storage worker, and the service that runs them there. */
import * as Offload from "@spillway/runtime/Offload"
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

export const StorageTasks = RpcGroup.make(
  /** Stores all events in one transaction, or none. */
  Rpc.make("append", { payload: Columns.fields, success: Schema.Void, error: StorageFailed }),
  /** Fails when the database cannot be locked for writing. */
  Rpc.make("probe", { success: Schema.Void, error: StorageFailed })
)

/** Service that writes to the database, on the one thread that owns it. */
export class Storage extends Offload.Service<Storage>()("metricstream/Storage", StorageTasks) {
  static readonly layer = (path: string) =>
    Storage.layerThreads({
      name: "storage",
      worker: new URL("./storage.worker.ts", import.meta.url),
      data: path,
      workers: 1,
      // One writer: a spare would hold the database open beside it.
      spares: 0,
      // A database that cannot be opened is news at once, at the start and after a crash. Opening it is tried on.
      maxStartAttempts: 1,
      // `Ingest` has one group on its way and health probes come one at a time.
      maxQueued: 8,
      // A commit is never cut short: the answer to "is it stored?" would be lost.
      killGrace: Infinity
    })
}
