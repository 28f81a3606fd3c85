import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import { assert, describe, it, layer } from "@effect/vitest"
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Schema, Scope, Stream } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Deadline, Offload, OffloadEffectWorker } from "@spillway/runtime"
import { OffloadDefect } from "@spillway/runtime/OffloadError"
import { Effects, effectsWorker, raise, Refused, Traced, tracedWorker } from "./fixtures/effects.ts"
import { makeFlags, raised } from "./fixtures/flags.ts"
import type { Data } from "./fixtures/effects.ts"

class EffectsOffload extends Offload.Service<EffectsOffload>()("test/Effects", Effects) {}

class TracedOffload extends Offload.Service<TracedOffload>()("test/Traced", Traced) {}

type Options = Omit<Offload.ThreadsOptions, "worker" | "data"> & { readonly data?: Data }

const threads = ({ data = {}, ...options }: Options) =>
  EffectsOffload.layerThreads({ worker: effectsWorker, workers: 1, spares: 0, data, ...options })

const provide = (options: Options) => Effect.provide(threads(options))

/** Tests that share a worker: each of its own costs half a second. */
const onOneWorker = layer(threads({ killGrace: "10 seconds" }), { excludeTestServices: true })

const open = Effect.fnUntraced(function* (options: Options) {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(threads(options), scope)
  return { scope, tasks: Context.get(context, EffectsOffload) }
})

const defectOf = <A, E>(exit: Exit.Exit<A, E>): Error => {
  const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(defect, OffloadDefect)
  assert.instanceOf(defect.cause, Error)
  return defect.cause as Error
}

describe("OffloadEffectWorker", () => {
  onOneWorker("on one worker", (it) => {
    it.effect("gives handlers decoded payloads and encodes their results", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        assert.isAbove(yield* tasks.threadId(), 0)
        assert.isUndefined(yield* tasks.nothing())
        assert.deepStrictEqual(yield* tasks.tomorrow({ date: new Date(0) }), new Date(86_400_000))
      })
    )

    it.effect("fails with the declared error of a handler", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit((yield* EffectsOffload).refuse({ why: "closed" }))
        assert.deepStrictEqual(exit, Exit.fail(new Refused({ why: "closed" })))
      })
    )

    it.effect("dies with the name, message and stack of a handler's defect, and the worker lives on", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        const thread = yield* tasks.threadId()
        for (const call of [tasks.die({ message: "broken" }), tasks.throw({ message: "broken" })]) {
          const { message, name, stack } = defectOf(yield* Effect.exit(call))
          assert.deepStrictEqual([name, message], ["TypeError", "broken"])
          assert.include(stack, "effects.worker.ts")
        }
        assert.strictEqual(yield* tasks.threadId(), thread)
      })
    )

    it.effect("dies when a handler interrupts itself, and says so", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        assert.include(defectOf(yield* Effect.exit(tasks.interruptItself())).message, "interrupted its own fiber")
        const exit = yield* Effect.exit(Stream.runCollect(tasks.interruptLate()))
        assert.include(defectOf(exit).message, "interrupted its own fiber")
      })
    )

    it.effect("dies when a result or a payload does not fit its schema", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        assert.strictEqual(defectOf(yield* Effect.exit(tasks.wrongResult())).name, "SchemaError")
        const Loose = RpcGroup.make(Rpc.make("wrongPayload", { payload: Schema.String }))
        class LooseOffload extends Offload.Service<LooseOffload>()("test/Loose", Loose) {}
        const loose = LooseOffload.layerThreads({ worker: effectsWorker, workers: 1, spares: 0, data: {} })
        const call = Effect.flatMap(LooseOffload, (tasks) => tasks.wrongPayload("not a number"))
        assert.strictEqual(defectOf(yield* Effect.exit(Effect.provide(call, loose))).name, "SchemaError")
      })
    )

    it.effect("passes the results of an unchecked task as they are", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* (yield* EffectsOffload).unchecked(), "not a number" as unknown as number)
      })
    )

    it.effect("waits for a deferred result after the scope of the task has closed", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* (yield* EffectsOffload).later(), 7)
      })
    )

    it.effect("runs handlers that ask to be forked or not to be interrupted", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        assert.strictEqual(yield* tasks.wrapped(), 5)
        const flags = makeFlags()
        const running = yield* Effect.forkChild(tasks.waitFirmly({ flags }), { startImmediately: true })
        yield* raised(flags, 0)
        yield* Fiber.interrupt(running)
        yield* raise(flags, 2)
        yield* raised(flags, 1)
      })
    )

    it.effect("gives handlers a client, a new request id and no headers", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        const [first, second] = [yield* tasks.request(), yield* tasks.request()]
        assert.strictEqual(second.id, first.id + 1)
        assert.deepStrictEqual([first.client, first.headers], [0, 0])
      })
    )

    it.effect("applies the middlewares of a task", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* (yield* EffectsOffload).user(), "ada")
      })
    )

    it.effect("tells the caller of progress, and does nothing elsewhere", () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const tasks = yield* EffectsOffload
        yield* tasks.report({ values: [1, 2, 3] }, { onProgress: (value) => seen.push(value) })
        assert.strictEqual(seen[0], 1)
        assert.isUndefined(yield* OffloadEffectWorker.progress(1))
      })
    )

    describe("transfer", () => {
      it.effect("moves the parts of a result whose schema is transferable", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          assert.strictEqual((yield* tasks.bytes({ size: 1000 })).byteLength, 1000)
          assert.deepStrictEqual((yield* tasks.kept()).slice(-1), [0])
        })
      )

      it.effect("moves a buffer that a result has twice", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const { a, b } = yield* tasks.twice()
          assert.strictEqual(a.buffer, b.buffer)
          assert.deepStrictEqual((yield* tasks.kept()).slice(-1), [0])
        })
      )

      it.effect("copies what cannot be moved", () =>
        Effect.gen(function* () {
          const bytes = yield* (yield* EffectsOffload).smallBuffer()
          assert.strictEqual(Buffer.from(bytes).toString(), "small")
        })
      )

      it.effect("moves the items of a stream, also when they arrive in parts", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const items = yield* Stream.runCollect(tasks.byteStream(undefined, { bufferSize: 2 }))
          assert.deepStrictEqual(
            items.map(({ byteLength }) => byteLength),
            [1, 2, 3]
          )
          assert.deepStrictEqual((yield* tasks.kept()).slice(-3), [0, 0, 0])
        })
      )
    })

    describe("interruption", () => {
      it.effect("runs the finalizers of an interrupted handler before the worker is free", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const flags = makeFlags()
          const thread = yield* tasks.threadId()
          const running = yield* Effect.forkChild(tasks.wait({ flags }), { startImmediately: true })
          yield* raised(flags, 0)
          const next = yield* Effect.forkChild(tasks.load({ flags, cell: 1 }), { startImmediately: true })
          yield* Fiber.interrupt(running)
          assert.strictEqual(yield* Fiber.join(next), 1)
          assert.strictEqual(yield* tasks.threadId(), thread)
        })
      )

      it.effect("runs them too when the deadline of the caller passes", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const flags = makeFlags()
          const exit = yield* Effect.exit(Deadline.within(tasks.wait({ flags }), "200 millis"))
          assert.isTrue(Exit.isFailure(exit))
          yield* raised(flags, 1)
        })
      )
    })

    it.effect("provides the deadline of the caller", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        assert.strictEqual(yield* tasks.remaining(), Infinity)
        const left = yield* Deadline.within(tasks.remaining(), "5 seconds")
        assert.isTrue(left > 0 && left <= 5000)
      })
    )

    describe("tracing", () => {
      it.effect("makes the span of the caller the parent of the handler's spans", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const { parent, span } = yield* Effect.all({ span: Effect.currentSpan, parent: tasks.parent() }).pipe(
            Effect.withSpan("caller")
          )
          assert.deepStrictEqual(parent, { traceId: span.traceId, spanId: span.spanId })
        })
      )
    })

    describe("streams", () => {
      it.effect("sends the items of a stream in order, encoded, whatever the buffer", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const days = Array.from({ length: 10 }, (_, day) => new Date(day * 86_400_000))
          for (const bufferSize of [1, 3, 16]) {
            assert.deepStrictEqual(yield* Stream.runCollect(tasks.dates(undefined, { bufferSize })), days)
          }
        })
      )

      it.effect("sends what a handler puts in a queue, then closes its scope", () =>
        Effect.gen(function* () {
          const flags = makeFlags()
          const items = yield* Stream.runCollect((yield* EffectsOffload).queue({ flags }))
          assert.deepStrictEqual(items, [1, 2, 3, 4, 5])
          assert.strictEqual(Atomics.load(flags, 1), 1)
        })
      )

      it.effect("fails with the declared errors of the stream and of the task", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const seen: Array<number> = []
          const late = Stream.runForEach(tasks.refuseLate(), (item) => Effect.sync(() => seen.push(item)))
          assert.deepStrictEqual(yield* Effect.exit(late), Exit.fail(new Refused({ why: "enough" })))
          assert.deepStrictEqual(seen, [1, 2])
          const closed = Stream.runDrain(tasks.refuseStream())
          assert.deepStrictEqual(yield* Effect.exit(closed), Exit.fail(new Refused({ why: "closed" })))
        })
      )

      it.effect("dies with the defect of a stream", () =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(Stream.runDrain((yield* EffectsOffload).dieLate()))
          assert.strictEqual(defectOf(exit).message, "broken stream")
        })
      )

      it.effect("is never further ahead of its consumer than the buffer", () =>
        Effect.gen(function* () {
          const flags = makeFlags()
          let consumed = 0
          let furthest = 0
          yield* Stream.runForEach((yield* EffectsOffload).count({ to: 1000, flags }, { bufferSize: 4 }), () =>
            Effect.sync(() => {
              furthest = Math.max(furthest, Atomics.load(flags, 0) - consumed++)
            })
          )
          assert.strictEqual(consumed, 1000)
          assert.isAtMost(furthest, 4)
        })
      )

      it.effect("closes the scope of a stream whose consumer stops early, before the worker is free", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          for (const start of [tasks.count, tasks.countFirmly]) {
            const flags = makeFlags()
            const items = start({ to: 1_000_000, flags }, { bufferSize: 4 })
            // It runs as soon as the worker is free.
            const next = yield* Stream.runHead(
              Stream.mapEffect(items, () =>
                Effect.forkScoped(tasks.load({ flags, cell: 1 }), { startImmediately: true })
              )
            )
            assert.strictEqual(yield* Fiber.join(Option.getOrThrow(next)), 1)
          }
        })
      )

      it.effect("interrupts a stream that is waiting itself when its consumer stops", () =>
        Effect.gen(function* () {
          const tasks = yield* EffectsOffload
          const flags = makeFlags()
          const thread = yield* tasks.threadId()
          assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(tasks.stall({ flags }), 1)), [1])
          assert.strictEqual(yield* tasks.load({ flags, cell: 1 }), 1)
          assert.strictEqual(yield* tasks.threadId(), thread)
        })
      )
    })
  })

  it.live("reports failures to the error reporters of its layer", () => {
    const reports = makeFlags()
    return Effect.gen(function* () {
      const tasks = yield* EffectsOffload
      yield* Effect.exit(tasks.refuse({ why: "closed" }))
      yield* Effect.exit(tasks.die({ message: "broken" }))
      assert.strictEqual(Atomics.load(reports, 0), 2)
    }).pipe(provide({ data: { reports } }))
  })

  describe("layers", () => {
    it.live("builds the layer once a worker and releases it when the pool closes", () =>
      Effect.gen(function* () {
        const layers = makeFlags()
        const { scope, tasks } = yield* open({ workers: 2, data: { layers } })
        assert.strictEqual(Atomics.load(layers, 0), 2)
        yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => tasks.nothing(), { concurrency: "unbounded" })
        assert.deepStrictEqual([Atomics.load(layers, 0), Atomics.load(layers, 1)], [2, 0])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual([Atomics.load(layers, 0), Atomics.load(layers, 1)], [2, 2])
      })
    )

    it.live("cannot start when its layer fails, and says why", () =>
      Effect.gen(function* () {
        const layers = makeFlags()
        const failing = open({ data: { layers, failure: ["nowhere", "stuck"] }, maxStartAttempts: 1 })
        const error = yield* Effect.flip(failing)
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.include(error.message, "NoDatabase: no database at nowhere; Error: stuck")
        assert.strictEqual(Atomics.load(layers, 1), 1)
      })
    )

    it.live("cannot start when it serves other tasks", () =>
      Effect.gen(function* () {
        class More extends Offload.Service<More>()("test/More", Effects.add(Rpc.make("missing"))) {}
        const layer = More.layerThreads({ worker: effectsWorker, workers: 1, data: {}, maxStartAttempts: 1 })
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.include(error.message, 'no handler for "missing"')
        const without = yield* Effect.flip(open({ data: { omit: true }, maxStartAttempts: 1 }))
        assert.include(without.message, 'no handler for "nothing", "threadId"')
      })
    )
  })

  describe("interruption", () => {
    it.live("kills the thread when the finalizers do not end", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        const flags = makeFlags()
        const thread = yield* tasks.threadId()
        const running = yield* Effect.forkChild(tasks.neverLetGo({ flags }), { startImmediately: true })
        yield* raised(flags, 0)
        yield* Fiber.interrupt(running)
        assert.notStrictEqual(yield* tasks.threadId(), thread)
      }).pipe(provide({ killGrace: "10 millis" }))
    )
  })

  describe("tracing", () => {
    it.live("continues a trace of the OpenTelemetry SDK in the worker", () => {
      const exporter = new InMemorySpanExporter()
      const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
      const tracer = Layer.provide(OtelTracer.layer, Layer.succeed(OtelTracer.OtelTracerProvider, provider))
      const threads = TracedOffload.layerThreads({ worker: tracedWorker, workers: 1, spares: 0 })
      return Effect.gen(function* () {
        const tasks = yield* TracedOffload
        yield* Effect.withSpan(tasks.work(), "caller")
        const [caller] = exporter.getFinishedSpans()
        const { spanId, traceId } = caller!.spanContext()
        const [inner, outer] = yield* tasks.exported()
        assert.deepStrictEqual(outer, { name: "outer", traceId, spanId: outer!.spanId, parentSpanId: spanId })
        assert.deepStrictEqual(inner, { name: "inner", traceId, spanId: inner!.spanId, parentSpanId: outer!.spanId })
      }).pipe(Effect.provide(threads), Effect.provide(tracer))
    })
  })

  describe("streams", () => {
    it.live("is not pulled while the consumer is busy and the buffer full", () =>
      Effect.gen(function* () {
        const tasks = yield* EffectsOffload
        const flags = makeFlags()
        const busy = Stream.runForEach(tasks.count({ to: 1000, flags }, { bufferSize: 4 }), () => Effect.never)
        const consumer = yield* Effect.forkChild(busy, { startImmediately: true })
        yield* raised(flags, 0, 4)
        // Every round trip gives the producer, on the same thread, an opportunity to go on.
        yield* Effect.forEach(Array.from({ length: 50 }), () => tasks.nothing(), { discard: true })
        assert.strictEqual(Atomics.load(flags, 0), 4)
        yield* Fiber.interrupt(consumer)
        yield* raised(flags, 1)
      }).pipe(provide({ concurrency: 2, killGrace: "10 seconds" }))
    )
  })
})
