import { figures } from "@spillway/examples/metricstream/live/figures"
import { limits } from "@spillway/examples/metricstream/live/limits"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { get } from "node:http"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { temporaryFolder } from "./support/files.ts"
import { getJson, post, problemOf, request, retryAfterOf, start } from "./support/server.ts"
import { view } from "./support/viewers.ts"

const startApp = Effect.fnUntraced(function* (environment: Record<string, string> = {}) {
  // A machine on which many tests run at once is no overload.
  const patient = { SPILLWAY_HTTP_QUEUE_TARGET: "Infinity", SPILLWAY_HTTP_MAX_QUEUE_WAIT: "30 seconds" }
  return yield* start(join(yield* temporaryFolder, "metricstream.db"), { ...patient, ...environment })
})

/** One server for all tests of this file that do not end it. */
class Running extends Context.Service<Running, { readonly url: string }>()("test/Running") {
  // All viewers of this file are one client.
  static readonly layer = Layer.effect(Running, startApp({ METRICSTREAM_MAX_VIEWERS: String(limits.viewers) }))
}

/** The value of a metric, 0 for one that is not there yet. */
const metric = (url: string, line: string) =>
  Effect.map(request(`${url}/metrics`), ({ text }) => {
    const found = text.split("\n").find((each) => each.startsWith(`${line} `))
    return Number(found?.slice(line.length + 1) ?? 0)
  })

/** What a client with this address is answered; it leaves at once. */
const statusFrom = (localAddress: string, url: string) =>
  Effect.callback<number | undefined>((resume) => {
    const asked = get(url, { localAddress }, (response) => {
      resume(Effect.succeed(response.statusCode))
      response.destroy()
    }).on("error", (error) => resume(Effect.die(error)))
    return Effect.sync(() => asked.destroy())
  }).pipe(Effect.timeout("15 seconds"))

const eventually = <A>(effect: Effect.Effect<A>, holds: (value: A) => boolean) =>
  effect.pipe(Effect.delay(20), Effect.repeat({ until: holds }), Effect.timeout("15 seconds"))

layer(Running.layer, { excludeTestServices: true })("GET /live", (it) => {
  it.effect("greets a viewer and sends it a point of every figure each second", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const { next, response } = yield* view(`${url}/live`)
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      const { data: hello } = yield* next("hello")
      assert.deepStrictEqual([hello.interval, hello.keep, hello.workers], [1000, limits.points, 4])
      assert.include((yield* request(url)).text, `data-version="${hello.version}"`)
      const times: Array<number> = []
      while (times.length < 3) {
        const { data, id } = yield* next("points")
        for (const point of data) {
          assert.strictEqual(point.length, 1 + figures.length)
          times.push(point[0])
        }
        assert.strictEqual(id, String(times.at(-1)))
      }
      assert.deepStrictEqual(times, times.toSorted())
      // At full seconds, but for how late a timer may be: what comes in the middle of each is in one point.
      assert.isBelow(Math.min(...times.map((time) => time % 1000)), 150)
    })
  )

  it.effect("sends a viewer that comes back only what it has missed", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const first = yield* view(`${url}/live`)
      const { id } = yield* first.next("points")
      yield* first.leave
      const second = yield* view(`${url}/live`, id)
      const { data } = yield* second.next("points")
      assert.isAbove(data[0][0], Number(id))
      // What is no time is nothing to fail for.
      const third = yield* view(`${url}/live`, "x")
      assert.strictEqual(third.response.status, 200)
    })
  )

  it.effect("counts what is stored, and says which series got it and how much they have", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const { next } = yield* view(`${url}/live`)
      yield* next("points")
      yield* post(url, [
        { name: "live.a", value: 1, timestamp: 1_700_000_000_000 },
        { name: "live.a", value: 2, timestamp: 1_700_000_001_000 },
        { name: "live.b", value: 3, timestamp: 1_700_000_000_000 }
      ])
      const stored = figures.indexOf("stored") + 1
      yield* next("points", ({ data }) => data.some((point: Array<number>) => point[stored]! > 0))
      const { data } = yield* next("news")
      assert.deepStrictEqual(data, {
        changes: [
          ["live.a", 2, 1_700_000_001_000, 2],
          ["live.b", 1, 1_700_000_000_000, 3]
        ],
        more: false
      })
      yield* post(url, { name: "live.a", value: 4, timestamp: 1_700_000_000_500 })
      const { data: later } = yield* next("news")
      assert.deepStrictEqual(later, { changes: [["live.a", 3, 1_700_000_000_500, 4]], more: false })
    })
  )

  it.effect("sends the last buckets of the series that is watched, also of one that has no events yet", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      const step = 60_000
      const { next } = yield* view(`${url}/live?series=live.watched&step=1m`)
      const store = (values: ReadonlyArray<number>) =>
        post(
          url,
          values.map((value) => ({ name: "live.watched", value }))
        )
      const tailOf = (events: number) =>
        next("tail", ({ data }) => data.columns[0].reduce((sum: number, count: number) => sum + count, 0) === events)
      yield* store([1, 2, 3])
      yield* tailOf(3)
      yield* store([4])
      const { data } = yield* tailOf(4)
      assert.deepStrictEqual([data.name, data.step, data.from % step], ["live.watched", step, 0])
      const { buckets } = yield* getJson(
        `${url}/series/live.watched?from=${data.from}&to=${data.from + 2 * step}&step=1m&agg=count,p50`
      )
      assert.deepStrictEqual(
        [data.columns[0], data.columns[2]],
        ["count", "p50"].map((name) => buckets.map((bucket: Record<string, number | null>) => bucket[name]))
      )
    })
  )

  it.effect("names the parameter that is wrong", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      for (const query of ["series=a", "series=a&step=x", "series=a&step=1ms", "series=a&step=31d"]) {
        assert.strictEqual(problemOf(yield* request(`${url}/live?${query}`), 400).errors[0].parameter, "step", query)
      }
    })
  )

  it.effect("has room for so many viewers, and refuses more until one has left", () =>
    Effect.gen(function* () {
      const { url } = yield* Running
      yield* eventually(metric(url, "metricstream_live_viewers"), (viewers) => viewers === 0)
      const viewers = yield* Effect.forEach(Array.from({ length: limits.viewers }), () => view(`${url}/live`), {
        concurrency: 8
      })
      assert.isTrue(viewers.every(({ response }) => response.status === 200))
      const refused = yield* request(`${url}/live`)
      assert.include(problemOf(refused, 503).detail, `${limits.viewers} viewers`)
      assert.strictEqual(retryAfterOf(refused), 5)
      assert.strictEqual(yield* metric(url, 'metricstream_live_refused_viewers_total{reason="Full"}'), 1)
      yield* viewers[0]!.leave
      yield* eventually(
        Effect.flatMap(Effect.scoped(view(`${url}/live`)), ({ response }) => Effect.succeed(response.status)),
        (status) => status === 200
      )
      yield* Effect.forEach(viewers, ({ leave }) => leave)
      yield* eventually(metric(url, "metricstream_live_viewers"), (viewers) => viewers === 0)
    })
  )
})

describe("a viewer of GET /live", () => {
  it.live("has neither a permit nor a deadline, and is not too slow for having little to read", () =>
    Effect.gen(function* () {
      const { url } = yield* startApp({
        SPILLWAY_HTTP_MAX_CONCURRENT: "1",
        SPILLWAY_HTTP_MAX_QUEUED: "0",
        SPILLWAY_HTTP_REQUEST_DEADLINE: "500 millis",
        SPILLWAY_HTTP_MIN_RESPONSE_RATE: "1000000",
        SPILLWAY_HTTP_RATE_GRACE: "1 second"
      })
      const { next } = yield* view(`${url}/live`)
      for (let points = 0; points < 4; points++) {
        yield* next("points")
        assert.strictEqual((yield* post(url, { name: "beside", value: 1 })).status, 202)
      }
      assert.strictEqual(yield* metric(url, "http_server_active_requests"), 0)
    })
  )

  it.live("is one of so many that its client may have, beside those of others", () =>
    Effect.gen(function* () {
      const { url } = yield* startApp({ METRICSTREAM_MAX_VIEWERS: "2" })
      const viewer = yield* view(`${url}/live`)
      yield* view(`${url}/live`)
      const refused = yield* request(`${url}/live`)
      const problem = problemOf(refused, 429)
      assert.include(problem.detail, "2 viewers from your address")
      assert.deepStrictEqual(problem["violated-policies"], ["viewers"])
      assert.strictEqual(retryAfterOf(refused), 5)
      assert.strictEqual(yield* metric(url, 'metricstream_live_refused_viewers_total{reason="Quota"}'), 1)
      assert.strictEqual(yield* statusFrom("127.0.0.2", `${url}/live`), 200)
      yield* viewer.leave
      yield* eventually(
        Effect.map(Effect.scoped(view(`${url}/live`)), ({ response }) => response.status),
        (status) => status === 200
      )
    })
  )

  /** A server with so many permits and places to wait that one of each is the page's, and its database locked: what is sent keeps its permits. */
  const startBusy = Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const database = join(folder, "metricstream.db")
    const app = yield* start(database, {
      SPILLWAY_HTTP_MAX_CONCURRENT: "9",
      SPILLWAY_HTTP_MAX_QUEUED: "9",
      SPILLWAY_HTTP_QUEUE_TARGET: "Infinity",
      SPILLWAY_HTTP_MAX_QUEUE_WAIT: "30 seconds"
    })
    const db = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(database)),
      (db) => Effect.sync(() => db.close())
    )
    db.exec("BEGIN IMMEDIATE")
    return app
  })

  it.live("comes in with the page and its files while the door is full of what is sent", () =>
    Effect.gen(function* () {
      const { url } = yield* startBusy
      const [, script] = /src="([^"]+)"/.exec((yield* request(url)).text)!
      for (let sender = 0; sender < 40; sender++) {
        yield* Effect.forkScoped(Effect.forever(post(url, { name: "held", value: 1 })))
      }
      const ask = Effect.gen(function* () {
        const series = yield* request(`${url}/series`)
        const viewer = yield* Effect.scoped(view(`${url}/live`))
        const [page, file] = [yield* request(url), yield* request(url + script)]
        assert.deepStrictEqual([viewer.response.status, page.status, file.status], [200, 200, 200])
        return series.status
      })
      yield* eventually(ask, (status) => status === 503)
    })
  )

  it.live("takes no permit and no place to wait from what is sent, and neither does the page", () =>
    Effect.gen(function* () {
      const { url } = yield* startBusy
      const answers: Array<string> = []
      const send = Effect.map(post(url, { name: "held", value: 1 }), ({ text }) => void answers.push(text))
      // As many as have permits of their own.
      for (let sender = 0; sender < 8; sender++) yield* Effect.forkScoped(Effect.forever(send))
      yield* eventually(metric(url, "http_server_active_requests"), (active) => active === 8)
      let refused = 0
      const look = Effect.map(request(url), ({ status }) => void (refused += Number(status === 503)))
      for (let looker = 0; looker < 40; looker++) yield* Effect.forkScoped(Effect.forever(look))
      yield* eventually(
        Effect.sync(() => answers.length >= 16 && refused >= 200),
        (enough) => enough
      )
      // The database is locked, which the storage says, and the door has turned none away.
      for (const text of answers) assert.include(text, "the events were not stored")
    })
  )

  it.live("is let go when the server drains, which waits for none, and is refused meanwhile", () =>
    Effect.gen(function* () {
      const { end, pid, url } = yield* startApp({
        SPILLWAY_HTTP_DRAIN_TIMEOUT: "60 seconds",
        SPILLWAY_HTTP_PRE_STOP: "1 second"
      })
      const viewers = yield* Effect.forEach(Array.from({ length: 3 }), () => view(`${url}/live?series=a&step=1s`))
      yield* Effect.forEach(viewers, ({ next }) => next("points"))
      process.kill(pid, "SIGTERM")
      yield* Effect.forEach(viewers, ({ next }) => next("drain"))
      yield* Effect.forEach(viewers, ({ ended }) => ended)
      const refused = yield* request(`${url}/live`)
      problemOf(refused, 503)
      assert.strictEqual(retryAfterOf(refused), 1)
      assert.strictEqual(yield* end("SIGTERM"), 0)
    })
  )
})
