import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { makeDelivery, maxBacklog } from "@spillway/examples/metricstream/sampler/delivery"

const url = "http://127.0.0.1/events"

/** A server that answers as it is told to, and the values of the batches it got. */
const makeServer = () => {
  const server = {
    received: [] as Array<ReadonlyArray<number>>,
    answer: (_values: ReadonlyArray<number>): Response => new Response("", { status: 202 })
  }
  const client = HttpClient.make((request) => {
    assert.strictEqual(request.body._tag, "Uint8Array")
    const lines = new TextDecoder().decode((request.body as { readonly body: Uint8Array }).body).split("\n")
    const values = lines.map((line) => (JSON.parse(line) as { value: number }).value)
    server.received.push(values)
    return Effect.succeed(HttpClientResponse.fromWeb(request, server.answer(values)))
  })
  const deliver = makeDelivery(url)
  const send = (...values: ReadonlyArray<number>) =>
    Effect.provideService(deliver(values.map((value) => ({ name: "a", value }))), HttpClient.HttpClient, client)
  const receivedNow = () => server.received.splice(0)
  return { server, send, receivedNow }
}

const answering =
  (status: number, headers: Record<string, string> = {}) =>
  () =>
    new Response("no", { status, headers })

describe("delivery", () => {
  it.effect("waits as long as Retry-After says, then sends what it kept one by one, the oldest first", () =>
    Effect.gen(function* () {
      const { receivedNow, send, server } = makeServer()
      const take = server.answer
      server.answer = answering(503, { "retry-after": "3" })
      yield* send(1, 1.5)
      yield* TestClock.adjust("2 seconds")
      yield* send(2)
      assert.deepStrictEqual(receivedNow(), [[1, 1.5]])
      yield* TestClock.adjust("1 second")
      server.answer = take
      yield* send(3)
      assert.deepStrictEqual(receivedNow(), [[1, 1.5], [2], [3]])
      yield* send(4)
      assert.deepStrictEqual(receivedNow(), [[4]])
    })
  )

  it.effect("stops at the first sample that is not taken now, and keeps it and what follows", () =>
    Effect.gen(function* () {
      for (const status of [408, 429, 500, 503]) {
        const { receivedNow, send, server } = makeServer()
        const take = server.answer
        server.answer = answering(status)
        yield* send(1)
        yield* TestClock.adjust("1 second")
        server.answer = (values) => (values[0] === 1 ? take(values) : answering(status)())
        yield* send(2)
        assert.deepStrictEqual(receivedNow(), [[1], [1], [2]])
        yield* TestClock.adjust("1 second")
        server.answer = take
        yield* send(3)
        assert.deepStrictEqual(receivedNow(), [[2], [3]])
      }
    })
  )

  it.effect("drops a sample that is refused for good, alone, and logs a row of them once", () => {
    const logged: Array<unknown> = []
    return Effect.gen(function* () {
      const { receivedNow, send, server } = makeServer()
      const take = server.answer
      server.answer = answering(503)
      for (const value of [1, 2, 3, 4]) yield* send(value)
      receivedNow()
      yield* TestClock.adjust("1 second")
      server.answer = (values) => (values[0] === 2 || values[0] === 3 ? answering(413)() : take(values))
      yield* send(5)
      assert.deepStrictEqual(receivedNow(), [[1], [2], [3], [4], [5]])
      assert.deepStrictEqual(logged, [["the sampler got 413: no"]])
      server.answer = answering(422)
      yield* send(6)
      assert.strictEqual(logged.length, 2)
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => logged.push(message))])))
  })

  it.effect("keeps at most a minute of samples", () =>
    Effect.gen(function* () {
      const { receivedNow, send, server } = makeServer()
      const take = server.answer
      server.answer = answering(503, { "retry-after": "100" })
      for (let value = 0; value < 100; value++) yield* send(value)
      assert.deepStrictEqual(receivedNow(), [[0]])
      yield* TestClock.adjust("100 seconds")
      server.answer = take
      yield* send(100)
      assert.deepStrictEqual(
        receivedNow(),
        Array.from({ length: maxBacklog }, (_, index) => [101 - maxBacklog + index])
      )
    })
  )
})
