import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  Fiber,
  Latch,
  Layer,
  Metric,
  Schema,
  Scope,
  Stream
} from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Deadline, Offload, OffloadEffectWorker, OffloadTask } from "@spillway/runtime"
import {
  DeadlinePassed,
  OffloadDefect,
  OffloadError,
  Saturated,
  TimedOut,
  Unavailable
} from "@spillway/runtime/OffloadError"

class Odd extends Schema.TaggedError<Odd>("Odd")("Odd", { value: Schema.Number }) {}

const Tasks = RpcGroup.make(
  Rpc.make("half", { payload: { value: Schema.NumberFromString }, success: Schema.NumberFromString, error: Odd }),
  Rpc.make("sleep", { payload: { millis: Schema.Number } }),
  Rpc.make("ask", { payload: Schema.Any, success: Schema.Any }),
  Rpc.make("raw", { payload: Schema.NumberFromString, success: Schema.Any }).annotate(OffloadTask.Unchecked, true),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.NumberFromString, error: Odd, stream: true })
)

class Word extends Context.Service<Word, string>()("test/Word") {}

class Inline extends Offload.Service<Inline>()("test/Inline", Tasks) {}

type Handlers = Offload.InlineHandlers<RpcGroup.Rpcs<typeof Tasks>>

const handlers: Handlers = {
  half: ({ value }, { fail }) => {
    if (Number(value) % 2 === 1) throw fail({ _tag: "Odd", value: Number(value) })
    return String(Number(value) / 2)
  },
  sleep: ({ millis }) => Effect.sleep(millis),
  ask: async (question) => question,
  raw: (payload) => typeof payload,
  count: function* ({ to }, { fail }) {
    for (let n = 1; n <= to; n++) yield String(n)
    if (to % 2 === 1) throw fail({ _tag: "Odd", value: to })
  }
}

const layer = (more: Partial<Handlers> = {}, options?: Offload.Options) =>
  Inline.layerInline({ ...handlers, ...more }, { workers: 1, ...options })

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** Lets everything go on that can without time passing. */
const settled = Effect.promise(async () => {
  for (let turn = 0; turn < 20; turn++) await setImmediate()
})

const failure = (task: string, reason: OffloadError["reason"]) => Exit.fail(new OffloadError({ task, reason }))

/** A handler that never ends of itself, and what it is seen to do. */
const makeHanging = () => {
  const log: Array<string> = []
  const hang = (_: unknown, { signal }: { readonly signal: AbortSignal }) =>
    new Promise<never>((_, reject) => {
      log.push("started")
      signal.addEventListener("abort", () => {
        log.push("aborted")
        reject(signal.reason)
      })
    })
  return { log, hang }
}

describe("Offload.layerInline", () => {
  it.effect("gives handlers the encoded payload and decodes what they return", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      assert.strictEqual(yield* tasks.half({ value: 42 }), 21)
      assert.deepStrictEqual(yield* tasks.ask({ date: new Date(0) }), { date: new Date(0) })
      assert.deepStrictEqual(yield* Effect.exit(tasks.half({ value: 3 })), Exit.fail(new Odd({ value: 3 })))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("decodes what the effect of a handler ends with", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      assert.strictEqual(yield* tasks.half({ value: 42 }), 21)
      assert.deepStrictEqual(yield* Effect.exit(tasks.half({ value: 3 })), Exit.fail(new Odd({ value: 3 })))
    }).pipe(
      Effect.provide(
        layer({
          half: ({ value }) =>
            Number(value) % 2 === 1
              ? Effect.fail({ _tag: "Odd" as const, value: Number(value) })
              : Effect.succeed(String(Number(value) / 2))
        })
      )
    )
  )

  it.effect("lets an unchecked task pass without its schemas", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* (yield* Inline).raw(1), "number")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("passes copies, except for what is moved", () => {
    const kept = { list: [1] }
    const moved = new Uint8Array(8)
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const question = { list: [0] }
      assert.deepStrictEqual(yield* tasks.ask(question), [{ list: [0, 1] }, kept, new Uint8Array(8)])
      assert.deepStrictEqual(question, { list: [0] })
      assert.strictEqual(moved.byteLength, 0)
    }).pipe(
      Effect.provide(
        layer({
          ask: (question, { transfer }) => {
            question.list.push(1)
            return transfer([question, kept, moved], [moved.buffer])
          }
        })
      )
    )
  })

  it.effect("dies, naming the task, for what breaks the contract", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const expectDefect = (exit: Exit.Exit<unknown, unknown>, task: string) => {
        const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(defect, OffloadDefect)
        assert.strictEqual(defect.task, task)
        return defect.cause
      }
      expectDefect(yield* Effect.exit(tasks.sleep({ millis: "1" as never })), "sleep")
      expectDefect(yield* Effect.exit(tasks.ask(() => 1)), "ask")
      const thrown = expectDefect(yield* Effect.exit(tasks.ask("throw")), "ask")
      assert.deepStrictEqual(thrown, new TypeError("broken"))
      expectDefect(yield* Effect.exit(tasks.ask("uncloneable")), "ask")
      expectDefect(yield* Effect.exit(tasks.half({ value: 1 })), "half")
      expectDefect(yield* Effect.exit(Stream.runDrain(tasks.count({ to: 1 }))), "count")
      assert.strictEqual((yield* Offload.stats(tasks)).ended.defect, 6)
      assert.strictEqual((yield* Offload.stats(tasks)).running, 0)
    }).pipe(
      Effect.provide(
        layer({
          half: () => 1 as never,
          ask: (question) => {
            if (question === "throw") throw new TypeError("broken")
            return () => question
          },
          count: () => 1 as never
        })
      )
    )
  )

  it.effect("refuses what its queue does not hold", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const running = yield* start(tasks.sleep({ millis: 10 }))
      const exit = yield* Effect.exit(tasks.sleep({ millis: 10 }))
      const reason = new Saturated({ why: "QueueFull", queued: 0, retryAfter: Duration.seconds(1) })
      assert.deepStrictEqual(exit, failure("sleep", reason))
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(running)
    }).pipe(Effect.provide(layer({}, { maxQueued: 0 })))
  )

  it.effect("refuses a task that waited too long, and one whose place is taken", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      yield* start(tasks.sleep({ millis: 1000 }))
      const displaced = yield* start(Effect.exit(tasks.sleep({ millis: 1 }, { priority: "low" })))
      const waiting = yield* start(Effect.exit(tasks.sleep({ millis: 1 }, { priority: "high" })))
      yield* TestClock.adjust("20 millis")
      const retryAfter = Duration.seconds(1)
      assert.deepStrictEqual(
        yield* Fiber.join(displaced),
        failure("sleep", new Saturated({ why: "Displaced", queued: 1, retryAfter }))
      )
      assert.deepStrictEqual(
        yield* Fiber.join(waiting),
        failure("sleep", new Saturated({ why: "WaitExceeded", queued: 0, retryAfter }))
      )
    }).pipe(Effect.provide(layer({}, { maxQueued: 1, maxWait: "20 millis" })))
  )

  it.effect("runs workers times concurrency tasks at once, by their priority", () => {
    const order: Array<string> = []
    const latch = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const calls: ReadonlyArray<readonly [string, "high" | "normal" | "low"]> = [
        ["a", "normal"],
        ["b", "low"],
        ["c", "low"],
        ["d", "normal"],
        ["e", "high"]
      ]
      const all = yield* start(
        Effect.forEach(calls, ([name, priority]) => tasks.ask(name, { priority }), { concurrency: "unbounded" })
      )
      assert.deepStrictEqual(order, ["a", "b"])
      yield* latch.open
      assert.deepStrictEqual(yield* Fiber.join(all), ["a", "b", "c", "d", "e"])
      assert.deepStrictEqual(order, ["a", "b", "e", "d", "c"])
    }).pipe(
      Effect.provide(
        layer({ ask: (name) => (order.push(name), Effect.as(latch.await, name)) }, { workers: 1, concurrency: 2 })
      )
    )
  })

  it.effect("ends a task that runs for longer than its timeout, which begins with its start", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const first = yield* start(tasks.sleep({ millis: 40 }))
      const second = yield* start(Effect.exit(tasks.sleep({ millis: 1000 })))
      yield* TestClock.adjust("89 millis")
      yield* Fiber.join(first)
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        yield* Fiber.join(second),
        failure("sleep", new TimedOut({ timeout: Duration.millis(50) }))
      )
    }).pipe(Effect.provide(layer({}, { timeout: "50 millis" })))
  )

  it.effect("never runs a task whose deadline passed while it waited", () => {
    const started: Array<number> = []
    return Effect.gen(function* () {
      const tasks = yield* Inline
      yield* start(tasks.sleep({ millis: 100 }))
      const deadline = Number(yield* Clock.monotonicTimeNanos) / 1e6 + 50
      const late = yield* start(
        Effect.exit(Effect.provideService(tasks.sleep({ millis: 1 }), Deadline.CurrentDeadline, deadline))
      )
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Fiber.join(late), failure("sleep", new DeadlinePassed()))
      assert.deepStrictEqual(started, [100])
    }).pipe(Effect.provide(layer({ sleep: ({ millis }) => (started.push(millis), Effect.sleep(millis)) })))
  })

  it.effect("tells a handler its deadline, what is left of it, and the span of its caller", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const span = yield* Effect.currentSpan
      const asked = Effect.andThen(TestClock.adjust("10 millis"), tasks.ask("what?"))
      assert.deepStrictEqual(yield* Deadline.within(asked, "50 millis"), {
        remaining: 40,
        traceparent: `00-${span.traceId}-${span.spanId}-01`
      })
    }).pipe(
      Effect.withSpan("test"),
      Effect.provide(layer({ ask: (_, { remaining, traceparent }) => ({ remaining: remaining(), traceparent }) }))
    )
  )

  it.effect("aborts the signal of a plain handler, and interrupts an effect, when the caller is interrupted", () => {
    const { hang, log } = makeHanging()
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const plain = yield* start(tasks.ask("?"))
      yield* Fiber.interrupt(plain)
      assert.deepStrictEqual(log, ["started", "aborted"])
      const effectful = yield* start(tasks.sleep({ millis: 1000 }))
      yield* Fiber.interrupt(effectful)
      assert.deepStrictEqual(log, ["started", "aborted", "interrupted"])
      assert.strictEqual((yield* Offload.stats(tasks)).ended.interrupted, 2)
    }).pipe(
      Effect.provide(
        layer({
          ask: hang,
          sleep: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("interrupted")))
        })
      )
    )
  })

  it.effect("never runs a waiting task whose caller was interrupted", () => {
    const { hang, log } = makeHanging()
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const running = yield* start(tasks.sleep({ millis: 10 }))
      const waiting = yield* start(tasks.ask("?"))
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(running)
      assert.deepStrictEqual(log, [])
      assert.strictEqual((yield* Offload.stats(tasks)).queued, 0)
    }).pipe(Effect.provide(layer({ ask: hang })))
  })

  it.effect("lets a caller go at once, but keeps the place of an effect until that has ended", () => {
    const finalizer = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const leaving = yield* start(tasks.sleep({ millis: 1 }))
      yield* Fiber.interrupt(leaving)
      assert.strictEqual((yield* Offload.stats(tasks)).running, 1)
      const next = yield* start(tasks.half({ value: 2 }))
      assert.isUndefined(next.pollUnsafe())
      yield* finalizer.open
      assert.strictEqual(yield* Fiber.join(next), 1)
    }).pipe(Effect.provide(layer({ sleep: () => Effect.onInterrupt(Effect.never, () => finalizer.await) })))
  })

  it.effect("keeps the place of a cooperative task that was cancelled until it has ended, and of no other", () => {
    const ends: Array<() => void> = []
    return Effect.gen(function* () {
      const tasks = yield* Inline
      yield* Fiber.interrupt(yield* start(tasks.ask("killed")))
      assert.strictEqual((yield* Offload.stats(tasks)).running, 0)
      yield* Fiber.interrupt(yield* start(tasks.ask("ends", { cancellation: "cooperative" })))
      assert.strictEqual((yield* Offload.stats(tasks)).running, 1)
      const next = yield* start(tasks.half({ value: 2 }))
      ends[1]!()
      assert.strictEqual(yield* Fiber.join(next), 1)
    }).pipe(Effect.provide(layer({ ask: () => new Promise<void>((resolve) => ends.push(resolve)) })))
  })

  it.effect("reports progress to a caller that listens, and dies of a listener that throws", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const reports: Array<unknown> = []
      yield* tasks.ask("?", { onProgress: (report) => reports.push(report) })
      assert.deepStrictEqual(reports, [1, 2])
      const broken = new Error("broken")
      const onProgress = () => {
        throw broken
      }
      const died = Exit.die(new OffloadDefect({ task: "ask", cause: broken }))
      assert.deepStrictEqual(yield* Effect.exit(tasks.ask("?", { onProgress })), died)
      const running = yield* start(tasks.sleep({ millis: 1 }))
      const queued = yield* start(Effect.exit(tasks.ask("?", { onProgress })))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(running)
      assert.deepStrictEqual(yield* Fiber.join(queued), died)
      assert.strictEqual((yield* Offload.stats(tasks)).running, 0)
    }).pipe(
      Effect.provide(
        layer({
          ask: async (_, { progress }) => {
            progress(1)
            progress(2)
          }
        })
      )
    )
  )

  it.effect("runs a stream for its consumer, and fails with its declared error", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      assert.deepStrictEqual(yield* Stream.runCollect(tasks.count({ to: 4 })), [1, 2, 3, 4])
      const seen: Array<number> = []
      const odd = Stream.runForEach(tasks.count({ to: 3 }), (n) => Effect.sync(() => seen.push(n)))
      assert.deepStrictEqual(yield* Effect.exit(odd), Exit.fail(new Odd({ value: 3 })))
      assert.deepStrictEqual(seen, [1, 2, 3])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("lets the producer of a stream be no more than its buffer ahead, and ends it with its consumer", () => {
    const log: Array<number | string> = []
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const some = tasks.count({ to: 100 }, { bufferSize: 2 }).pipe(
        Stream.tap((n) => Effect.sync(() => assert.isAtMost(log.length, n + 3))),
        Stream.take(5)
      )
      assert.deepStrictEqual(yield* Stream.runCollect(some), [1, 2, 3, 4, 5])
      yield* Effect.yieldNow
      assert.strictEqual(log.at(-1), "closed")
      assert.strictEqual((yield* Offload.stats(tasks)).ended.interrupted, 1)
      assert.throws(() => tasks.count({ to: 1 }, { bufferSize: 0 }), RangeError, "Offload.count: bufferSize")
    }).pipe(
      Effect.provide(
        layer({
          count: async function* ({ to }) {
            try {
              for (let n = 1; n <= to; n++) {
                log.push(n)
                yield String(n)
              }
            } finally {
              log.push("closed")
            }
          }
        })
      )
    )
  })

  it.effect.each([
    [
      "a generator",
      (made: (n: number) => string): Handlers["count"] =>
        function* ({ to }) {
          for (let n = 1; n <= to; n++) yield made(n)
        }
    ],
    [
      "a stream",
      (made: (n: number) => string): Handlers["count"] =>
        ({ to }) =>
          Stream.range(1, to, 3).pipe(Stream.rechunk(1), Stream.map(made))
    ],
    [
      "a stream of large chunks",
      (made: (n: number) => string): Handlers["count"] =>
        ({ to }) =>
          Stream.map(Stream.range(1, to), made)
    ]
  ] as const)("lets %s wait for a slow consumer, and go on", ([name, handler]) => {
    const log: Array<number> = []
    const gate = Latch.makeUnsafe()
    const made = (n: number) => (log.push(n), String(n))
    return Effect.gen(function* () {
      const items = (yield* Inline).count({ to: 20 }, { bufferSize: 2 })
      const emitted: Array<number> = []
      const slow = Stream.mapEffect(items, (n) => Effect.as(gate.await, emitted.push(n)))
      const fiber = yield* start(Stream.runCount(slow))
      yield* settled
      // Two that the consumer has taken or that wait for it, or what is made at once.
      assert.isAtMost(log.length, name === "a stream of large chunks" ? 20 : 2)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(fiber), 20)
      assert.deepStrictEqual(emitted, log)
    }).pipe(Effect.provide(layer({ count: handler(made) })))
  })

  it.effect("runs an Effect stream in time, and interrupts it with its consumer", () => {
    const log: Array<string> = []
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const seen: Array<number> = []
      const fiber = yield* start(Stream.runForEach(tasks.count({ to: 9 }), (n) => Effect.sync(() => seen.push(n))))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, [0])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, [0, 1])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(log, ["interrupted"])
    }).pipe(
      Effect.provide(
        layer({
          count: () =>
            Stream.tick("1 second").pipe(
              Stream.drop(1),
              Stream.zipWithIndex,
              Stream.map(([, n]) => String(n)),
              Stream.onExit((exit) => Effect.sync(() => log.push(Exit.hasInterrupts(exit) ? "interrupted" : "ended")))
            )
        })
      )
    )
  })

  it.effect("runs a layer of Effect RPC handlers as an effect worker does", () => {
    const log: Array<string> = []
    const released = (name: string) => Effect.acquireRelease(Effect.void, () => Effect.sync(() => log.push(name)))
    return Effect.gen(function* () {
      const tasks = yield* Inline
      const reports: Array<unknown> = []
      const half = tasks.half({ value: 42 }, { onProgress: (report) => reports.push(report) })
      const fiber = yield* start(Effect.all([half, tasks.half({ value: 4 })], { concurrency: "unbounded" }))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed([21, 2]))
      assert.deepStrictEqual(reports, ["half way"])
      assert.deepStrictEqual(log, ["half", "half"])
      const odd = yield* start(Effect.exit(tasks.half({ value: 3 })))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(odd), Exit.fail(new Odd({ value: 3 })))
      assert.strictEqual(yield* Deadline.within(tasks.ask("deadline"), "5 seconds"), 5000)
      assert.strictEqual(yield* tasks.ask("service"), "from the layer")
      const counted = yield* start(Stream.runCollect(tasks.count({ to: 3 })))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(counted.pollUnsafe(), Exit.succeed([1, 2, 3]))
      const interrupted = yield* start(tasks.sleep({ millis: 1 }))
      yield* Fiber.interrupt(interrupted)
      assert.strictEqual(log.at(-1), "sleep")
    }).pipe(
      Effect.provide(
        Inline.layerInline(
          Tasks.toLayer(
            Effect.gen(function* () {
              const service = yield* Word
              return Tasks.of({
                half: ({ value }) =>
                  Effect.gen(function* () {
                    yield* released("half")
                    yield* Effect.sleep("1 second")
                    yield* OffloadEffectWorker.progress("half way")
                    if (value % 2 === 1) return yield* new Odd({ value })
                    return value / 2
                  }),
                sleep: () => Effect.andThen(released("sleep"), Effect.never),
                ask: (what) =>
                  what === "service" ? Effect.succeed(service) : Effect.map(Deadline.remaining, Duration.toMillis),
                raw: (value) => Effect.succeed(value),
                count: ({ to }) =>
                  Stream.range(1, to).pipe(Stream.mapEffect((n) => Effect.as(Effect.sleep("1 second"), n)))
              })
            })
          ).pipe(Layer.provide(Layer.succeed(Word, "from the layer"))),
          { workers: 1 }
        )
      )
    )
  })

  it.effect("refuses tasks once its scope has closed, and ends those that are left", () => {
    const { hang, log } = makeHanging()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const tasks = Context.get(yield* Layer.buildWithScope(layer({ ask: hang }), scope), Inline)
      const running = yield* start(Effect.exit(tasks.ask("?")))
      const waiting = yield* start(Effect.exit(Stream.runDrain(tasks.count({ to: 1 }))))
      yield* Scope.close(scope, Exit.void)
      const reason = new Unavailable({ why: "Closed" })
      assert.deepStrictEqual(yield* Fiber.join(running), failure("ask", reason))
      assert.deepStrictEqual(yield* Fiber.join(waiting), failure("count", reason))
      assert.deepStrictEqual(log, ["started", "aborted"])
      assert.deepStrictEqual(yield* Effect.exit(tasks.half({ value: 2 })), failure("half", reason))
      assert.strictEqual((yield* Offload.stats(tasks)).ended.unavailable, 3)
    })
  })

  it.effect("counts what it does, as threads do", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const running = yield* start(tasks.sleep({ millis: 10 }))
      const waiting = yield* start(tasks.sleep({ millis: 20 }))
      const before = yield* Offload.stats(tasks)
      assert.deepStrictEqual([before.running, before.queued, before.workers], [1, 1, []])
      const gauges = new Map(
        (yield* Metric.snapshot)
          .filter(({ attributes }) => attributes?.["offload"] === "counting")
          .map(({ id, state }) => [id, (state as { readonly value?: number }).value])
      )
      assert.strictEqual(gauges.get("spillway_offload_running"), 1)
      assert.strictEqual(gauges.get("spillway_offload_queued"), 1)
      yield* TestClock.adjust("30 millis")
      yield* Fiber.joinAll([running, waiting])
      yield* Effect.exit(tasks.half({ value: 1 }))
      const { ended, run, wait } = yield* Offload.stats(tasks)
      assert.deepStrictEqual([ended.succeeded, ended.failed], [2, 1])
      assert.deepStrictEqual([wait.count, wait.max, run.count, run.max], [3, 0.01, 3, 0.02])
    }).pipe(Effect.provide(layer({}, { name: "counting" })), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("dies for options outside their range, and for a task without a handler", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.provide(Inline, layer({}, { workers: 0 })))
      const error = new RangeError("Offload.layerInline: workers must be an integer >= 1, got 0")
      assert.deepStrictEqual(exit, Exit.die(error))
      const missing = yield* Effect.exit(Effect.provide(Inline, layer({ half: undefined as never })))
      assert.deepStrictEqual(missing, Exit.die(new Error('Offload.layerInline: there is no handler for "half"')))
    })
  )
})
