import { assert, describe, it } from "@effect/vitest"
import { bucketsOf, minZoom, parseAddress, toHref, toZoom } from "@spillway/examples/metricstream/page/address"
import type { Address, Zoom } from "@spillway/examples/metricstream/page/address"
import { Buckets } from "@spillway/examples/metricstream/page/browser/buckets"
import type { Answer } from "@spillway/examples/metricstream/page/browser/buckets"
import { EventParser } from "@spillway/examples/metricstream/page/browser/events"
import { History } from "@spillway/examples/metricstream/page/browser/history"
import { scaled } from "@spillway/examples/metricstream/page/browser/keys"
import { unseen } from "@spillway/examples/metricstream/page/browser/marks"
import { refusalOf } from "@spillway/examples/metricstream/page/browser/refusal"
import { merge } from "@spillway/examples/metricstream/page/browser/row"
import { reloadsFor } from "@spillway/examples/metricstream/page/browser/version"
import { Effect } from "effect"

describe("EventParser", () => {
  const text =
    'retry: 5\n\nid: 7\nevent: a\r\ndata: {"x":\r\ndata: 1}\n\n: comment\n\r\ndata:two\r\n\r\nevent: none\n\nid: 8\rdata\r\r'
  const events = [
    { event: "a", data: '{"x":\n1}', id: "7" },
    { event: "", data: "two", id: "7" },
    { event: "", data: "", id: "8" }
  ]

  it("gives the same events however the text is cut", () => {
    for (let size = 1; size <= text.length; size++) {
      const parser = new EventParser()
      const found = []
      for (let at = 0; at < text.length; at += size) found.push(...parser.feed(text.slice(at, at + size)))
      // A break at the very end may be half of one: what is after it tells.
      found.push(...parser.feed(":"))
      assert.deepStrictEqual(found, events, `in pieces of ${size}`)
    }
  })
})

describe("History", () => {
  const point = (time: number) => [time, time, null]

  it("keeps points for so long, in the order of time", () => {
    const history = new History(1000, 3000)
    history.add([1000, 2000, 3000, 4000, 5000].map(point))
    assert.deepStrictEqual(history.times, [3000, 4000, 5000])
    assert.deepStrictEqual(history.column("stored"), [3000, 4000, 5000])
    assert.deepStrictEqual(history.column("pending"), [null, null, null])
    assert.strictEqual(history.latest, 5000)
  })

  it("leaves a gap where nothing was measured", () => {
    const history = new History(1000, 60_000)
    history.add([1000, 2000, 4400, 9000].map(point))
    assert.deepStrictEqual(history.times, [1000, 2000, 4400, 4401, 9000])
    assert.deepStrictEqual(history.column("stored"), [1000, 2000, 4400, null, 9000])
  })

  it("takes again what it has, and what a clock says that was set back", () => {
    const history = new History(1000, 60_000)
    history.add([1000, 2000, 3000].map(point))
    history.add([2000, 3000, 4000].map(point))
    assert.deepStrictEqual(history.times, [1000, 2000, 3000, 4000])
    history.add([point(1500)])
    assert.deepStrictEqual(history.times, [1000, 1500])
  })
})

describe("merge", () => {
  const rowOf = () => ({ count: 7, time: 20, recent: [1, 2] })

  it("changes nothing in a row that contains the events of the news already", () => {
    const row = rowOf()
    assert.isFalse(merge(row, ["a", 7, 20, 2]))
    assert.isFalse(merge(row, ["a", 6, 10, 1]))
    assert.deepStrictEqual(row, rowOf())
  })

  it("takes the count of newer news, and their value unless it is older than the latest", () => {
    const row = rowOf()
    assert.isFalse(merge(row, ["a", 8, 19, 3]))
    assert.deepStrictEqual(row, { count: 8, time: 20, recent: [1, 2] })
    assert.isTrue(merge(row, ["a", 10, 20, 4]))
    assert.deepStrictEqual(row, { count: 10, time: 20, recent: [1, 2, 4] })
    assert.isTrue(merge(row, ["a", 11, 21, 5]))
    assert.deepStrictEqual(row, { count: 11, time: 21, recent: [1, 2, 4, 5] })
  })

  it("takes the count of a later value also when the retention has made it less", () => {
    const row = rowOf()
    assert.isTrue(merge(row, ["a", 3, 21, 5]))
    assert.deepStrictEqual(row, { count: 3, time: 21, recent: [1, 2, 5] })
  })
})

describe("Buckets", () => {
  const bucket = (start: number, count: number) => ({ start, count, min: 1, p50: 2, p90: 3, p99: 4, max: 5, avg: 2.5 })
  const answer: Answer = { step: 10, buckets: [bucket(100, 1), bucket(110, 2), bucket(120, 0)] }
  const tail = (from: number, ...counts: ReadonlyArray<number>) => ({
    name: "a",
    from,
    step: 10,
    columns: [counts, ...Array.from({ length: 6 }, () => counts.map(() => null))]
  })

  it("takes the last buckets in the place of those that it has, and adds the next", () => {
    const buckets = new Buckets(answer)
    assert.isTrue(buckets.merge(tail(110, 7, 8)))
    assert.deepStrictEqual(
      [buckets.times, buckets.column("count")],
      [
        [100, 110, 120],
        [1, 7, 8]
      ]
    )
    assert.isTrue(buckets.merge(tail(120, 9, 1)))
    assert.deepStrictEqual(
      [buckets.times, buckets.column("count")],
      [
        [100, 110, 120, 130],
        [1, 7, 9, 1]
      ]
    )
    assert.deepStrictEqual(buckets.column("p50"), [2, null, null, null])
    assert.strictEqual(buckets.latest, 3)
  })

  it("says when there is a hole, or the buckets are others", () => {
    const buckets = new Buckets(answer)
    assert.isFalse(buckets.merge(tail(140, 1, 1)))
    assert.isFalse(buckets.merge({ ...tail(120, 1, 1), step: 20 }))
    assert.isFalse(new Buckets({ step: 10, buckets: [] }).merge(tail(120, 1, 1)))
    assert.isTrue(buckets.merge(tail(130, 1, 1)))
  })

  it("takes no bucket from before the first", () => {
    const buckets = new Buckets(answer)
    assert.isTrue(buckets.merge(tail(90, 4, 5)))
    assert.deepStrictEqual(
      [buckets.times, buckets.column("count")],
      [
        [100, 110, 120],
        [5, 2, 0]
      ]
    )
  })

  it("forgets what is too old, and finds the newest bucket that has events", () => {
    const buckets = new Buckets(answer)
    assert.strictEqual(buckets.latest, 1)
    buckets.forgetBefore(110)
    assert.deepStrictEqual(
      [buckets.times, buckets.column("max")],
      [
        [110, 120],
        [5, 5]
      ]
    )
  })
})

describe("address", () => {
  const parse = (query: string) => parseAddress(new URLSearchParams(query))

  it("comes back from its text", () => {
    for (const href of [
      "/",
      "/?series=a%2Fb%3A+c&range=1h",
      "/?series=a&from=1000&to=5000&match=%3Cb%3E%26",
      "/?match=x"
    ]) {
      assert.strictEqual(toHref(parse(href.slice(1))), href)
    }
  })

  it("leaves out what makes no sense", () => {
    const nothing: Address = { series: "", range: "15m", zoom: undefined, match: "" }
    for (const query of ["", "range=2y", "from=5&to=1", "from=1", "from=x&to=y", "from=1&to=500", "from=-5&to=5000"]) {
      assert.deepStrictEqual(parse(query), nothing, query)
    }
  })

  it("asks for whole buckets, as fine as the time that is seen is worth", () => {
    assert.deepStrictEqual(bucketsOf(parse("range=15m"), 10_000_003), { from: 9_100_000, to: 10_005_000, step: 5000 })
    assert.deepStrictEqual(bucketsOf(parse("from=1003&to=61003"), 0), { from: 1000, to: 61_200, step: 200 })
  })

  it("asks for no more buckets than may be, on whole milliseconds of at most 100 years, whatever is seen", () => {
    for (let span = minZoom; span < 1e14; span = Math.ceil(span * 1.7)) {
      const { from, step, to } = bucketsOf(parse(`from=1&to=${1 + span}`), 0)
      assert.isAtMost((to - from) / step, 302)
      assert.isTrue(from <= 1 && to > 1 + span && Number.isInteger(step) && step <= 36_525 * 86_400_000)
    }
    assert.isUndefined(parse("from=0&to=100000000000000").zoom)
  })
})

describe("toZoom", () => {
  const now = 1_800_000_000_000

  it("shows what can be seen of it", () => {
    assert.deepStrictEqual(toZoom({ from: 5000.4, to: 8000.4 }, now, Infinity), { from: 5000, to: 8000 })
    assert.deepStrictEqual(toZoom({ from: now - 3000, to: now + 1000 }, now, Infinity), { from: now - 4000, to: now })
    assert.deepStrictEqual(toZoom({ from: -3000, to: 1000 }, now, Infinity), { from: 0, to: 4000 })
    assert.deepStrictEqual(toZoom({ from: -now, to: 2 * now }, now, Infinity), { from: 0, to: now })
  })

  it("shows nothing from before what is kept", () => {
    const day = 86_400_000
    assert.deepStrictEqual(toZoom({ from: now - 5 * day, to: now - day }, now, 2 * day), {
      from: now - 2 * day,
      to: now
    })
    assert.deepStrictEqual(toZoom({ from: now - 5 * day, to: now - 4 * day }, now, 2 * day), {
      from: now - 2 * day,
      to: now - day
    })
  })

  it("keeps the centre of what is too short", () => {
    assert.deepStrictEqual(toZoom({ from: 5000, to: 5000 }, now, Infinity), { from: 4500, to: 5500 })
    assert.deepStrictEqual(toZoom({ from: now - 1, to: now }, now, Infinity), { from: now - minZoom, to: now })
  })

  it("comes to an end in both directions, and stays there", () => {
    const press = (from: Zoom, factor: number, aroundOf: (zoom: Zoom) => number, keep = Infinity) => {
      let zoom = from
      for (let presses = 0; presses < 60; presses++) {
        zoom = toZoom(scaled(zoom, aroundOf(zoom), factor, minZoom), now, keep)
      }
      return zoom
    }
    const around = [({ to }: Zoom) => to, ({ from }: Zoom) => from, ({ from, to }: Zoom) => (from + to) / 2]
    for (const aroundOf of around) {
      const start = { from: now - 900_000, to: now }
      assert.deepStrictEqual(press(start, 2, aroundOf), { from: 0, to: now })
      assert.deepStrictEqual(press(start, 2, aroundOf, 3_600_000), { from: now - 3_600_000, to: now })
      const least = press(start, 0.5, aroundOf)
      assert.strictEqual(least.to - least.from, minZoom)
      assert.deepStrictEqual(press(least, 0.5, aroundOf), least)
    }
  })
})

describe("scaled", () => {
  it("shows more or less of the time around a time", () => {
    assert.deepStrictEqual(scaled({ from: 0, to: 100 }, 75, 0.5, 10), { from: 37.5, to: 87.5 })
    assert.deepStrictEqual(scaled({ from: 0, to: 100 }, 100, 2, 10), { from: -100, to: 100 })
    assert.deepStrictEqual(scaled({ from: 0, to: 100 }, 500, 0.5, 10), { from: 50, to: 100 })
  })

  it("goes no further than to the shortest time", () => {
    assert.deepStrictEqual(scaled({ from: 0, to: 100 }, 100, 0.5, 80), { from: 20, to: 100 })
    assert.deepStrictEqual(scaled({ from: 0, to: 100 }, 75, 0.5, 100), { from: 0, to: 100 })
    assert.deepStrictEqual(scaled({ from: 0, to: 100 }, 0, 0.5, 200), { from: 0, to: 100 })
  })
})

describe("unseen", () => {
  it("marks values without neighbours, and runs that are narrower than a mark", () => {
    const values = [1, null, 1, 1, null, 1, 1, 1, undefined, 1]
    assert.deepStrictEqual(
      unseen(values, (row) => 4 * row),
      [0, 2, 3, 9]
    )
    assert.deepStrictEqual(
      unseen(values, (row) => 6 * row),
      [0, 9]
    )
    assert.deepStrictEqual(
      unseen([], (row) => row),
      []
    )
  })
})

describe("refusalOf", () => {
  const read = (status: number, body: string, headers: Record<string, string> = {}) =>
    Effect.promise(() => refusalOf(new Response(body, { status, headers })))
  const problem = (status: number, members: unknown) =>
    read(status, JSON.stringify(members), { "content-type": "application/problem+json", "retry-after": "7" })

  it.effect("says what the server said, the detail before the title", () =>
    Effect.gen(function* () {
      const detail = "64 viewers watch already"
      assert.deepStrictEqual(yield* problem(503, { title: "Service Unavailable", status: 503, detail }), {
        status: 503,
        words: detail,
        pause: 7000,
        mayPass: true
      })
      const found = [
        yield* problem(503, { title: "Service Unavailable", detail: "the server is being restarted" }),
        // The page says itself that it tries again.
        yield* problem(503, { detail: "the server is starting; try again in a moment" }),
        yield* problem(429, { title: "Too Many Requests" }),
        yield* problem(429, { title: "Too Many Requests", detail: " " }),
        yield* problem(400, { detail: ["x"], title: "x".repeat(200) })
      ]
      assert.deepStrictEqual(
        found.map(({ words }) => words),
        [
          "The server is being restarted",
          "The server is starting",
          "Too Many Requests",
          "Too Many Requests",
          `X${"x".repeat(158)}…`
        ]
      )
    })
  )

  it.effect("says what the status means where something else has answered, or nobody has said anything", () =>
    Effect.gen(function* () {
      const html = { "content-type": "text/html" }
      const found = [
        yield* read(502, "<h1>502 Bad Gateway</h1>", html),
        yield* read(503, "", { "retry-after": "soon" }),
        yield* read(503, "{", { "content-type": "application/problem+json" }),
        yield* read(429, "null", { "content-type": "application/problem+json; charset=utf-8" }),
        yield* read(418, "I'm a teapot")
      ]
      assert.deepStrictEqual(
        found.map(({ pause, words }) => [words, pause]),
        [
          ["Nothing answers behind the proxy", 0],
          ["The server takes no requests at present", 0],
          ["The server takes no requests at present", 0],
          ["Too many requests from here", 0],
          ["The server answers with status 418", 0]
        ]
      )
    })
  )

  it.effect("knows what may pass", () =>
    Effect.gen(function* () {
      const statuses = [400, 404, 408, 413, 422, 429, 500, 502, 503, 504]
      const refusals = yield* Effect.forEach(statuses, (status) => read(status, ""))
      const passing = refusals.filter(({ mayPass }) => mayPass).map(({ status }) => status)
      assert.deepStrictEqual(passing, [408, 429, 500, 502, 503, 504])
    })
  )
})

describe("reloadsFor", () => {
  it("loads the page again once for each version, however they take turns", () => {
    const kept = new Map<string, string>()
    const storage = () => ({
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value)
    })
    const turns = ["a", "b", "a", "b", "c", "a", "c"].map((version) => reloadsFor(version, storage))
    assert.deepStrictEqual(turns, [true, true, false, false, true, false, false])
  })

  it("does not load the page again where nothing can be remembered", () => {
    const forbidden = () => {
      throw new DOMException("the operation is insecure", "SecurityError")
    }
    const full = { getItem: () => null, setItem: forbidden }
    for (const storage of [forbidden, () => full]) assert.isFalse(reloadsFor("a", storage))
  })
})
