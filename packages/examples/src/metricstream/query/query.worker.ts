/** A query worker: a thread with a connection that only reads. */
import { serve } from "@spillway/runtime/OffloadWorker"
import { limits } from "./limits.ts"
import type { QueryTasks } from "./queries.ts"
import { openReader, SeriesUnknown, TooManyEvents } from "./reader.ts"
import type { Reader } from "./reader.ts"

let reader: Reader | undefined

serve<typeof QueryTasks, string>(
  (path) => {
    const { aggregate, list } = (reader = openReader(path))
    return {
      list: ({ after, limit, match, recent }) => list(after, limit, recent, match),
      aggregate: ({ agg, name, ...range }, { fail, signal }) => {
        try {
          return aggregate(name, range, agg, limits.events, () => signal.aborted)
        } catch (error) {
          if (error instanceof SeriesUnknown) throw fail({ _tag: "SeriesNotFound" })
          if (error instanceof TooManyEvents) throw fail({ _tag: "RangeTooLarge" })
          throw error
        }
      }
    }
  },
  { close: () => reader?.close() }
)
