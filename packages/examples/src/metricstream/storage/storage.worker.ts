/** The storage worker: the only thread that writes to the database. */
import { serve } from "@spillway/runtime/OffloadWorker"
import type { TaskContext } from "@spillway/runtime/OffloadWorker"
import type { StorageFailed, StorageTasks } from "./storage.ts"
import { describeFailure, openWriter } from "./writer.ts"
import type { Writer } from "./writer.ts"

let writer: Writer | undefined

const attempt = (action: () => void, { fail }: TaskContext<typeof StorageFailed.Encoded>) => {
  try {
    action()
  } catch (error) {
    const detail = describeFailure(error)
    throw detail === undefined ? error : fail({ _tag: "StorageFailed", detail })
  }
}

serve<typeof StorageTasks, string>(
  (path) => {
    const { append, probe } = (writer = openWriter(path))
    return {
      append: (columns, context) => attempt(() => append(columns), context),
      probe: (_, context) => attempt(probe, context)
    }
  },
  { close: () => writer?.close() }
)
