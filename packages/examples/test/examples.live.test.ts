import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { get, start } from "./support/example.ts"

/** What does not depend on when the answer was given. */
const comparable = ({ body, headers, status }: Effect.Success<ReturnType<typeof get>>) => ({
  status,
  body,
  type: headers.get("content-type")
})

describe("examples", () => {
  it.live("hello answers", () =>
    Effect.gen(function* () {
      const { url } = yield* start("hello.ts")
      const answer = yield* get(url)
      assert.deepStrictEqual([answer.status, answer.body], [200, "Hello!"])
    })
  )

  it.live("bulkhead refuses the report that is too many, and nothing else", () =>
    Effect.gen(function* () {
      const { url } = yield* start("bulkhead.ts")
      const [answers, fast] = yield* Effect.all(
        [Effect.forEach([1, 2, 3, 4], () => get(`${url}/report`), { concurrency: "unbounded" }), get(`${url}/fast`)],
        { concurrency: "unbounded" }
      )
      const statuses = answers.map(({ status }) => status).toSorted()
      assert.deepStrictEqual(statuses, [200, 200, 200, 503])
      const refused = answers.find(({ status }) => status === 503)!
      assert.match(refused.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
      assert.strictEqual(refused.headers.get("content-type"), "application/problem+json")
      assert.strictEqual(fast.status, 200)
    })
  )

  it.live("offload answers /fast while /primes computes, and frees the thread of a client that went away", () =>
    Effect.gen(function* () {
      const { url } = yield* start("offload/main.ts")
      assert.deepStrictEqual(JSON.parse((yield* get(`${url}/primes?below=1000`)).body), { below: 1000, count: 168 })
      const long = get(`${url}/primes?below=100000000`)
      const busy = yield* Effect.forkChild(Effect.all([long, long], { concurrency: "unbounded" }))
      const fast = yield* get(`${url}/fast`)
      assert.strictEqual(fast.body, "Fast response!")
      assert.isUndefined(busy.pollUnsafe())
      busy.interruptUnsafe()
      const after = yield* Effect.timeout(get(`${url}/primes?below=1000`), "5 seconds")
      assert.strictEqual(after.status, 200)
      const bad = yield* get(`${url}/primes?below=1`)
      assert.strictEqual(bad.status, 422)
    })
  )

  it.live("offload answers the same on threads, inline, and on another machine", () =>
    Effect.gen(function* () {
      const remote = yield* start("offload/remote.ts")
      const answers = yield* Effect.forEach(["threads", "inline", "rpc"], (where) =>
        Effect.gen(function* () {
          const { url } = yield* start("offload/main.ts", { OFFLOAD: where, OFFLOAD_URL: `${remote.url}/primes` })
          const requests = ["primes?below=1000", "primes?below=100000", "primes?below=1", "fast"]
          return yield* Effect.forEach(requests, (path) => Effect.map(get(`${url}/${path}`), comparable))
        }).pipe(Effect.scoped)
      )
      assert.deepStrictEqual(
        answers[0]!.map(({ status }) => status),
        [200, 200, 422, 200]
      )
      assert.strictEqual(answers[0]![1]!.body, '{"below":100000,"count":9592}')
      assert.deepStrictEqual(answers[1], answers[0])
      assert.deepStrictEqual(answers[2], answers[0])
    })
  )

  it.live("offload answers 503 when the other machine is not there", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(start("offload/remote.ts"))
      const { url } = yield* start("offload/main.ts", { OFFLOAD: "rpc", OFFLOAD_URL: `${gone.url}/primes` })
      const answer = yield* get(`${url}/primes?below=1000`)
      assert.deepStrictEqual([answer.status, answer.headers.get("retry-after")], [503, "1"])
    })
  )

  it.live("intake takes what has its type and names the place of what has not", () =>
    Effect.gen(function* () {
      const { url } = yield* start("intake.ts")
      const post = (body: string, type = "application/json") =>
        get(`${url}/orders`, { method: "POST", body, headers: { "content-type": type } })
      const good = yield* post(JSON.stringify({ customer: "Ada", items: [{ article: "pen", count: 2 }] }))
      assert.deepStrictEqual([good.status, good.body], [202, '{"accepted":1}'])
      const wrong = yield* post(JSON.stringify({ customer: "Ada", items: [{ article: "pen", count: 0 }] }))
      assert.strictEqual(wrong.status, 422)
      assert.include(wrong.body, '"/items/0/count"')
      assert.strictEqual((yield* post("{")).status, 400)
      assert.strictEqual((yield* post("{}", "text/plain")).status, 415)
    })
  )

  for (const REDIS_URL of [undefined, "redis://127.0.0.1:1"]) {
    it.live(
      `rateLimit refuses a client over its quota, ${REDIS_URL ? "also while Redis is away" : "and no other"}`,
      () =>
        Effect.gen(function* () {
          const { url } = yield* start("rateLimit.ts", REDIS_URL === undefined ? {} : { REDIS_URL })
          const search = (key: string) => get(`${url}/search`, { headers: { "x-api-key": key } })
          const statuses: Array<number> = []
          while (statuses.at(-1) !== 429 && statuses.length < 50) statuses.push((yield* search("made up")).status)
          assert.isAtLeast(statuses.filter((status) => status === 200).length, 5)
          const refused = yield* search("also made up")
          assert.deepStrictEqual(
            [refused.status, refused.headers.get("ratelimit-policy")],
            [429, '"second";q=5;w=3, "day";q=10000;w=86400']
          )
          assert.strictEqual((yield* search("a key that you gave out")).status, 200)
          assert.strictEqual((yield* get(url)).status, 200)
        })
    )
  }

  it.live("overload answers each of its classes", () =>
    Effect.gen(function* () {
      const { url } = yield* start("overload.ts")
      const answers = [
        yield* get(`${url}/orders`, { method: "POST" }),
        yield* get(`${url}/exports/1`),
        yield* get(`${url}/batch/1`),
        yield* get(`${url}/primes`)
      ]
      assert.deepStrictEqual(
        answers.map(({ body }) => body),
        ["ordered", "exported", "done", "168"]
      )
    })
  )

  it.live("multiloop answers from both of its loops, and from the next ones after SIGHUP", () =>
    Effect.gen(function* () {
      const { child, url } = yield* start("multiloop/main.ts")
      const answers = new Set<string>()
      while (answers.size < 2) answers.add((yield* get(url, { headers: { connection: "close" } })).body)
      assert.deepStrictEqual([...answers].toSorted(), ["Hello from loop 0!", "Hello from loop 1!"])
      const restarts = Effect.map(
        get(`${url}/metrics`),
        ({ body }) => [...body.matchAll(/^spillway_multiloop_restarts_total\{.*reason="requested"\} 1$/gm)].length
      )
      child.kill("SIGHUP")
      yield* Effect.timeout(Effect.repeat(restarts, { until: (count) => count === 2 }), "10 seconds")
    })
  )
})
