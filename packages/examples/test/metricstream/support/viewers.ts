import { EventParser } from "@spillway/examples/metricstream/page/browser/events"
import { Effect } from "effect"

export interface Seen {
  readonly event: string
  // oxlint-disable-next-line typescript/no-explicit-any -- what a server sent
  readonly data: any
  readonly id: string
}

/** A viewer of the live stream, as a browser would be. It leaves with the scope. */
export const view = Effect.fnUntraced(function* (url: string, lastEventId?: string) {
  const abort = yield* Effect.acquireRelease(
    Effect.sync(() => new AbortController()),
    (abort) => Effect.sync(() => abort.abort())
  )
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId }
  const response = yield* Effect.promise(() => fetch(url, { headers, signal: abort.signal }))
  const parser = new EventParser()
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  const waiting: Array<Seen> = []

  /** The next events, and nothing once the stream has ended. */
  const read = Effect.promise(async () => {
    const { done, value } = await reader.read()
    if (done) return false
    for (const { data, event, id } of parser.feed(value)) waiting.push({ event, data: JSON.parse(data), id })
    return true
  })

  /** Waits for an event that is as it should be. */
  const next = (event: string, isIt: (seen: Seen) => boolean = () => true) =>
    Effect.gen(function* () {
      while (true) {
        for (let seen = waiting.shift(); seen !== undefined; seen = waiting.shift()) {
          if (seen.event === event && isIt(seen)) return seen
        }
        if (!(yield* read)) return yield* Effect.die(new Error(`the stream ended without ${event}`))
      }
    }).pipe(Effect.timeout("15 seconds"))

  /** Reads to the end of the stream. */
  const ended = Effect.repeat(read, { while: (more) => more }).pipe(Effect.timeout("15 seconds"))

  return { response, next, ended, leave: Effect.sync(() => abort.abort()) }
})
