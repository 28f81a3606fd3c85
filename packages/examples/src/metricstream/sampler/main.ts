/**
 * Measures this machine every second and posts it like any other client: `node sampler/main.ts http://127.0.0.1:8080/events`.
 *
 * What is refused is kept, for a minute at most, and sent again when `Retry-After` says so. The process ends when its standard input
 * does, which is how it notices that its parent has gone, even by SIGKILL.
 */
import * as Main from "@spillway/runtime/Main"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { Event } from "../events.ts"
import { readMachine, toEvents } from "./machine.ts"

/** Samples that are kept while the server takes none. */
const maxBacklog = 60

/** Posts events and says for how many milliseconds to leave the server alone if it did not take them now. */
const post = Effect.fnUntraced(
  function* (url: string, events: ReadonlyArray<Event>) {
    const lines = events.map((event) => JSON.stringify(event)).join("\n")
    const response = yield* HttpClient.execute(
      HttpClientRequest.post(url).pipe(HttpClientRequest.bodyText(lines, "application/x-ndjson"))
    )
    const answer = yield* response.text
    if (response.status === 429 || response.status === 503) {
      return Number(response.headers["retry-after"] ?? 1) * 1000
    }
    if (response.status !== 202) yield* Effect.logError(`the sampler got ${response.status}: ${answer}`)
    return 0
  },
  Effect.timeout("5 seconds"),
  // Nobody there: the server is starting, stopping or stuck.
  Effect.catch(() => Effect.succeed(1000))
)

const sample = Effect.fnUntraced(function* (url: string) {
  let before = readMachine(yield* Clock.currentTimeMillis)
  let backlog: ReadonlyArray<ReadonlyArray<Event>> = []
  let quietUntil = 0
  return yield* Effect.gen(function* () {
    const now = readMachine(yield* Clock.currentTimeMillis)
    backlog = [...backlog, toEvents(before, now)].slice(-maxBacklog)
    before = now
    if (now.time < quietUntil) return
    const pause = yield* post(url, backlog.flat())
    if (pause === 0) backlog = []
    quietUntil = now.time + pause
  }).pipe(Effect.delay(Duration.seconds(1)), Effect.forever)
})

const stdinClosed = Effect.callback<void>((resume) => {
  process.stdin.once("close", () => resume(Effect.void)).resume()
})

/** A closed standard input means that there is nobody to sample for: nothing is left to be finished. */
const program = Effect.raceFirst(
  sample(process.argv[2] ?? "http://127.0.0.1:8080/events"),
  Effect.andThen(
    stdinClosed,
    Effect.sync(() => process.exit(0))
  )
)

program.pipe(Effect.provide(FetchHttpClient.layer), Main.run)
