import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Metric, Queue, References, Scheduler, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { EventLoop, RuntimeMetrics } from "@spillway/runtime"

const long = 400

/** Burns CPU time. On a machine that has other things to do it lasts longer, so that whoever watches is late, but not too late. */
const spin = (millis: number): void => {
  const start = process.threadCpuUsage()
  for (;;) {
    const { system, user } = process.threadCpuUsage(start)
    if ((system + user) / 1000 >= millis) return
  }
}

const blocking = Effect.sync(() => spin(long))

/** Those blocks that are worth a look: on a busy machine others come in between. */
const nextBlock = (blocks: Queue.Dequeue<EventLoop.Block>, wanted: (block: EventLoop.Block) => boolean = isLong) =>
  Queue.take(blocks).pipe(Effect.repeat({ until: wanted }), Effect.timeout("10 seconds"), Effect.orDie)

/** Another process that takes the processor for as long is seen too: this thread does not work meanwhile. */
const isLong = ({ cpu, duration }: EventLoop.Block): boolean => Duration.toMillis(cpu ?? duration) > long / 4

/** A macrotask between what a test did before and what it does now. */
const turn = Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 1))

interface Watched {
  readonly loop: EventLoop.EventLoop["Service"]
  readonly blocks: Queue.Dequeue<EventLoop.Block>
  readonly log: ReadonlyArray<string>
}

/** Runs `body` on a watched loop. */
const watched = <E>(
  body: (watched: Watched) => Effect.Effect<void, E>,
  { logger: other, ...options }: EventLoop.Options & { readonly logger?: Logger.Logger<unknown, void> } = {}
) => {
  const log: Array<string> = []
  const logger = Logger.make(({ message }) => void log.push(String((message as ReadonlyArray<unknown>)[0])))
  return Effect.gen(function* () {
    const loop = yield* EventLoop.EventLoop
    const blocks = yield* Queue.unbounded<EventLoop.Block>()
    yield* Effect.forkChild(
      Stream.runForEach(loop.blocks, (block) => Queue.offer(blocks, block)),
      { startImmediately: true }
    )
    assert.isTrue(yield* loop.watching)
    yield* body({ loop, blocks, log })
  }).pipe(
    Effect.provide(EventLoop.EventLoop.layer({ stuckAfter: "1 hour", ...options })),
    Effect.provide(Logger.layer(other === undefined ? [logger] : [logger, other]))
  )
}

/** A request through a real router, in the context of the caller. */
const request = (path: string, handler: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const routes = HttpRouter.add("GET", "/report/:id", Effect.as(handler, HttpServerResponse.empty()))
    const layer = Layer.provideMerge(routes, Layer.succeedContext(context)) as typeof routes
    const { dispose, handler: run } = HttpRouter.toWebHandler(layer, { disableLogger: true })
    yield* Effect.promise(() => run(new Request(`http://localhost${path}`)))
    yield* Effect.promise(dispose)
  })

describe("EventLoop", () => {
  for (const [when, handler] of [
    ["at once", blocking],
    ["after it slept", Effect.andThen(Effect.sleep(5), blocking)]
  ] as const) {
    it.live(`names route and span of a handler that blocks ${when}`, () =>
      watched(({ blocks, log }) =>
        Effect.gen(function* () {
          yield* request("/report/7", Effect.withSpan(handler, "compute"))
          const { route, shared, span, stack } = yield* nextBlock(blocks)
          assert.deepStrictEqual([route, span?.name, shared, stack], ["GET /report/:id", "compute", false, []])
          assert.match(span?.traceId ?? "", /^[0-9a-f]{32}$/)
          assert.isTrue(log.some((line) => line.includes("by GET /report/:id; nothing else ran: offload")))
        })
      )
    )
  }

  it.live("says nothing of a loop that is busy but turns", () =>
    watched(({ blocks }) =>
      Effect.gen(function* () {
        const step = Effect.andThen(
          turn,
          Effect.sync(() => spin(20))
        )
        yield* Effect.withSpan(Effect.repeat(step, { times: 60 }), "busy")
        yield* Effect.andThen(turn, Effect.withSpan(blocking, "blocking"))
        assert.strictEqual((yield* nextBlock(blocks)).span?.name, "blocking")
      })
    )
  )

  it.live("does not lay a callback of node at the door of the fiber before it, nor of the next", () =>
    watched(({ blocks }) =>
      Effect.gen(function* () {
        const runFork = Effect.runForkWith(yield* Effect.context<never>())
        const callback = Effect.callback<void>((resume) => {
          setTimeout(() => {
            spin(long)
            runFork(
              Effect.withSpan(
                Effect.sync(() => spin(5)),
                "next"
              )
            )
            setTimeout(() => resume(Effect.void), 1)
          }, 1)
        })
        yield* Effect.withSpan(Effect.andThen(turn, callback), "innocent")
        const { route, shared, span } = yield* nextBlock(blocks)
        assert.deepStrictEqual([route, span, shared], [undefined, undefined, false])
      })
    )
  )

  it.live("names the label of synchronous code outside of fibers", () =>
    watched(({ blocks, loop }) =>
      Effect.gen(function* () {
        const id = loop.labelId("parse")
        assert.strictEqual(loop.labelId("parse"), id)
        setTimeout(() => {
          const previous = loop.enter(id)
          spin(long)
          loop.leave(previous)
        }, 1)
        assert.strictEqual((yield* nextBlock(blocks)).route, "parse")
      })
    )
  )

  it.live("gives no more labels than it keeps", () =>
    watched(({ loop }) =>
      Effect.sync(() => {
        const ids = Array.from({ length: 1100 }, (_, i) => loop.labelId(`label ${i}`))
        assert.deepStrictEqual([ids[0], ids[1023], ids[1024], ids[1099], loop.labelId("label 3")], [1, 1024, 0, 0, 4])
      })
    )
  )

  it.live("says of many small ones that it was not one", () =>
    watched(({ blocks, log }) =>
      Effect.gen(function* () {
        const small = (_: unknown, i: number) =>
          Effect.withSpan(
            Effect.sync(() => spin(10)),
            `small ${i}`
          )
        const all = Effect.forEach(Array.from({ length: long / 10 }), small, {
          concurrency: "unbounded",
          discard: true
        })
        // A watch that has no time meanwhile does not see who it was.
        const { shared } = yield* Effect.repeat(turn.pipe(Effect.andThen(all), Effect.andThen(nextBlock(blocks))), {
          until: ({ span }) => span?.name.startsWith("small") === true
        }).pipe(Effect.timeout("20 seconds"))
        assert.isTrue(shared)
        assert.isTrue(log.some((line) => line.includes("several fibers, among them small")))
      })
    )
  )

  it.live("gives each block to onBlock and the metrics, whatever onBlock does, and logs the culprit once", () => {
    const given: Array<string | undefined> = []
    const onBlock = ({ span }: EventLoop.Block) =>
      Effect.sync(() => void given.push(span?.name)).pipe(Effect.andThen(Effect.die(new Error("no"))))
    return watched(
      ({ blocks, log }) =>
        Effect.gen(function* () {
          const counter = Metric.withAttributes(RuntimeMetrics.eventLoopBlocks, { route: "unknown" })
          const before = yield* Metric.value(counter)
          for (let i = 0; i < 2; i++) {
            yield* Effect.andThen(turn, Effect.withSpan(blocking, "twice"))
            yield* nextBlock(blocks)
          }
          // The second is being reported when it is published.
          yield* Effect.yieldNow
          assert.deepStrictEqual(
            given.filter((name) => name === "twice"),
            ["twice", "twice"]
          )
          assert.isAtLeast((yield* Metric.value(counter)).count - before.count, 2)
          assert.lengthOf(
            log.filter((line) => line.includes("by twice;")),
            1
          )
          assert.include(log, "onBlock of EventLoop died")
        }),
      { onBlock, logInterval: "1 hour" }
    )
  })

  it.live("says of a culprit that it is silent about how often it was", () => {
    const silenced: Array<unknown> = []
    const logger = Logger.make(({ fiber, message }) => {
      if (String(message).includes("by again;")) silenced.push(fiber.getRef(References.CurrentLogAnnotations).silenced)
    })
    // Short, so that the second one is over before it may be logged, however busy the machine is.
    const short = Effect.sync(() => spin(150))
    const block = Effect.andThen(turn, Effect.withSpan(short, "again"))
    return watched(
      ({ blocks }) =>
        Effect.gen(function* () {
          const next = Effect.andThen(
            block,
            nextBlock(blocks, ({ span }) => span?.name === "again")
          )
          yield* next
          yield* next
          assert.deepStrictEqual(silenced, [undefined])
          yield* Effect.sleep(4000)
          yield* next
          // A block that is seen in two parts counts twice.
          assert.lengthOf(silenced, 2)
          assert.isAtLeast(Number(silenced[1]), 1)
        }),
      { logInterval: "4 seconds", logger }
    )
  })

  it.live("keeps the scheduler that there was", () => {
    const asked: Array<string> = []
    class Own extends Scheduler.MixedScheduler {
      override shouldYield(...args: Parameters<Scheduler.MixedScheduler["shouldYield"]>) {
        asked.push("own")
        return super.shouldYield(...args)
      }
    }
    return watched(() =>
      Effect.gen(function* () {
        assert.notInstanceOf(yield* Scheduler.Scheduler, Own)
        asked.length = 0
        yield* turn
        assert.include(asked, "own")
      })
    ).pipe(Effect.provideService(Scheduler.Scheduler, new Own()))
  })

  it.live("reads windows, not the time since the process began", () =>
    Effect.gen(function* () {
      const sampler = yield* Effect.acquireRelease(
        Effect.sync(() => EventLoop.makeSampler({ window: 100 })),
        (sampler) => Effect.sync(() => sampler.close())
      )
      const sample = Effect.sync(() => sampler.sample(performance.now()))
      assert.deepStrictEqual(yield* sample, { utilization: 0, delayP50: 0, delayP99: 0, delayMax: 0 })
      yield* Effect.andThen(turn, blocking)
      yield* turn
      const busy = yield* sample
      assert.isAbove(busy.utilization, 0.5)
      assert.isAbove(busy.delayMax, long / 2)
      assert.deepStrictEqual(yield* sample, busy)
      const idle = yield* Effect.andThen(Effect.sleep(200), sample).pipe(
        Effect.repeat({ until: ({ delayMax }) => delayMax < long / 2, times: 20 })
      )
      assert.isBelow(idle.utilization, busy.utilization)
    })
  )

  it.live("has the last window in stats and in the gauges", () =>
    Effect.gen(function* () {
      const { stats } = yield* EventLoop.EventLoop
      yield* Effect.andThen(turn, blocking)
      const { delayMax, utilization } = yield* Effect.andThen(Effect.sleep(20), stats).pipe(
        Effect.repeat({ until: (stats) => Duration.toMillis(stats.delayMax) > long / 2 }),
        Effect.timeout("10 seconds")
      )
      assert.isAbove(utilization, 0)
      const gauge = yield* Metric.value(RuntimeMetrics.eventLoopDelayMax)
      assert.closeTo(gauge.value, Duration.toSeconds(delayMax), 1e-9)
    }).pipe(Effect.provide(EventLoop.EventLoop.layer({ threshold: Infinity, window: 100 })))
  )
})
