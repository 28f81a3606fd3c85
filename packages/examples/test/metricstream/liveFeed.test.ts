import { assert, describe, it } from "@effect/vitest"
import { Changes } from "@spillway/examples/metricstream/live/changes"
import { Feed } from "@spillway/examples/metricstream/live/feed"
import { follow } from "@spillway/examples/metricstream/live/follow"
import type { Hello } from "@spillway/examples/metricstream/live/figures"
import { difference, percentile } from "@spillway/examples/metricstream/live/latency"
import { Ring } from "@spillway/examples/metricstream/live/ring"
import { heartbeat } from "@spillway/examples/metricstream/live/serverSentEvents"
import { Watches } from "@spillway/examples/metricstream/live/watches"
import { EventParser } from "@spillway/examples/metricstream/page/browser/events"
import { Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { toColumns } from "./support/files.ts"

const hello: Hello = { version: "v", interval: 1000, keep: 4, workers: 3, now: 0 }

/** A feed that keeps four points and two news, and how many points were lost. */
const makeFeed = (viewers = 2) => {
  const lost: Array<number> = []
  const feed = new Feed({ points: 4, news: 2, viewers, viewersOfClient: 2, onLost: (points) => lost.push(points) })
  return { feed, lost }
}

const publish = (feed: Feed, ...times: ReadonlyArray<number>) => times.forEach((time) => feed.publish([time, time / 2]))

/** What a viewer reads, as a browser understands it. */
const read = (text: string | undefined) =>
  new EventParser().feed(text ?? "").map(({ data, event, id }) => [event, JSON.parse(data), id])

describe("Feed", () => {
  it("greets a viewer, sends it the points that it keeps, and then each once", () => {
    const { feed } = makeFeed()
    publish(feed, 1, 2)
    const viewer = feed.open("a", hello, undefined)
    const text = feed.take(viewer)
    assert.match(text!, /^retry: \d+\n\n/)
    assert.deepStrictEqual(read(text), [
      ["hello", hello, ""],
      [
        "points",
        [
          [1, 0.5],
          [2, 1]
        ],
        "2"
      ]
    ])
    assert.isUndefined(feed.take(viewer))
    publish(feed, 3)
    assert.deepStrictEqual(read(feed.take(viewer)), [["points", [[3, 1.5]], "3"]])
  })

  it("sends a viewer that comes back what it missed, and nothing twice", () => {
    const { feed } = makeFeed()
    publish(feed, 10, 20, 30)
    const times = (after: number | undefined) => {
      const viewer = feed.open("a", hello, after)
      feed.close(viewer)
      const [, points] = read(feed.take(viewer))
      return ((points?.[1] ?? []) as ReadonlyArray<ReadonlyArray<number>>).map(([time]) => time)
    }
    assert.deepStrictEqual(times(20), [30])
    assert.deepStrictEqual(times(15), [20, 30])
    assert.deepStrictEqual(times(5), [10, 20, 30])
    assert.deepStrictEqual(times(30), [])
    assert.deepStrictEqual(times(99), [])
    assert.deepStrictEqual(times(undefined), [10, 20, 30])
  })

  it("lets a viewer that does not read lose the oldest points, counts them, and keeps nothing for it", () => {
    const { feed, lost } = makeFeed()
    const slow = feed.open("a", hello, undefined)
    const quick = feed.open("a", hello, undefined)
    feed.take(slow)
    for (let time = 1; time <= 10; time++) {
      publish(feed, time)
      assert.deepStrictEqual(read(feed.take(quick)).at(-1)?.[2], String(time))
    }
    assert.deepStrictEqual(lost, [])
    const [[, points]] = read(feed.take(slow)) as [[string, ReadonlyArray<[number]>]]
    assert.deepStrictEqual(
      points.map(([time]) => time),
      [7, 8, 9, 10]
    )
    assert.deepStrictEqual(lost, [6])
  })

  it("tells a viewer that missed news to ask for everything again", () => {
    const { feed } = makeFeed()
    const viewer = feed.open("a", hello, undefined)
    feed.take(viewer)
    feed.tell("news", 1)
    feed.tell("news", 2)
    assert.deepStrictEqual(read(feed.take(viewer)), [
      ["news", 1, ""],
      ["news", 2, ""]
    ])
    feed.tell("news", 3)
    feed.tell("news", 4)
    feed.tell("news", 5)
    assert.deepStrictEqual(read(feed.take(viewer)), [["resync", {}, ""]])
    assert.isUndefined(feed.take(viewer))
  })

  it("wakes a viewer once for each point", () => {
    const { feed } = makeFeed()
    const viewer = feed.open("a", hello, undefined)
    feed.take(viewer)
    let woken = 0
    assert.isFalse(feed.isReady(viewer))
    viewer.wake = () => woken++
    publish(feed, 1, 2)
    assert.strictEqual(woken, 1)
    assert.isTrue(feed.isReady(viewer))
  })

  it("begins anew when the clock was set back", () => {
    const { feed, lost } = makeFeed()
    const viewer = feed.open("a", hello, undefined)
    publish(feed, 100, 200)
    feed.take(viewer)
    publish(feed, 50)
    assert.deepStrictEqual(read(feed.take(viewer)), [["points", [[50, 25]], "50"]])
    assert.deepStrictEqual(read(feed.take(feed.open("a", hello, undefined)))[1], ["points", [[50, 25]], "50"])
    assert.deepStrictEqual(lost, [])
  })

  it("has room for so many viewers and no more, until one leaves or it ends", () => {
    const { feed } = makeFeed(2)
    const first = feed.open("a", hello, undefined)
    assert.isUndefined(feed.refusal("b"))
    feed.open("b", hello, undefined)
    assert.strictEqual(feed.refusal("b"), "Full")
    feed.close(first)
    feed.close(first)
    assert.strictEqual(feed.size, 1)
    assert.isUndefined(feed.refusal("b"))
    feed.end()
    assert.strictEqual(feed.refusal("b"), "Draining")
  })

  it("has room for so many viewers of one client, whatever the others have", () => {
    const { feed } = makeFeed(4)
    const first = feed.open("a", hello, undefined)
    feed.open("a", hello, undefined)
    assert.deepStrictEqual([feed.refusal("a"), feed.refusal("b")], ["Quota", undefined])
    feed.open("b", hello, undefined)
    feed.close(first)
    assert.isUndefined(feed.refusal("a"))
  })

  it("says that it is full, also to a client that could not have more if it were not", () => {
    const { feed } = makeFeed(2)
    feed.open("a", hello, undefined)
    feed.open("a", hello, undefined)
    assert.strictEqual(feed.refusal("a"), "Full")
  })

  it("lets each viewer read what there is before it ends, and says that it ends", () => {
    const { feed } = makeFeed()
    const viewer = feed.open("a", hello, undefined)
    feed.take(viewer)
    publish(feed, 1)
    let woken = false
    viewer.wake = () => (woken = true)
    feed.end()
    feed.end()
    assert.isTrue(woken)
    assert.isTrue(feed.isReady(viewer))
    assert.deepStrictEqual(read(feed.take(viewer)), [
      ["points", [[1, 0.5]], "1"],
      ["drain", {}, "1"]
    ])
    assert.isUndefined(feed.take(viewer))
    assert.isTrue(feed.ended)
  })

  it("sends the tail of the series that is watched when it has changed, and only the last one", () => {
    const { feed } = makeFeed()
    const watches = new Watches()
    const watch = watches.join({ name: "a", step: 1000 })
    const viewer = feed.open("a", hello, undefined, watch)
    feed.take(viewer)
    assert.isFalse(feed.isReady(viewer))
    const tail = (from: number) => ({ name: "a", from, step: 1000, columns: [[1, null]] })
    watch.update(tail(1))
    watch.update(tail(2))
    assert.isTrue(feed.isReady(viewer))
    assert.deepStrictEqual(read(feed.take(viewer)), [["tail", tail(2), ""]])
    assert.isUndefined(feed.take(viewer))
  })

  it("sends nobody who begins to watch what was read before", () => {
    const { feed } = makeFeed()
    const watched = { name: "a", step: 7_200_000 }
    const tail = (from: number) => ({ ...watched, from, columns: [[1, null]] })
    const watches = new Watches()
    const first = feed.open("a", hello, undefined, watches.join(watched))
    const watch = first.watch!
    watch.begin(0)
    watch.update(tail(1))
    const second = feed.open("a", hello, undefined, watches.join(watched))
    assert.deepStrictEqual(
      read(feed.take(second)).map(([event]) => event),
      ["hello"]
    )
    assert.isFalse(feed.isReady(second))
    assert.deepStrictEqual(watches.due(1), [watch])
    watch.begin(1)
    watch.update(tail(2))
    for (const viewer of [first, second]) assert.deepStrictEqual(read(feed.take(viewer)).at(-1), ["tail", tail(2), ""])
  })
})

describe("Ring", () => {
  it("keeps the last items by their numbers", () => {
    const ring = new Ring<string>(3)
    assert.deepStrictEqual([ring.next, ring.oldest, ring.last, ring.from(0)], [0, 0, undefined, []])
    for (const item of ["a", "b", "c", "d", "e"]) ring.push(item)
    assert.deepStrictEqual([ring.next, ring.oldest, ring.last], [5, 2, "e"])
    assert.deepStrictEqual([ring.from(0), ring.from(3), ring.from(5)], [["c", "d", "e"], ["d", "e"], []])
  })
})

describe("Watches", () => {
  it("reads a series once for all who watch it, when it has changed, and not more often than its buckets are worth", () => {
    const watches = new Watches()
    const watch = watches.join({ name: "a", step: 60_000 })
    assert.strictEqual(watches.join({ name: "a", step: 60_000 }), watch)
    assert.notStrictEqual(watches.join({ name: "a", step: 1000 }), watch)
    watches.join({ name: "b", step: 1000 })
    const due = (now: number) => watches.due(now).map(({ name, step }) => `${name} ${step}`)
    assert.deepStrictEqual(due(0), ["a 60000", "a 1000", "b 1000"])
    for (const each of watches.due(0)) each.begin(0)
    assert.deepStrictEqual(due(100_000), [])
    watches.changed(["a", "x"])
    assert.deepStrictEqual(due(999), [])
    assert.deepStrictEqual(due(1000), ["a 1000"])
    assert.deepStrictEqual(due(3000), ["a 60000", "a 1000"])
  })

  it("forgets a series when the last viewer leaves", () => {
    const watches = new Watches()
    const watch = watches.join({ name: "a", step: 1000 })
    watches.join(watch)
    watches.leave(watch)
    assert.strictEqual(watches.due(0).length, 1)
    watches.leave(watch)
    assert.deepStrictEqual(watches.due(0), [])
  })

  it("looks at the present bucket and the one before", () => {
    const watch = new Watches().join({ name: "a", step: 1000 })
    assert.deepStrictEqual(watch.rangeAt(12_345), { from: 11_000, to: 13_000, step: 1000 })
  })
})

describe("Changes", () => {
  const event = (name: string, value: number, timestamp: number) => ({ name, value, timestamp })

  it("says of each series that got events how many it has, and the new one with the latest timestamp", () => {
    const changes = new Changes(10)
    assert.isUndefined(changes.take())
    changes.add(toColumns([event("a", 1, 20), event("b", 2, 20), event("a", 3, 10)]), Float64Array.of(12, 7))
    changes.add(toColumns([event("a", 4, 20)]), Float64Array.of(13))
    assert.deepStrictEqual(changes.take(), {
      changes: [
        ["a", 13, 20, 4],
        ["b", 7, 20, 2]
      ],
      more: false
    })
    assert.isUndefined(changes.take())
  })

  it("says nothing of series whose events were refused", () => {
    const changes = new Changes(1)
    const { names, ...rows } = toColumns([event("b", 1, 1)])
    changes.add({ ...rows, names: ["a", ...names], series: Uint32Array.of(1) }, Float64Array.of(0, 1))
    assert.deepStrictEqual(changes.take(), { changes: [["b", 1, 1, 1]], more: false })
  })

  it("names so many series at most, and says that there are more", () => {
    const changes = new Changes(2)
    changes.add(toColumns(["a", "b", "c", "a"].map((name) => event(name, 1, 1))), Float64Array.of(2, 1, 1))
    assert.deepStrictEqual(changes.take(), {
      changes: [
        ["a", 2, 1, 1],
        ["b", 1, 1, 1]
      ],
      more: true
    })
    changes.add(toColumns([event("c", 1, 1)]), Float64Array.of(2))
    assert.deepStrictEqual(changes.take(), { changes: [["c", 2, 1, 1]], more: false })
  })
})

describe("percentile", () => {
  const boundaries = [1, 2, 4]
  const of = (counts: ReadonlyArray<number>, share: number, sum = NaN) => percentile(counts, sum, boundaries, share)

  it("is linear within a bucket", () => {
    assert.strictEqual(of([10, 0, 0, 0], 0.5), 0.5)
    assert.strictEqual(of([0, 0, 10, 0], 0.5), 3)
    assert.strictEqual(of([5, 5, 0, 0], 0.5), 1)
    assert.strictEqual(of([98, 0, 2, 0], 0.99), 3)
  })

  it("is the last boundary above it, the one observation if there is one, and nothing if there is none", () => {
    assert.strictEqual(of([0, 0, 0, 2], 0.5), 4)
    assert.strictEqual(of([0, 1, 0, 0], 0.99, 1.25), 1.25)
    assert.isNull(of([0, 0, 0, 0], 0.5))
  })

  it("is of what was counted since the look before", () => {
    assert.deepStrictEqual(difference([3, 5], [1, 5]), [2, 0])
    assert.deepStrictEqual(difference([3, 5], []), [3, 5])
  })
})

describe("follow", () => {
  /** Collects what a viewer reads. */
  const following = (feed: Feed) =>
    Effect.gen(function* () {
      const viewer = feed.open("a", hello, undefined)
      const read: Array<string> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(follow(feed, viewer), (text) => Effect.sync(() => read.push(text))),
        { startImmediately: true }
      )
      return { fiber, read, viewer }
    })

  it.effect("sends what there is at once, and says after 5 seconds that there is nothing", () =>
    Effect.gen(function* () {
      const { feed } = makeFeed()
      const { read: texts } = yield* following(feed)
      yield* TestClock.adjust(0)
      assert.strictEqual(texts.length, 1)
      yield* TestClock.adjust("4 seconds")
      publish(feed, 1)
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(texts.slice(1).flatMap(read), [["points", [[1, 0.5]], "1"]])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(texts.slice(2), [heartbeat])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(texts.slice(2), [heartbeat, heartbeat, heartbeat])
      publish(feed, 2)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(read(texts.at(-1)), [["points", [[2, 1]], "2"]])
    })
  )

  it.effect("ends when the feed does, and waits for nothing once it is interrupted", () =>
    Effect.gen(function* () {
      const { feed } = makeFeed()
      const first = yield* following(feed)
      const second = yield* following(feed)
      yield* TestClock.adjust(0)
      assert.isDefined(second.viewer.wake)
      yield* Fiber.interrupt(second.fiber)
      assert.isUndefined(second.viewer.wake)
      feed.end()
      assert.deepStrictEqual(yield* Fiber.await(first.fiber), Exit.void)
      assert.deepStrictEqual(read(first.read.at(-1)), [["drain", {}, ""]])
    })
  )
})
