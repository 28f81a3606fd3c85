import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { get } from "../support/example.ts"
import { launch, long, silent, threadsOf, untilStats } from "./support.ts"

/** A request and a probe that nobody answers, for as long as a test looks on. */
const waitInVain = Effect.fnUntraced(function* (url: string) {
  const waiting = yield* Effect.forEach(["/fast", "/livez"], (path) =>
    Effect.forkChild(get(`${url}${path}`), { startImmediately: true })
  )
  yield* Effect.sleep("500 millis")
  for (const fiber of waiting) assert.isUndefined(fiber.pollUnsafe())
  return waiting
})

const areAnswered = Effect.fnUntraced(function* (waiting: Effect.Success<ReturnType<typeof waitInVain>>) {
  for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
})

/** A request on each of so many connections, which end with the scope. Where `fetch` is interrupted it connects anew, and says nothing. */
const asking = Effect.fnUntraced(function* (url: string, count: number, path: string) {
  for (const socket of yield* silent(url, count)) socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
})

/** `/sleep` on a connection, and `/fast` on another that came later: how long each took. */
const behindSleep = Effect.fnUntraced(function* (url: string) {
  const timed = Effect.fnUntraced(function* (path: string) {
    const start = performance.now()
    assert.strictEqual((yield* get(`${url}${path}`)).status, 200)
    return performance.now() - start
  })
  const slow = yield* Effect.forkChild(timed(`/sleep?ms=${long}`), { startImmediately: true })
  yield* Effect.sleep("100 millis")
  const fast = yield* timed("/fast")
  return { fast, slow: yield* Fiber.join(slow) }
})

/** A server with four requests that it has accepted and takes one after the other, and then is told to stop. */
const stopWhileQueued = Effect.fnUntraced(function* ({
  child,
  exited,
  url
}: Effect.Success<ReturnType<typeof launch>>) {
  const sent = yield* Effect.forkChild(
    Effect.forEach([1, 2, 3, 4], () => get(`${url}/sleep?ms=${long}`), { concurrency: "unbounded" })
  )
  yield* Effect.sleep(long / 4)
  const ready = yield* Effect.forkChild(get(`${url}/readyz`), { startImmediately: true })
  yield* Effect.sleep(long / 4)
  child.kill("SIGTERM")
  const refused = get(`${url}/fast`).pipe(Effect.exit, Effect.repeat({ until: (exit) => exit._tag === "Failure" }))
  yield* Effect.timeout(refused, "5 seconds")
  const answers = yield* Fiber.join(sent)
  assert.deepStrictEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200]
  )
  const { body, status } = yield* Fiber.join(ready)
  assert.deepStrictEqual([status, JSON.parse(body).phase], [503, "draining"])
  assert.deepStrictEqual((yield* Effect.promise(() => exited))[0], 0)
})

describe("sequential", () => {
  it.live("is frozen by 20 clients that say nothing, until they leave", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("sequential")
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* silent(url, 20)
          return yield* waitInVain(url)
        })
      )
      yield* areAnswered(waiting)
    })
  )

  it.live("waits for each of them as long as for any request", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("sequential", { ARCHITECTURE_RECEIVE_TIMEOUT: "1 second" })
      yield* silent(url, 3)
      const start = performance.now()
      assert.strictEqual((yield* get(`${url}/fast`)).status, 200)
      assert.isAtLeast(performance.now() - start, 2500)
    })
  )

  it.live("answers the second request when the first one is done", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("sequential")
      const { fast } = yield* behindSleep(url)
      assert.isAtLeast(fast, long - 200)
    })
  )

  it.live("has one connection at work, whatever comes", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("sequential")
      yield* Effect.forEach(Array.from({ length: 10 }), () => get(`${url}/sleep?ms=10`), { concurrency: "unbounded" })
      const { maxActive, processed } = yield* untilStats(url, () => true)
      assert.deepStrictEqual({ maxActive, processed }, { maxActive: 1, processed: 10 })
    })
  )

  it.live("finishes what it has accepted when it is stopped, and takes nothing new", () =>
    Effect.flatMap(launch("sequential"), stopWhileQueued)
  )
})

describe("thread-per-request", () => {
  it.live("makes a thread of the operating system for each request, which ends with it", () =>
    Effect.gen(function* () {
      const { pid, url } = yield* launch("thread-per-request")
      yield* get(`${url}/fast`)
      yield* untilThreads(pid, "at rest", (count, before) => count === before)
      const idle = threadsOf(pid)
      const tenMore = untilThreads(pid, "ten more", (count) => count >= idle + 10)
      yield* Effect.scoped(Effect.andThen(asking(url, 10, "/sleep?ms=4000"), tenMore))
      yield* untilThreads(pid, "as before", (count) => count <= idle)
    })
  )

  it.live("lets no request wait for another, whatever that computes", () =>
    Effect.gen(function* () {
      // Nobody can tell a thread that computes that its client is gone.
      const { url } = yield* launch("thread-per-request", { ARCHITECTURE_DRAIN_TIMEOUT: "100 millis" })
      const slow = yield* Effect.forkChild(get(`${url}/sleep?ms=60000`), { startImmediately: true })
      const busy = yield* Effect.forkChild(get(`${url}/cpu?ms=60000`), { startImmediately: true })
      yield* untilStats(url, ({ active }) => active === 2)
      assert.strictEqual((yield* get(`${url}/fast`)).body, "Fast response!")
      assert.isUndefined(slow.pollUnsafe() ?? busy.pollUnsafe())
    })
  )
})

/** The number of threads, looked at until it is as wanted, given the one before. */
const untilThreads = (pid: number, what: string, wanted: (count: number, before: number) => boolean) => {
  let before = -1
  return Effect.sync(() => {
    const count = threadsOf(pid)
    const isWanted = wanted(count, before)
    before = count
    return isWanted
  }).pipe(
    Effect.delay("50 millis"),
    Effect.repeat({ until: (isWanted) => isWanted }),
    Effect.timeoutOrElse({
      duration: "15 seconds",
      orElse: () => Effect.die(new Error(`${before} threads, not ${what}`))
    })
  )
}

describe("thread-pool", () => {
  const pool = (workers: number, env: Record<string, string> = {}) =>
    launch("thread-pool", { ARCHITECTURE_WORKERS: String(workers), ...env })

  it.live("has as many threads under load as at rest, and that many more than workers it was given", () =>
    Effect.gen(function* () {
      const queued = 20
      const threads = Effect.fnUntraced(function* (workers: number) {
        const { pid, url } = yield* pool(workers, { ARCHITECTURE_MAX_QUEUED: String(queued) })
        const atRest = threadsOf(pid)
        // One after the other: those that are accepted first hold the threads.
        yield* asking(url, workers, "/sleep?ms=60000")
        yield* asking(url, queued, "/fast")
        // It is not for one of the threads to answer this when the queue is full.
        yield* untilStats(url, (stats) => stats.active === workers && stats.queued === queued)
        assert.strictEqual(threadsOf(pid), atRest)
        return atRest
      }, Effect.scoped)
      const [two, six] = yield* Effect.all([threads(2), threads(6)], { concurrency: "unbounded" })
      assert.strictEqual(six - two, 4)
    })
  )

  it.live("serves as many at once as it has threads", () =>
    Effect.gen(function* () {
      const { url } = yield* pool(4)
      const start = performance.now()
      yield* Effect.forEach(Array.from({ length: 8 }), () => get(`${url}/sleep?ms=${long}`), {
        concurrency: "unbounded"
      })
      const took = performance.now() - start
      assert.isAtLeast(took, 2 * long)
      assert.isBelow(took, 5 * long)
      assert.strictEqual((yield* untilStats(url, () => true)).maxActive, 4)
    })
  )

  it.live("is starved by as many silent clients as it has threads, and no fewer", () =>
    Effect.gen(function* () {
      const { url } = yield* pool(4)
      yield* silent(url, 3)
      assert.strictEqual((yield* get(`${url}/fast`)).status, 200)
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* silent(url, 1)
          return yield* waitInVain(url)
        })
      )
      yield* areAnswered(waiting)
    })
  )

  it.live("answers 408 to a client that says nothing for the receive timeout, and is free again", () =>
    Effect.gen(function* () {
      const { url } = yield* pool(1, { ARCHITECTURE_RECEIVE_TIMEOUT: "1 second" })
      const [socket] = yield* silent(url, 1)
      const heard = Effect.promise(async () => {
        let text = ""
        for await (const chunk of socket!) text += chunk
        return text
      })
      assert.match(yield* heard, /^HTTP\/1\.1 408 /)
      assert.strictEqual((yield* get(`${url}/fast`)).status, 200)
    })
  )

  it.live("answers 503 with Retry-After: 5 when the queue is full, but not to probes", () =>
    Effect.gen(function* () {
      const { url } = yield* pool(1, { ARCHITECTURE_MAX_QUEUED: "1" })
      // One at work and one in the queue.
      yield* silent(url, 2)
      let refusals = 0
      const refused = yield* get(`${url}/fast`).pipe(
        Effect.tap(() => Effect.sync(() => refusals++)),
        Effect.repeat({ until: ({ status }) => status === 503 })
      )
      assert.deepStrictEqual(
        [refused.headers.get("retry-after"), refused.headers.get("content-type")],
        ["5", "application/problem+json"]
      )
      for (const probe of ["/livez", "/readyz", "/metrics"]) {
        assert.strictEqual((yield* get(`${url}${probe}`)).status, 200, probe)
      }
      assert.strictEqual((yield* untilStats(url, () => true)).rejected, refusals)
    })
  )

  it.live("finishes what is queued when it is stopped, takes nothing new, and its threads hear of it", () =>
    Effect.flatMap(pool(1), stopWhileQueued)
  )
})
