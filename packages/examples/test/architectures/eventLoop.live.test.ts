import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { get } from "../support/example.ts"
import { keptConnection, launch, long, silent, threadsOf, untilStats } from "./support.ts"

/** What was answered first of two requests, of which the second is sent when the first one is at work. */
const inOrder = Effect.fnUntraced(function* (url: string, path: string) {
  const order: Array<string> = []
  const ask = (path: string) => Effect.map(get(`${url}${path}`), ({ status }) => (order.push(path), status))
  const first = yield* Effect.forkChild(ask(path), { startImmediately: true })
  yield* Effect.sleep("100 millis")
  yield* ask("/fast")
  yield* Fiber.join(first)
  return order
})

describe("event-driven", () => {
  it.live("answers /fast while another waits, and while a thousand say nothing, without a thread for any of them", () =>
    Effect.gen(function* () {
      const { pid, url } = yield* launch("event-driven")
      assert.deepStrictEqual(yield* inOrder(url, `/sleep?ms=${long}`), ["/fast", `/sleep?ms=${long}`])
      const before = threadsOf(pid)
      yield* silent(url, 1000)
      yield* untilStats(url, ({ openConnections }) => openConnections > 1000)
      assert.strictEqual((yield* get(`${url}/fast`)).status, 200)
      assert.strictEqual(threadsOf(pid), before)
    })
  )

  it.live("freezes while a handler computes", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("event-driven")
      assert.deepStrictEqual(yield* inOrder(url, "/cpu?ms=1000"), ["/cpu?ms=1000", "/fast"])
    })
  )
})

describe("hybrid", () => {
  it.live("counts what the door refuses, and tells it also then", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("hybrid", { SPILLWAY_HTTP_MAX_CONCURRENT: "1", SPILLWAY_HTTP_MAX_QUEUED: "0" })
      const sleeping = yield* Effect.forkChild(get(`${url}/sleep?ms=60000`))
      yield* untilStats(url, ({ active }) => active === 1)
      assert.strictEqual((yield* get(`${url}/fast`)).status, 503)
      assert.strictEqual((yield* untilStats(url, () => true)).rejected, 1)
      yield* Fiber.interrupt(sleeping)
    })
  )

  it.live("answers /fast while threads compute", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("hybrid")
      assert.deepStrictEqual(yield* inOrder(url, "/cpu?ms=300"), ["/fast", "/cpu?ms=300"])
      // Both threads, and the queue.
      const statuses = Effect.forEach(Array.from({ length: 6 }), () => get(`${url}/cpu?ms=20`), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(new Set((yield* statuses).map(({ status }) => status)), new Set([200]))
    })
  )

  it.live("answers for each way in which a task may end, and goes on", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("hybrid")
      // On a machine that has much else to do a task may not end within its deadline of 1 s, or not have begun.
      const statusOf = (mode: string) =>
        Effect.map(get(`${url}/cpu?ms=1&mode=${mode}`), ({ status }) => status).pipe(
          Effect.repeat({ until: (status) => status !== 504 || mode === "loop", times: 5 })
        )
      const expected = { ok: 200, throw: 500, exit: 500, oom: 500, loop: 504, other: 400 }
      for (const [mode, status] of Object.entries(expected)) assert.strictEqual(yield* statusOf(mode), status, mode)
      assert.strictEqual(yield* statusOf("ok"), 200)
      assert.isAtLeast((yield* untilStats(url, ({ respawns }) => respawns >= 3)).respawns, 3)
    })
  )

  it.live("refuses the request beyond a bulkhead, and ends one whose deadline has passed", () =>
    Effect.gen(function* () {
      // So that it is the bulkhead that refuses, and not the door what comes in the same moment.
      const { url } = yield* launch("hybrid", { SPILLWAY_HTTP_QUEUE_TARGET: "Infinity" })
      const answers = yield* Effect.forEach(Array.from({ length: 51 }), () => get(`${url}/work?ms=2000`), {
        concurrency: "unbounded"
      })
      const refused = answers.filter(({ status }) => status === 503)
      assert.strictEqual(refused.length, 1)
      assert.match(refused[0]!.headers.get("retry-after")!, /^[1-9]\d*$/)
      assert.strictEqual((yield* get(`${url}/deadline`)).status, 504)
      assert.strictEqual((yield* get(`${url}/deadline?ms=10`)).status, 200)
      assert.strictEqual((yield* untilStats(url, ({ active }) => active === 0)).rejected, 1)
    })
  )

  it.live("streams what is larger than it holds, takes any JSON, and speaks WebSocket", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("hybrid")
      const size = yield* Effect.promise(async () => (await (await fetch(`${url}/big?mb=20`)).arrayBuffer()).byteLength)
      assert.strictEqual(size, 20 * 1024 ** 2)
      const json = (body: string) =>
        get(`${url}/json`, { method: "POST", body, headers: { "content-type": "application/json" } })
      assert.deepStrictEqual([(yield* json('[1,"2",null]')).body, (yield* json("")).status], ['{"ok":true}', 400])
      assert.strictEqual((yield* get(`${url}/ws`)).status, 426)
      const echoed = yield* Effect.promise(async () => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/ws`)
        socket.binaryType = "arraybuffer"
        await once(socket as never, "open")
        const heard: Array<unknown> = []
        const large = new Uint8Array(4 * 1024 ** 2).fill(7)
        const all = new Promise<void>((resolve) => {
          socket.addEventListener("message", ({ data }) => heard.push(data) === 2 && resolve())
        })
        socket.send("hello")
        socket.send(large)
        await all
        socket.close()
        return heard.map((one) => (typeof one === "string" ? one : (one as ArrayBuffer).byteLength))
      })
      assert.deepStrictEqual(echoed, ["hello", 4 * 1024 ** 2])
    })
  )
})

describe("multi-loop", () => {
  /** Connections until there is one to each loop. */
  const oneToEach = Effect.fnUntraced(function* (url: string, loops: number) {
    const byLoop = new Map<string, Effect.Success<ReturnType<typeof keptConnection>>>()
    while (byLoop.size < loops) {
      const ask = yield* keptConnection(url)
      byLoop.set((yield* ask("/loop")).body, ask)
    }
    return byLoop
  })

  it.live("has a thread for each loop, and counts for all of them", () =>
    Effect.gen(function* () {
      const [two, four] = yield* Effect.all([
        launch("multi-loop", { ARCHITECTURE_WORKERS: "2" }),
        launch("multi-loop", { ARCHITECTURE_WORKERS: "4" })
      ])
      yield* oneToEach(two.url, 2)
      const byLoop = yield* oneToEach(four.url, 4)
      assert.strictEqual(threadsOf(four.pid) - threadsOf(two.pid), 2)
      for (const ask of byLoop.values()) yield* ask("/fast")
      const stats = yield* untilStats(four.url, ({ openConnections }) => openConnections >= 4)
      assert.strictEqual(stats.workers, 4)
      assert.isAtLeast(stats.processed, 8)
    })
  )

  it.live("loses a loop that crashes, its requests with it, and nobody else's", () =>
    Effect.gen(function* () {
      const { url } = yield* launch("multi-loop", { ARCHITECTURE_WORKERS: "2", ARCHITECTURE_CRASH: "on" })
      const [crashing, other] = yield* Effect.all([oneToEach(url, 2), oneToEach(url, 2)])
      const [lost, kept] = yield* Effect.all([
        Effect.forkChild(Effect.exit(other.get("0")!("/sleep?ms=1500")), { startImmediately: true }),
        Effect.forkChild(other.get("1")!("/sleep?ms=1500"), { startImmediately: true })
      ])
      yield* untilStats(url, ({ active }) => active === 2)
      yield* Effect.ignore(crashing.get("0")!("/crash"))
      assert.strictEqual((yield* crashing.get("1")!("/fast")).status, 200)
      assert.strictEqual((yield* Fiber.join(kept)).status, 200)
      assert.strictEqual((yield* Fiber.join(lost))._tag, "Failure")
      yield* untilStats(url, ({ respawns, workers }) => respawns === 1 && workers === 2)
      yield* oneToEach(url, 2)
    })
  )

  it.live("does not forget what a loop refused when another takes its place", () =>
    Effect.gen(function* () {
      const { child, url } = yield* launch("multi-loop", {
        ARCHITECTURE_WORKERS: "1",
        SPILLWAY_HTTP_MAX_CONCURRENT: "1",
        SPILLWAY_HTTP_MAX_QUEUED: "0"
      })
      // The third loop counts where the first one did.
      for (const loop of [0, 1, 2]) {
        const sleeping = yield* Effect.forkChild(get(`${url}/sleep?ms=60000`))
        yield* untilStats(url, ({ active }) => active === 1)
        for (let i = 0; i < 2; i++) assert.strictEqual((yield* get(`${url}/fast`)).status, 503)
        yield* Fiber.interrupt(sleeping)
        const { rejected } = yield* untilStats(url, ({ active }) => active === 0)
        assert.strictEqual(rejected, 2 * (loop + 1))
        child.kill("SIGHUP")
        yield* untilStats(url, ({ respawns, workers }) => respawns === loop + 1 && workers === 1)
      }
      assert.strictEqual((yield* untilStats(url, () => true)).rejected, 6)
    })
  )

  it.live("restarts its loops one after the other at SIGHUP, and fails no request", () =>
    Effect.gen(function* () {
      const { child, url } = yield* launch("multi-loop", { ARCHITECTURE_WORKERS: "2" })
      const ask = Effect.map(get(`${url}/fast`, { headers: { connection: "close" } }), ({ status }) => status)
      const sleeping = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4], () => get(`${url}/sleep?ms=2000`), { concurrency: "unbounded" })
      )
      yield* untilStats(url, ({ active }) => active === 4)
      child.kill("SIGHUP")
      const restarted = untilStats(url, ({ respawns }) => respawns === 2)
      const statuses = new Set<number>()
      yield* Effect.raceFirst(restarted, Effect.forever(Effect.map(ask, (status) => statuses.add(status))))
      assert.deepStrictEqual(statuses, new Set([200]))
      for (const { status } of yield* Fiber.join(sleeping)) assert.strictEqual(status, 200)
      // What they were doing is counted by those who did it.
      const { active } = yield* untilStats(url, ({ workers }) => workers === 2)
      assert.strictEqual(active, 0)
    })
  )

  it.live("counts what a loop does while its successors start, also if one of them fails to", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      const fails = join(folder, "fails")
      const { child, url } = yield* launch("multi-loop", {
        ARCHITECTURE_WORKERS: "1",
        NODE_OPTIONS: `--import=${new URL("./failingStart.ts", import.meta.url).href}`,
        NEXT_START_FAILS: fails
      })
      const sleeping = yield* Effect.forkChild(get(`${url}/sleep?ms=60000`))
      yield* untilStats(url, ({ active }) => active === 1)
      writeFileSync(fails, "")
      child.kill("SIGHUP")
      const failed = Effect.sync(() => !existsSync(fails))
      yield* Effect.repeat(Effect.delay(failed, "20 millis"), { until: (failed) => failed }).pipe(
        Effect.timeout("15 seconds")
      )
      child.kill("SIGHUP")
      const { active, workers } = yield* untilStats(url, ({ respawns }) => respawns === 1)
      assert.deepStrictEqual({ active, workers }, { active: 1, workers: 2 })
      yield* Fiber.interrupt(sleeping)
      assert.strictEqual((yield* untilStats(url, ({ workers }) => workers === 1)).active, 0)
    })
  )
})
