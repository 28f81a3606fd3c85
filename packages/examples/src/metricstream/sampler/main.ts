/**
 * Measures this machine every second and posts it like any other client: `node sampler/main.ts http://127.0.0.1:8080/events`.
 *
 * What is not taken is kept, for a minute at most, and sent again when `Retry-After` says so. The process ends when its standard input
 * does, which is how it notices that its parent has gone, even by SIGKILL.
 */
import * as Main from "@spillway/runtime/Main"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { postSamples } from "./samples.ts"

const stdinClosed = Effect.callback<void>((resume) => {
  process.stdin.once("close", () => resume(Effect.void)).resume()
})

/** A closed standard input means that there is nobody to sample for: nothing is left to be finished. */
const program = Effect.raceFirst(
  postSamples(process.argv[2] ?? "http://127.0.0.1:8080/events"),
  Effect.andThen(
    stdinClosed,
    Effect.sync(() => process.exit(0))
  )
)

program.pipe(Effect.provide(FetchHttpClient.layer), Main.run)
