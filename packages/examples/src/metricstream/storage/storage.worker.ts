/** The storage worker: the only thread that writes to the database. */
import { serve } from "@spillway/runtime/OffloadWorker"
import type { TaskContext } from "@spillway/runtime/OffloadWorker"
import { describeFailure } from "./failures.ts"
import type { Options, StorageFailed, StorageTasks } from "./storage.ts"
import { openWriter } from "./writer.ts"
import type { Writer } from "./writer.ts"

let writer: Writer | undefined

const attempt = <A>(action: () => A, { fail }: TaskContext<typeof StorageFailed.Encoded>): A => {
  try {
    return action()
  } catch (error) {
    const detail = describeFailure(error)
    throw detail === undefined ? error : fail({ _tag: "StorageFailed", detail })
  }
}

serve<typeof StorageTasks, Options>(
  ({ maxSeries, path }) => {
    const { append, probe, retain } = (writer = openWriter(path, { maxSeries }))
    return {
      append: (columns, context) => attempt(() => append(columns), context),
      retain: (policy, context) => attempt(() => retain(policy), context),
      probe: (_, context) => attempt(probe, context)
    }
  },
  { close: () => writer?.close() }
)
