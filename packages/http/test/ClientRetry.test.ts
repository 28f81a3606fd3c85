import { assert, describe, it } from "@effect/vitest"
import { ClientRetry, HttpMetrics, RetryBudget } from "@spillway/http"
import * as Deadline from "@spillway/runtime/Deadline"
import { Effect, Exit, Fiber, Metric, Random, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"

type Answer =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | { readonly code: string; readonly syscall?: string }

const ok: Answer = { status: 200 }
const busy: Answer = { status: 503, headers: { "retry-after": "2" }, body: "busy" }
const bare: Answer = { status: 503 }
const refused: Answer = { code: "ECONNREFUSED", syscall: "connect" }
const reset: Answer = { code: "ECONNRESET", syscall: "read" }

const get = HttpClientRequest.get("http://x/")
const post = HttpClientRequest.post("http://x/", { body: HttpBody.text("body") })

/** A transport that gives the answers one after the other, the last one for ever, and says when each request was sent. */
const run = (
  request: HttpClientRequest.HttpClientRequest,
  answers: ReadonlyArray<Answer>,
  options: ClientRetry.Options = {},
  { random = 0, wrap = (client) => client }: { readonly random?: number; readonly wrap?: Wrap } = {}
) =>
  Effect.gen(function* () {
    const sentAt: Array<number> = []
    const clock = yield* TestClock.testClockWith(Effect.succeed)
    const transport = HttpClient.make((request) => {
      const answer = answers[Math.min(sentAt.length, answers.length - 1)]!
      sentAt.push(clock.currentTimeMillisUnsafe())
      if ("status" in answer) {
        return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(answer.body, answer)))
      }
      const reason = new HttpClientError.TransportError({ request, cause: Object.assign(new Error(), answer) })
      return Effect.fail(new HttpClientError.HttpClientError({ reason }))
    })
    const client = wrap(transport).pipe(ClientRetry.withRetry(options))
    const fiber = yield* client.execute(request).pipe(
      Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => random }),
      Effect.map(({ status }): unknown => status),
      Effect.catch((error) => Effect.succeed(tagOf(error))),
      Effect.forkChild({ startImmediately: true })
    )
    return { fiber, sentAt }
  })
type Wrap = (client: HttpClient.HttpClient) => HttpClient.HttpClient

const tagOf = (error: unknown): string =>
  HttpClientError.isHttpClientError(error) ? error.reason._tag : (error as { readonly _tag: string })._tag

/** The same to its end, an hour at most: the answer, and when the requests were sent. */
const finish = (...args: Parameters<typeof run>) =>
  Effect.gen(function* () {
    const { fiber, sentAt } = yield* run(...args)
    // A discarded body is read between two waits, by promises that no clock moves.
    yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 hour"), drained), {
      until: () => fiber.pollUnsafe() !== undefined
    })
    return [yield* Fiber.join(fiber), sentAt.length] as const
  })

/** Lets what was read of a body arrive. */
const drained = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Moves the clock in steps, and lets bodies be read before. */
const pass = (millis: number) => Effect.andThen(drained, TestClock.adjust(millis))

describe("ClientRetry", () => {
  it.effect("waits as long as Retry-After says, then up to a quarter more by chance", () =>
    Effect.gen(function* () {
      const early = yield* run(get, [busy, ok])
      yield* pass(1999)
      assert.deepStrictEqual(early.sentAt, [0])
      yield* pass(1)
      assert.strictEqual(yield* Fiber.join(early.fiber), 200)
      assert.deepStrictEqual(early.sentAt, [0, 2000])
      const late = yield* run(get, [busy, ok], {}, { random: 0.5 })
      yield* pass(2249)
      assert.strictEqual(late.sentAt.length, 1)
      yield* pass(1)
      assert.strictEqual(yield* Fiber.join(late.fiber), 200)
      assert.strictEqual(late.sentAt.length, 2)
    })
  )

  it.effect("waits for the t of a RateLimit field without quota, and until a date", () =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<Answer> = [
        { status: 429, headers: { ratelimit: '"default";r=0;t=3' } },
        {
          status: 503,
          headers: { "retry-after": "Thu, 01 Jan 1970 00:00:10 GMT", date: "Thu, 01 Jan 1970 00:00:06 GMT" }
        },
        ok
      ]
      const { fiber, sentAt } = yield* run(get, answers)
      yield* pass(3000)
      yield* pass(4000)
      assert.strictEqual(yield* Fiber.join(fiber), 200)
      assert.deepStrictEqual(sentAt, [0, 3000, 7000])
    })
  )

  it.effect("waits a random part of a bound that doubles up to the longest, without Retry-After", () =>
    Effect.gen(function* () {
      const { fiber, sentAt } = yield* run(
        get,
        [bare],
        { maxAttempts: 6, baseDelay: 100, maxDelay: 500 },
        { random: 0.5 }
      )
      for (const millis of [50, 100, 200, 250, 250]) yield* pass(millis)
      assert.strictEqual(yield* Fiber.join(fiber), 503)
      assert.deepStrictEqual(sentAt, [0, 50, 150, 350, 600, 850])
    })
  )

  it.effect("sends at most maxAttempts times, and gives back the last answer as it is", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* finish(get, [busy]), [503, 3])
      assert.deepStrictEqual(yield* finish(get, [busy], { maxAttempts: 1 }), [503, 1])
      assert.deepStrictEqual(yield* finish(get, [refused, busy, refused]), ["TransportError", 3])
      const body = yield* HttpClient.make((request) =>
        Effect.succeed(HttpClientResponse.fromWeb(request, new Response("busy", { status: 503 })))
      ).pipe(ClientRetry.withRetry({ maxAttempts: 1 }), (client) => client.get("http://x/"), Effect.flatMap(textOf))
      assert.strictEqual(body, "busy")
    })
  )

  it.effect("repeats what it may by method, status, connection and body", () =>
    Effect.gen(function* () {
      const stream = HttpBody.stream(Stream.make(new Uint8Array([1])))
      const cases: ReadonlyArray<[HttpClientRequest.HttpClientRequest, Answer, sent: number, ClientRetry.Options?]> = [
        [get, busy, 2],
        [get, bare, 2],
        [get, { status: 429 }, 2],
        [get, { status: 502 }, 2],
        [get, { status: 500 }, 1],
        [get, { status: 504 }, 1],
        [get, { status: 500 }, 2, { statuses: [500] }],
        [get, busy, 1, { statuses: [500] }],
        [get, refused, 2],
        [get, reset, 2],
        [get, { code: "UND_ERR_SOCKET" }, 2],
        [get, { code: "CERT_HAS_EXPIRED" }, 1],
        [HttpClientRequest.put("http://x/"), reset, 2],
        [HttpClientRequest.delete("http://x/"), busy, 2],
        [post, busy, 1],
        [post, reset, 1],
        [post, { code: "ECONNRESET", syscall: "connect" }, 2],
        [post, refused, 2],
        [post, busy, 2, { retryRefused: true }],
        [post, bare, 1, { retryRefused: true }],
        [post, { status: 502, headers: { "retry-after": "1" } }, 1, { retryRefused: true }],
        [post, reset, 1, { retryRefused: true }],
        [post, busy, 2, { isRepeatable: () => true }],
        [get, busy, 1, { isRepeatable: () => false }],
        [HttpClientRequest.setHeader(post, "idempotency-key", '"1"'), reset, 2],
        [HttpClientRequest.setBody(get, stream), busy, 1],
        [HttpClientRequest.setBody(get, stream), refused, 1],
        [HttpClientRequest.setBody(get, HttpBody.raw(new ReadableStream())), busy, 1],
        [HttpClientRequest.setBody(get, HttpBody.raw("text")), busy, 2],
        [HttpClientRequest.setBody(get, HttpBody.formData(new FormData())), busy, 2]
      ]
      for (const [i, [request, answer, sent, options]] of cases.entries()) {
        const budget = RetryBudget.make({ minPerSecond: Infinity })
        const result = yield* finish(request, [answer, ok], { budget, ...options })
        assert.strictEqual(result[1], sent, `case ${i}: ${request.method} ${JSON.stringify(answer)}`)
        assert.strictEqual(result[0] === 200, sent === 2, `case ${i}`)
      }
    })
  )

  it.effect("repeats a response that the client made an error of by its status", () =>
    Effect.gen(function* () {
      const wrap: Wrap = (client) => HttpClient.filterStatusOk(client)
      assert.deepStrictEqual(yield* finish(get, [busy, ok], {}, { wrap }), [200, 2])
      assert.deepStrictEqual(yield* finish(get, [busy], {}, { wrap }), ["StatusCodeError", 3])
      assert.deepStrictEqual(yield* finish(get, [{ status: 404 }], {}, { wrap }), ["StatusCodeError", 1])
    })
  )

  it.effect("gives the answer back at once when the wait would pass the deadline", () =>
    Effect.gen(function* () {
      for (const [deadline, random, sent] of [
        [2000, 0, 1],
        [2001, 0, 2],
        [2400, 0.9, 1]
      ] as const) {
        const { fiber, sentAt } = yield* run(get, [busy, ok], {}, { random }).pipe(
          Effect.provideService(Deadline.CurrentDeadline, (yield* now) + deadline)
        )
        if (sent === 1) assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed(503))
        yield* pass(3000)
        yield* Fiber.join(fiber)
        assert.strictEqual(sentAt.length, sent)
      }
    })
  )

  it.effect("gives the answer back at once when the server asks for more than maxRetryAfter", () =>
    Effect.gen(function* () {
      const { fiber } = yield* run(get, [busy], { maxRetryAfter: 1999 })
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed(503))
      assert.deepStrictEqual(yield* finish(get, [busy, ok], { maxRetryAfter: 2000 }), [200, 2])
    })
  )

  it.effect("gives the answer or the error back at once when the budget is empty, which all requests share", () =>
    Effect.gen(function* () {
      const budget = RetryBudget.make({ ratio: 0.5, minPerSecond: 0 })
      for (const answer of [busy, refused]) {
        const { fiber, sentAt } = yield* run(get, [answer], { budget })
        if (answer === refused) yield* pass(3000)
        yield* Fiber.join(fiber)
        assert.strictEqual(sentAt.length, answer === busy ? 1 : 2)
      }
      // Three requests have paid in one and a half, and one was spent.
      const { fiber } = yield* run(get, [refused], { budget })
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed("TransportError"))
    })
  )

  it.effect("ends its wait when it is interrupted, and sends nothing more", () =>
    Effect.gen(function* () {
      const budget = RetryBudget.make({ ratio: 0, minPerSecond: 1, window: "1 second" })
      const { fiber, sentAt } = yield* run(get, [busy, ok], { budget })
      yield* pass(500)
      yield* Fiber.interrupt(fiber)
      yield* pass(100_000)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.strictEqual(sentAt.length, 1)
    })
  )

  it.effect("makes the request anew for each attempt", () =>
    Effect.gen(function* () {
      let made = 0
      const number = (request: HttpClientRequest.HttpClientRequest) =>
        Effect.sync(() => HttpClientRequest.setHeader(request, "attempt", String(++made)))
      const wrap: Wrap = (client) => HttpClient.mapRequestEffect(client, number)
      yield* finish(get, [busy, bare, ok], {}, { wrap })
      assert.strictEqual(made, 3)
    })
  )

  it.effect("counts what it repeats and what it does not, by reason", () =>
    Effect.gen(function* () {
      const counters = [
        ...["Refused", "Status", "Unsent", "Lost"].map((reason) =>
          Metric.withAttributes(HttpMetrics.clientRetries, { reason })
        ),
        ...["Attempts", "Budget", "Deadline", "RetryAfter"].map((reason) =>
          Metric.withAttributes(HttpMetrics.clientRetriesDeclined, { reason })
        )
      ]
      const read = Effect.forEach(counters, (counter) => Effect.map(Metric.value(counter), ({ count }) => count))
      const before = yield* read
      for (const answer of [busy, { status: 502 }, refused, reset]) yield* finish(get, [answer, ok])
      yield* finish(get, [busy], { maxAttempts: 1 })
      yield* finish(get, [busy], { budget: RetryBudget.make({ ratio: 0, minPerSecond: 0 }) })
      yield* finish(get, [busy]).pipe(Effect.provideService(Deadline.CurrentDeadline, 0))
      yield* finish(get, [busy], { maxRetryAfter: 0 })
      yield* finish(get, [{ status: 404 }])
      const after = yield* read
      assert.deepStrictEqual(
        after.map((count, i) => Number(count) - Number(before[i])),
        [1, 1, 1, 1, 1, 1, 1, 1]
      )
    })
  )

  it("refuses options outside their range", () => {
    const bad: ReadonlyArray<[ClientRetry.Options, string]> = [
      [{ maxAttempts: 0 }, "maxAttempts must be an integer >= 1, got 0"],
      [{ maxAttempts: 1.5 }, "maxAttempts must be an integer >= 1, got 1.5"],
      [{ statuses: [200] }, "statuses must be integers from 400 to 599, got 200"],
      [{ baseDelay: -1 }, "baseDelay must be a finite duration >= 0 ms, got -1"],
      [{ baseDelay: "20 seconds" }, "maxDelay must be a finite duration >= 20000 ms, got 10 seconds"],
      [{ maxDelay: Infinity }, "maxDelay must be a finite duration >= 100 ms, got Infinity"],
      [{ maxRetryAfter: -1 }, "maxRetryAfter must be a duration >= 0 ms, got -1"]
    ]
    for (const [options, message] of bad) {
      assert.throws(() => ClientRetry.withRetry(options), RangeError, `ClientRetry.withRetry: ${message}`)
    }
  })

  it("has the documented defaults", () => {
    assert.deepStrictEqual(ClientRetry.defaults, {
      maxAttempts: 3,
      statuses: [429, 502, 503],
      retryRefused: false,
      baseDelay: "100 millis",
      maxDelay: "10 seconds",
      maxRetryAfter: "30 seconds"
    })
  })
})

const textOf = (response: HttpClientResponse.HttpClientResponse) => response.text

/** The monotonic clock, which is not the one that `sentAt` reads. */
const now = TestClock.testClockWith((clock) => Effect.sync(() => Number(clock.monotonicTimeNanosUnsafe()) / 1e6))
