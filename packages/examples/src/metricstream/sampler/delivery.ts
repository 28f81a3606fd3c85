/** Delivers samples in their order, and keeps for a while those that the server does not take now. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { Event } from "../events.ts"

/** What was measured at one moment. */
export type Sample = ReadonlyArray<Event>

/** Samples, one a second, that are kept while the server takes none. */
export const maxBacklog = 60

/** What came of a post: the sample is taken, or never will be, or may be after that many milliseconds. */
type Outcome = "taken" | { readonly refused: string } | { readonly pause: number }

const isFinal = (status: number): boolean => status >= 400 && status < 500 && status !== 408 && status !== 429

const post = Effect.fnUntraced(
  function* (url: string, sample: Sample) {
    const lines = sample.map((event) => JSON.stringify(event)).join("\n")
    const { headers, status, text } = yield* HttpClient.execute(
      HttpClientRequest.post(url).pipe(HttpClientRequest.bodyText(lines, "application/x-ndjson"))
    )
    const answer = yield* text
    const outcome: Outcome =
      status === 202
        ? "taken"
        : isFinal(status)
          ? { refused: `${status}: ${answer}` }
          : { pause: (Number(headers["retry-after"]) || 1) * 1000 }
    return outcome
  },
  Effect.timeout("5 seconds"),
  // Nobody there: the server is starting, stopping or stuck.
  Effect.catch(() => Effect.succeed<Outcome>({ pause: 1000 }))
)

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/**
 * Creates a function that delivers a sample after all that are kept, the oldest first. Each is a batch of its own: together they could
 * be more than a batch or the quota may hold, and one that is refused takes no other with it.
 *
 * It stops at the first that is not taken now, until `Retry-After` has passed. A sample that can never be taken is dropped; the first
 * of a row of them is logged.
 */
export const makeDelivery = (url: string) => {
  let backlog: ReadonlyArray<Sample> = []
  let quietUntil = -Infinity
  let isRefused = false
  return Effect.fnUntraced(function* (sample: Sample) {
    backlog = [...backlog, sample].slice(-maxBacklog)
    if ((yield* monotonicMillis) < quietUntil) return
    for (const oldest of backlog) {
      const outcome = yield* post(url, oldest)
      if (outcome !== "taken" && "pause" in outcome) {
        quietUntil = (yield* monotonicMillis) + outcome.pause
        return
      }
      backlog = backlog.slice(1)
      if (outcome !== "taken" && !isRefused) yield* Effect.logError(`the sampler got ${outcome.refused}`)
      isRefused = outcome !== "taken"
    }
  })
}
