import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Stream } from "effect"
import { EventLoop } from "@spillway/runtime"

const block = (overrides: Partial<EventLoop.Block> = {}): EventLoop.Block => ({
  duration: Duration.millis(312.4),
  cpu: Duration.millis(300),
  route: "GET /report",
  span: { name: "http.server GET", traceId: "t", spanId: "s" },
  shared: false,
  stack: [],
  ...overrides
})

describe("EventLoop", () => {
  it.effect("takes as options what its documentation allows", () =>
    Effect.gen(function* () {
      const build = (options: EventLoop.Options) =>
        Effect.exit(Effect.scoped(Effect.provide(EventLoop.EventLoop, EventLoop.EventLoop.layer(options))))
      assert.deepStrictEqual(
        yield* build({ threshold: 19 }),
        Exit.die(new RangeError("EventLoop.layer: threshold must be at least 20 ms, got 19 ms"))
      )
      assert.deepStrictEqual(
        yield* build({ threshold: Infinity, window: 49 }),
        Exit.die(new RangeError("EventLoop.makeSampler: window must be from 50 ms and finite, got 49 ms"))
      )
    })
  )

  it("refuses a sampler whose window never ends", () => {
    assert.throws(() => EventLoop.makeSampler({ window: Infinity }), RangeError)
  })

  it.effect("starts no thread without a threshold", () =>
    Effect.gen(function* () {
      const loop = yield* EventLoop.EventLoop
      assert.isFalse(yield* loop.watching)
      assert.deepStrictEqual(yield* Stream.runCollect(loop.blocks), [])
    }).pipe(Effect.provide(EventLoop.EventLoop.layer({ threshold: Infinity })))
  )

  it.effect("is, in a test, as the test says", () =>
    Effect.gen(function* () {
      const loop = yield* EventLoop.EventLoop
      const { delayP50, delayP99, utilization } = yield* loop.stats
      assert.deepStrictEqual([utilization, delayP50, delayP99], [0.97, Duration.zero, Duration.millis(80)])
      assert.deepStrictEqual(yield* Stream.runCollect(loop.blocks), [block()])
      assert.isFalse(yield* loop.watching)
    }).pipe(
      Effect.provide(
        EventLoop.EventLoop.layerTest({ utilization: 0.97, delayP99: Duration.millis(80), blocks: [block()] })
      )
    )
  )

  it("names the route, how long, and what to do", () => {
    assert.strictEqual(
      EventLoop.toMessage(block()),
      "the event loop was blocked for 312 ms by GET /report; nothing else ran: offload this work to a worker thread (docs/offload.md)"
    )
    assert.strictEqual(
      EventLoop.toMessage(block({ route: undefined, shared: true })),
      "the event loop was blocked for 312 ms by several fibers, among them http.server GET; nothing else ran: " +
        "bound how many of them run at once, or offload their work (docs/offload.md)"
    )
    assert.include(EventLoop.toMessage(block({ route: undefined, span: undefined })), "by something that is not known;")
  })

  it("names the function where the stack is known, and not those of node and Effect", () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, line: 3, column: 7 })
    const effect = "file:///a/node_modules/effect/dist/internal/effect.js"
    const stack = [frame("read", "node:fs"), frame("run", effect), frame("fib", "file:///a/fib.ts"), frame("", effect)]
    assert.include(EventLoop.toMessage(block({ stack })), "by GET /report, in fib (file:///a/fib.ts:3:7); ")
    const unnamed = block({ stack, route: undefined, span: undefined })
    assert.include(EventLoop.toMessage(unnamed), "by fib (file:///a/fib.ts:3:7); ")
  })
})
