import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Schedule } from "effect"
import { Offload } from "@spillway/runtime"
import { makeFlags, raised, release } from "./fixtures/flags.ts"
import { FlowOffload, worker } from "./fixtures/flow.ts"

const provide = (options = {}) => Effect.provide(FlowOffload.layerThreads({ worker, workers: 1, ...options }))

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Looks at the statistics, again and again, until they are as expected. */
const eventually = (flow: FlowOffload["Service"], condition: (stats: Offload.Stats) => boolean) =>
  Offload.stats(flow).pipe(
    Effect.repeat({ until: condition, schedule: Schedule.spaced("2 millis") }),
    Effect.timeout("10 seconds")
  )

describe("Offload.layerThreads, size", () => {
  it.live("has one more worker when a task must wait, up to maxWorkers, and fewer when they have nothing to do", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const workers = Effect.map(Offload.stats(flow), (stats) => stats.workers.length)
      assert.strictEqual(yield* workers, 1)
      const flags = makeFlags()
      const tasks = yield* Effect.forEach([1, 2, 3, 4, 5], () => fork(flow.hold({ millis: 20_000, flags })))
      yield* raised(flags, 0, 3)
      assert.strictEqual(yield* workers, 3)
      assert.strictEqual((yield* Offload.stats(flow)).queued, 2)
      release(flags)
      yield* Effect.forEach(tasks, Fiber.join)
      yield* eventually(flow, (stats) => stats.workers.length === 1 && stats.recycled === 2)
      assert.isAbove(yield* flow.threadId(), 0)
    }).pipe(provide({ minWorkers: 1, maxWorkers: 3, idleTimeout: "50 millis", spares: 0 }))
  )

  it.live("keeps minWorkers however idle they are", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const tasks = yield* Effect.forEach([1, 2, 3], () => fork(flow.hold({ millis: 20_000, flags })))
      yield* raised(flags, 0, 3)
      release(flags)
      yield* Effect.forEach(tasks, Fiber.join)
      yield* eventually(flow, (stats) => stats.recycled === 1)
      assert.strictEqual((yield* Offload.stats(flow)).workers.length, 2)
    }).pipe(provide({ minWorkers: 2, maxWorkers: 3, idleTimeout: "10 millis", spares: 1 }))
  )

  it.live("replaces a worker after maxTasks tasks, and refuses nobody meanwhile", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const calls = Array.from({ length: 100 }, () => flow.tick({ flags }))
      yield* Effect.all(calls, { concurrency: "unbounded" })
      assert.strictEqual(Atomics.load(flags, 0), 100)
      const { recycled } = yield* eventually(flow, (stats) => stats.recycled === 10)
      assert.strictEqual(recycled, 10)
      const threads = new Set([yield* flow.threadId(), yield* flow.threadId()])
      assert.strictEqual(threads.size, 1)
    }).pipe(provide({ maxTasks: 10 }))
  )

  it.live("replaces a worker whose heap has grown above maxHeap", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const thread = yield* flow.threadId()
      yield* flow.leak({ mebibytes: 64 })
      yield* eventually(flow, (stats) => stats.recycled === 1)
      assert.notStrictEqual(yield* flow.threadId(), thread)
    }).pipe(provide({ maxHeap: 48 }))
  )

  it.live("says what it holds and what it has done", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const flags = makeFlags()
      const running = yield* fork(flow.hold({ millis: 300, flags }))
      const waiting = yield* fork(flow.hold({ millis: 0, flags }))
      yield* raised(flags, 0)
      const busy = yield* eventually(flow, (stats) => stats.spares === 1)
      assert.deepStrictEqual([busy.running, busy.queued], [1, 1])
      yield* Fiber.join(running)
      yield* Fiber.join(waiting)
      yield* Effect.exit(flow.throwChain())
      const { ended, run, wait, workers } = yield* Offload.stats(flow)
      assert.deepStrictEqual([ended.succeeded, ended.defect], [2, 1])
      assert.deepStrictEqual([run.count, wait.count], [3, 3])
      assert.isTrue(run.max >= 0.29 && wait.max >= 0.2)
      assert.strictEqual(workers[0]!.completed, 3)
      assert.isTrue(workers[0]!.utilization > 0 && workers[0]!.utilization <= 1)
    }).pipe(provide({ name: "test/stats" }))
  )

  it.live("shows the same in metrics, and takes its gauges along when it ends", () => {
    const registry = new Map()
    const read = Effect.map(
      Metric.snapshot,
      (all) =>
        new Map(
          all.map(({ attributes, id, state }) => [
            `${id} ${attributes?.["cause"] ?? attributes?.["outcome"] ?? attributes?.["worker"] ?? ""}`.trim(),
            state
          ])
        )
    )
    return Effect.gen(function* () {
      const during = yield* Effect.gen(function* () {
        const flow = yield* FlowOffload
        yield* flow.tick({ flags: makeFlags() })
        yield* Effect.exit(flow.hold({ millis: 20_000, flags: makeFlags() }, { timeout: "1 millis" }))
        yield* eventually(flow, (stats) => stats.killed === 1 && stats.workers.length === 1)
        return yield* read
      }).pipe(provide({ name: "test/metrics", killGrace: 0 }))
      const count = (key: string) => (during.get(key) as Metric.CounterState<number> | undefined)?.count
      const value = (key: string) => (during.get(key) as Metric.GaugeState<number> | undefined)?.value
      assert.strictEqual(count("spillway_offload_tasks_total succeeded"), 1)
      assert.strictEqual(count("spillway_offload_tasks_total timedOut"), 1)
      assert.strictEqual(count("spillway_offload_workers_ended_total killed"), 1)
      assert.isAtLeast(count("spillway_offload_workers_started_total")!, 2)
      assert.strictEqual((during.get("spillway_offload_wait_seconds") as Metric.HistogramState).count, 2)
      assert.strictEqual((during.get("spillway_offload_run_seconds") as Metric.HistogramState).count, 2)
      assert.strictEqual(value("spillway_offload_workers"), 1)
      assert.strictEqual(value("spillway_offload_running"), 0)
      assert.strictEqual(value("spillway_offload_queued"), 0)
      assert.isAtMost(value("spillway_offload_utilization_ratio 0")!, 1)
      const after = Array.from((yield* read).keys())
      assert.deepStrictEqual(
        after.filter((key) => /_(workers|running|queued|spares)$|utilization|started/.test(key)),
        []
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, registry))
  })

  it.live("dies of options outside their range", () =>
    Effect.gen(function* () {
      const bad = (options: Partial<Offload.ThreadsOptions>) =>
        Effect.exit(Effect.provide(FlowOffload, FlowOffload.layerThreads({ worker, ...options })))
      for (const options of [{ minWorkers: 3, maxWorkers: 2 }, { prefetch: -1 }, { maxTasks: 0 }, { maxHeap: 0 }]) {
        assert.include(String(yield* bad(options)), "RangeError")
      }
    })
  )
})
