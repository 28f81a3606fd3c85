import { spawn } from "node:child_process"
import { createServer } from "node:http"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { createInterface } from "node:readline"
import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Duration, Effect, Exit, Fiber, Latch, Layer, Queue, Scope, Stream } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { RpcClient, RpcSerialization, RpcServer } from "effect/rpc"
import type { RpcGroup } from "effect/rpc"
import { Deadline, Offload } from "@spillway/runtime"
import { DeadlinePassed, OffloadDefect, OffloadError, Saturated } from "@spillway/runtime/OffloadError"
import { Refused, Remote, transports } from "./fixtures/rpc.ts"
import type { Tasks } from "./fixtures/rpc.ts"
import { TestOffload, worker } from "./fixtures/tasks.ts"

type Handlers = Offload.InlineHandlers<RpcGroup.Rpcs<typeof Tasks>>
type Transport = (typeof transports)[keyof typeof transports]

/** What the handlers of a server have been seen to do. */
class Log {
  readonly events: Array<string> = []
  readonly #waiting: Array<{ readonly event: string; readonly done: Deferred.Deferred<void> }> = []

  readonly add = (event: string): void => {
    this.events.push(event)
    for (const { done, event: awaited } of this.#waiting) if (awaited === event) Deferred.doneUnsafe(done, Exit.void)
  }

  readonly seen = (event: string) =>
    Effect.suspend(() => {
      if (this.events.includes(event)) return Effect.void
      const done = Deferred.makeUnsafe<void>()
      this.#waiting.push({ event, done })
      return Effect.timeout(Deferred.await(done), "5 seconds")
    })
}

const makeHandlers = (log: Log, released: Latch.Latch): Handlers => ({
  tomorrow: ({ date }, { fail }) => {
    if (date.startsWith("1970")) throw fail({ _tag: "Refused", why: "too early" })
    return new Date(Date.parse(date) + 86_400_000).toISOString()
  },
  ask: (question, { remaining, traceparent }) => {
    switch (question) {
      case "throw":
        throw new TypeError("broken")
      case "remaining":
        return String(remaining())
      case "traceparent":
        return traceparent
      case "stuck":
        log.add("stuck")
        return Effect.runPromise(released.await)
      default:
        log.add(question)
        return question
    }
  },
  wait: (name, { signal }) =>
    new Promise<void>((resolve) => {
      log.add(`began ${name}`)
      signal.addEventListener("abort", () => {
        log.add(`aborted ${name}`)
        resolve()
      })
    }),
  count: function* ({ to }, { fail }) {
    try {
      for (let n = 1; n <= to; n++) {
        log.add(`item ${n}`)
        yield String(n)
      }
      if (to === 3) throw fail({ _tag: "Refused", why: "three" })
    } finally {
      log.add("closed")
    }
  }
})

/** Starts a server, and gives the client's layer for it, what its handlers do, and how to stop it. */
const serve = (transport: Transport, options: Offload.Options = {}) =>
  Effect.gen(function* () {
    const log = new Log()
    const released = Latch.makeUnsafe()
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const server = transport.server(Remote.layerInline(makeHandlers(log, released), { workers: 4, ...options }))
    const context = yield* Layer.buildWithScope(server as Layer.Layer<never, unknown>, scope)
    const port = yield* Effect.provideContext(transport.port as Effect.Effect<number>, context)
    return { log, release: released.open, protocol: transport.client(port), close: Scope.close(scope, Exit.void) }
  })

/** Starts a server, and the client for it. */
const connect = Effect.fnUntraced(function* (
  transport: Transport,
  options: { readonly there?: Offload.Options; readonly here?: Offload.RpcOptions } = {}
) {
  const server = yield* serve(transport, options.there)
  const layer = Remote.layerRpc({ workers: 8, drainTimeout: 0, ...options.here }).pipe(Layer.provide(server.protocol))
  return { ...server, tasks: Context.get(yield* Layer.build(layer), Remote) }
})

/** The port on which a server listens. */
const listen = (server: Server) =>
  Effect.promise(
    () =>
      new Promise<number>((resolve) =>
        server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
      )
  )

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

const failure = (task: string, reason: OffloadError["reason"]) => Exit.fail(new OffloadError({ task, reason }))

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(error, OffloadError)
  return error.reason
}

const expectUnreachable = (exit: Exit.Exit<unknown, unknown>) => {
  const reason = reasonOf(exit)
  assert.deepStrictEqual([reason._tag, (reason as { readonly why?: string }).why], ["Unavailable", "Unreachable"])
}

const bounded = Effect.timeout("5 seconds")

describe.each(Object.entries(transports))("Offload.layerRpc over %s", (name, transport) => {
  it.live("answers with the decoded result, or the declared error", () =>
    Effect.gen(function* () {
      const { tasks } = yield* connect(transport)
      const date = new Date("2026-11-21T00:00:00Z")
      assert.deepStrictEqual(yield* tasks.tomorrow({ date }), new Date("2026-11-22T00:00:00Z"))
      const refused = yield* Effect.exit(tasks.tomorrow({ date: new Date(0) }))
      assert.deepStrictEqual(refused, Exit.fail(new Refused({ why: "too early" })))
      const { ended } = yield* Offload.stats(tasks)
      assert.deepStrictEqual([ended.succeeded, ended.failed], [1, 1])
    })
  )

  it.live("dies of a defect of the other side, as it was there, and ends no other call for it", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport)
      const waiting = yield* start(tasks.wait("on"))
      yield* log.seen("began on")
      const exit = yield* Effect.exit(tasks.ask("throw"))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, OffloadDefect)
      const { name, message, stack } = defect.cause as Error
      assert.deepStrictEqual([defect.task, name, message], ["ask", "TypeError", "broken"])
      assert.include(stack, "Offload.rpc.live.test.ts")
      assert.strictEqual(yield* tasks.ask("still there?"), "still there?")
      assert.isUndefined(waiting.pollUnsafe())
    })
  )

  it.live("dies, naming the task, for a payload that is not what the contract says", () =>
    Effect.gen(function* () {
      const { tasks } = yield* connect(transport)
      const exit = yield* Effect.exit(tasks.ask(1 as never))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, OffloadDefect)
      assert.strictEqual(defect.task, "ask")
    })
  )

  it.live("hears that the other side is saturated", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport, { there: { workers: 1, maxQueued: 0 } })
      yield* start(tasks.wait("on"))
      yield* log.seen("began on")
      const reason = new Saturated({ why: "QueueFull", queued: 0, retryAfter: Duration.seconds(1) })
      assert.deepStrictEqual(yield* Effect.exit(tasks.ask("?")), failure("ask", reason))
      assert.strictEqual((yield* Offload.stats(tasks)).ended.saturated, 1)
    })
  )

  it.live("bounds what is on its way and what waits on its own side", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport, { here: { workers: 1, concurrency: 2, maxQueued: 1 } })
      const first = yield* start(tasks.wait("first"))
      yield* start(tasks.wait("second"))
      const third = yield* start(tasks.ask("third"))
      const refused = yield* Effect.exit(tasks.ask("fourth"))
      const reason = new Saturated({ why: "QueueFull", queued: 1, retryAfter: Duration.seconds(1) })
      assert.deepStrictEqual(refused, failure("ask", reason))
      yield* log.seen("began second")
      assert.notInclude(log.events, "third")
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* Fiber.join(third), "third")
    })
  )

  it.live("tells the other side when its caller is interrupted, without waiting for it", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport)
      const fiber = yield* start(tasks.wait("on"))
      yield* log.seen("began on")
      yield* Fiber.interrupt(fiber)
      yield* log.seen("aborted on")
    })
  )

  it.live("ends a task that takes longer than its timeout, there too", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport)
      const exit = yield* bounded(Effect.exit(tasks.wait("on", { timeout: "50 millis" })))
      assert.strictEqual(reasonOf(exit)._tag, "TimedOut")
      yield* log.seen("aborted on")
    })
  )

  it.live("takes the deadline and the span along", () =>
    Effect.gen(function* () {
      const { tasks } = yield* connect(transport)
      const left = Number(yield* Deadline.within(tasks.ask("remaining"), "5 seconds"))
      assert.isAtMost(left, 5000)
      assert.isAbove(left, 1000)
      assert.strictEqual(yield* tasks.ask("remaining"), "Infinity")
      const span = yield* Effect.currentSpan
      assert.include(yield* tasks.ask("traceparent"), span.traceId)
    }).pipe(Effect.withSpan("test"))
  )

  it.live("ends a task there when the deadline passes there, whatever becomes of the caller's own", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport)
      const deadline = Number(process.hrtime.bigint()) / 1e6 + 100
      // Carries a deadline but does not enforce it: only the other side does.
      const carry = Effect.provideService(Deadline.CurrentDeadline, deadline)
      assert.strictEqual(reasonOf(yield* bounded(Effect.exit(carry(tasks.wait("on")))))._tag, "TimedOut")
      yield* log.seen("aborted on")
      const { reason } = yield* Effect.flip(carry(tasks.ask("too late")))
      assert.deepStrictEqual(reason, new DeadlinePassed())
      assert.notInclude(log.events, "too late")
    })
  )

  it.live("says that the answer was lost when the server stops in the middle of a call", () =>
    Effect.gen(function* () {
      const { close, log, tasks } = yield* connect(transport)
      const fiber = yield* start(Effect.exit(tasks.wait("on")))
      const stream = yield* start(Effect.exit(Stream.runForEach(tasks.count({ to: 1000 }), () => Effect.never)))
      yield* Effect.all([log.seen("began on"), log.seen("item 1")])
      yield* Effect.forkChild(close)
      assert.strictEqual(reasonOf(yield* bounded(Fiber.join(fiber)))._tag, "Disconnected")
      yield* log.seen("aborted on")
      yield* Fiber.interrupt(stream)
      assert.strictEqual((yield* Offload.stats(tasks)).ended.disconnected, 1)
    })
  )

  it.live("says that the answer was lost when the server's process is killed, and that it cannot be reached then", () =>
    Effect.gen(function* () {
      const file = new URL("./fixtures/rpcServer.ts", import.meta.url).pathname
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [file, name], { stdio: ["ignore", "pipe", "inherit"] })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const line = bounded(Effect.promise(async () => (await lines.next()).value as string))
      const protocol = transport.client(Number((yield* line).replace("port ", "")))
      const layer = Remote.layerRpc().pipe(Layer.provide(protocol))
      const tasks = Context.get(yield* Layer.build(layer), Remote)
      const fiber = yield* start(Effect.exit(tasks.wait("on")))
      assert.strictEqual(yield* line, "began on")
      const items = yield* Queue.unbounded<number>()
      const stream = yield* start(Effect.exit(Stream.runForEach(tasks.count({ to: 2 }), (n) => Queue.offer(items, n))))
      assert.strictEqual(yield* bounded(Queue.take(items)), 1)
      child.kill("SIGKILL")
      assert.strictEqual(reasonOf(yield* bounded(Fiber.join(stream)))._tag, "Disconnected")
      assert.strictEqual(reasonOf(yield* bounded(Fiber.join(fiber)))._tag, "Disconnected")
      // Over HTTP it may be sent on a connection that was kept, of whose end nobody has heard yet.
      const ask = Effect.repeat(Effect.exit(tasks.ask("?")), {
        until: (exit) => reasonOf(exit)._tag !== "Disconnected"
      })
      expectUnreachable(yield* bounded(ask))
    })
  )

  it.live("says at once that a server cannot be reached that was never there", () =>
    Effect.gen(function* () {
      const server = createServer()
      const port = yield* listen(server)
      yield* Effect.promise(() => new Promise((resolve) => server.close(resolve)))
      const layer = Remote.layerRpc().pipe(Layer.provide(transport.client(port)))
      const tasks = Context.get(yield* Layer.build(layer), Remote)
      expectUnreachable(yield* bounded(Effect.exit(tasks.ask("?"))))
      expectUnreachable(yield* bounded(Effect.exit(Stream.runDrain(tasks.count({ to: 1 })))))
    })
  )

  it.live("runs a stream to its end, and fails with its declared error", () =>
    Effect.gen(function* () {
      const { tasks } = yield* connect(transport)
      const all = yield* Stream.runCollect(tasks.count({ to: 100 }))
      assert.deepStrictEqual(
        all,
        Array.from({ length: 100 }, (_, n) => n + 1)
      )
      const seen: Array<number> = []
      const three = Stream.runForEach(tasks.count({ to: 3 }), (n) => Effect.sync(() => seen.push(n)))
      assert.deepStrictEqual(yield* Effect.exit(three), Exit.fail(new Refused({ why: "three" })))
      assert.deepStrictEqual(seen, [1, 2, 3])
    })
  )

  it.live("ends a stream there when its consumer has enough", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport)
      const some = yield* Stream.runCollect(Stream.take(tasks.count({ to: 1_000_000 }, { bufferSize: 1 }), 3))
      assert.deepStrictEqual(some, [1, 2, 3])
      yield* log.seen("closed")
      assert.isBelow(log.events.length, name === "http" ? 100_000 : 100)
    })
  )

  it.live("lets a stream there wait for a slow consumer, and nothing else", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transport)
      const [second, gate] = [Latch.makeUnsafe(), Latch.makeUnsafe()]
      // The items that come after the first one come together.
      const slow = Stream.mapEffect(tasks.count({ to: 500 }, { bufferSize: 1 }), (n) =>
        n === 1 ? Effect.void : Effect.andThen(second.open, gate.await)
      )
      const fiber = yield* start(Stream.runCount(slow))
      yield* bounded(second.await)
      yield* Effect.repeat(tasks.ask("."), { times: 30 })
      const made = log.events.filter((event) => event.startsWith("item")).length
      // Over HTTP what the connection holds goes ahead.
      if (name !== "http") assert.isAtMost(made, 48)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(fiber), 500)
    })
  )

  it.live("refuses tasks once its scope has closed, and ends those that are left there too", () =>
    Effect.gen(function* () {
      const { log, protocol } = yield* serve(transport)
      const scope = yield* Scope.make()
      const layer = Remote.layerRpc({ drainTimeout: 0 }).pipe(Layer.provide(protocol))
      const tasks = Context.get(yield* Layer.buildWithScope(layer, scope), Remote)
      const fiber = yield* start(Effect.exit(tasks.wait("on")))
      yield* log.seen("began on")
      yield* bounded(Scope.close(scope, Exit.void))
      const expectClosed = (exit: Exit.Exit<unknown, unknown>) =>
        assert.deepInclude(reasonOf(exit), { _tag: "Unavailable", why: "Closed" })
      expectClosed(yield* Fiber.join(fiber))
      expectClosed(yield* Effect.exit(tasks.ask("?")))
      yield* log.seen("aborted on")
    })
  )
})

describe("Offload.layerRpc", () => {
  it.live("gives a task the time of drainTimeout when its scope closes", () =>
    Effect.gen(function* () {
      const { protocol } = yield* serve(transports.tcp)
      const scope = yield* Scope.make()
      const tasks = Context.get(
        yield* Layer.buildWithScope(Remote.layerRpc().pipe(Layer.provide(protocol)), scope),
        Remote
      )
      const fiber = yield* start(tasks.ask("?"))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(fiber), "?")
    })
  )

  it.live("takes priorities along", () =>
    Effect.gen(function* () {
      const { log, tasks } = yield* connect(transports.tcp, { there: { workers: 1, maxQueued: 2 } })
      const first = yield* start(tasks.wait("first"))
      yield* log.seen("began first")
      const low = yield* start(tasks.ask("low", { priority: "low" }))
      const high = yield* start(tasks.ask("high", { priority: "high" }))
      // One connection keeps the order of requests: those two are there when this one is refused.
      const refused = yield* Effect.exit(tasks.ask("refused", { priority: "low" }))
      assert.deepInclude(reasonOf(refused), { _tag: "Saturated", why: "QueueFull", queued: 2 })
      yield* Fiber.interrupt(first)
      yield* Fiber.joinAll([low, high])
      assert.deepStrictEqual(log.events.slice(-2), ["high", "low"])
    })
  )

  it.live("takes along whether a task is cooperative", () =>
    Effect.gen(function* () {
      const { log, release, tasks } = yield* connect(transports.tcp, { there: { workers: 1, maxQueued: 1 } })
      const stuck = yield* start(tasks.ask("stuck", { cancellation: "cooperative" }))
      yield* log.seen("stuck")
      yield* Fiber.interrupt(stuck)
      const next = yield* start(tasks.ask("next"))
      const refused = yield* Effect.exit(tasks.ask("refused"))
      assert.deepInclude(reasonOf(refused), { _tag: "Saturated", queued: 1 })
      yield* release
      assert.strictEqual(yield* Fiber.join(next), "next")
    })
  )

  it.live("lets two servers of one process have their own offload behind them", () =>
    Effect.gen(function* () {
      const ports = new Map<string, number>()
      const serverOf = (name: string) => {
        const handlers = { ...makeHandlers(new Log(), Latch.makeUnsafe()), ask: () => name }
        return Layer.effectDiscard(Effect.map(transports.tcp.port, (port) => ports.set(name, port))).pipe(
          Layer.provide(transports.tcp.server(Remote.layerInline(handlers)))
        )
      }
      yield* Layer.build(Layer.mergeAll(serverOf("one"), serverOf("two")))
      const answers = yield* Effect.forEach(["one", "two"], (name) =>
        Effect.gen(function* () {
          const layer = Remote.layerRpc().pipe(Layer.provide(transports.tcp.client(ports.get(name)!)))
          return yield* Context.get(yield* Layer.build(layer), Remote).ask("?")
        })
      )
      assert.deepStrictEqual(answers, ["one", "two"])
    })
  )

  it.live("takes a refusal of the server for never run only if no server that stops would answer so", () =>
    Effect.gen(function* () {
      const status = { code: 404 }
      const port = yield* Effect.acquireRelease(
        Effect.sync(() => createServer((_, response) => void response.writeHead(status.code).end())),
        (server) => Effect.sync(() => server.close())
      ).pipe(Effect.flatMap(listen))
      const client = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, HttpClient.filterStatusOk))
      const protocol = RpcClient.layerProtocolHttp({ url: `http://127.0.0.1:${port}/` }).pipe(
        Layer.provide([RpcSerialization.layerNdjson, client.pipe(Layer.provide(FetchHttpClient.layer))])
      )
      const tasks = Context.get(yield* Layer.build(Remote.layerRpc().pipe(Layer.provide(protocol))), Remote)
      expectUnreachable(yield* Effect.exit(tasks.ask("?")))
      status.code = 503
      assert.strictEqual(reasonOf(yield* Effect.exit(tasks.ask("?")))._tag, "Disconnected")
    })
  )

  it.live("never runs a task there that has no time left, and ignores headers that it does not understand", () =>
    Effect.gen(function* () {
      const { log, protocol } = yield* serve(transports.http)
      const client = yield* RpcClient.make(Remote.wireGroup).pipe(Effect.provide(protocol))
      const headers = { "spillway-remaining-millis": "0" }
      const error = yield* Effect.flip(client.ask("too late", { headers }))
      assert.deepStrictEqual(error, new OffloadError({ task: "ask", reason: new DeadlinePassed() }))
      assert.notInclude(log.events, "too late")
      const nonsense = { "spillway-remaining-millis": "soon", "spillway-priority": "constructor" }
      assert.strictEqual(yield* client.ask("?", { headers: nonsense }), "?")
    })
  )

  it.live("serves worker threads, whose crash arrives as such", () =>
    Effect.gen(function* () {
      const server = RpcServer.layer(TestOffload.wireGroup).pipe(
        Layer.provide(TestOffload.layerHandlers),
        Layer.provide(TestOffload.layerThreads({ worker, workers: 1 })),
        Layer.provide(RpcServer.layerProtocolSocketServer),
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.provideMerge(NodeSocketServer.layer({ port: 0, host: "127.0.0.1" }))
      )
      const context = yield* Layer.build(server)
      const port = yield* Effect.provideContext(transports.tcp.port, context)
      const client = TestOffload.layerRpc().pipe(
        Layer.provide(RpcClient.layerProtocolSocket()),
        Layer.provide([RpcSerialization.layerNdjson, NodeSocket.layerNet({ port, host: "127.0.0.1" })])
      )
      const tasks = Context.get(yield* Layer.build(client), TestOffload)
      assert.strictEqual(yield* tasks.double({ value: 21 }), 42)
      const exit = yield* Effect.exit(tasks.exit({ code: 3 }))
      assert.deepInclude(reasonOf(exit), { _tag: "Crashed", exitCode: 3 })
    })
  )

  it.effect("dies for options outside their range", () =>
    Effect.gen(function* () {
      const layer = Remote.layerRpc({ workers: 0 }).pipe(Layer.provide(transports.tcp.client(1)))
      const exit = yield* Effect.exit(Layer.build(layer))
      const error = new RangeError("Offload.layerRpc: workers must be an integer >= 1, got 0")
      assert.deepStrictEqual(exit, Exit.die(error))
    })
  )
})
