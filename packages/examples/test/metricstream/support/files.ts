import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Event } from "@spillway/examples/metricstream/events"
import { ColumnsBuilder } from "@spillway/examples/metricstream/storage/columns"

/** A folder that ends with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "metricstream-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

export const toColumns = (events: ReadonlyArray<Event>, now: number = 0) => {
  const builder = new ColumnsBuilder()
  builder.add(events, now)
  return builder.build()
}

/** Many events that are alike. */
export const copies = <A>(count: number, event: A): ReadonlyArray<A> => Array.from({ length: count }, () => event)

export interface StoredEvent {
  readonly name: string
  readonly timestamp: number
  readonly sequence: number
  readonly value: number
  readonly tags: string | null
}

/** All events of a database, by series and time. */
export const storedEvents = (path: string): ReadonlyArray<StoredEvent> => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const rows = db
      .prepare(
        `SELECT name, timestamp, sequence, value, tags FROM events JOIN series ON series.id = series_id
         ORDER BY name, timestamp, sequence`
      )
      .all()
    return rows.map((row) => ({ ...row }) as unknown as StoredEvent)
  } finally {
    db.close()
  }
}
