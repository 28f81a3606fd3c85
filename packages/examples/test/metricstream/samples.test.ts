import { assert, describe, it } from "@effect/vitest"
import { postSamples } from "@spillway/examples/metricstream/sampler/samples"
import { Effect } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"

describe("samples", () => {
  it.effect("are of the middle of each second, however long it takes to post them", () => {
    const times: Array<number> = []
    const client = HttpClient.make((request) => {
      const [line] = new TextDecoder().decode((request.body as { readonly body: Uint8Array }).body).split("\n")
      times.push((JSON.parse(line!) as { readonly timestamp: number }).timestamp)
      const response = HttpClientResponse.fromWeb(request, new Response("", { status: 202 }))
      // A promise would end at no time of the test's clock.
      return Effect.delay(Effect.succeed(Object.defineProperty(response, "text", { value: Effect.succeed("") })), 25)
    })
    return Effect.gen(function* () {
      yield* TestClock.setTime(1_790_000_000_480)
      yield* Effect.forkChild(postSamples("http://127.0.0.1/events"), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(
        times.map((time) => time - 1_790_000_000_000),
        [1500, 2500, 3500]
      )
    }).pipe(Effect.provideService(HttpClient.HttpClient, client))
  })
})
