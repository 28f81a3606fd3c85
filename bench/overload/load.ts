/**
 * The load generator, a process of its own: one or more streams of requests at the same time. `node load.ts '<LoadOptions as JSON>'` prints
 * `begin` and `end` around the part of the run that is measured, then a `LoadReport` as JSON.
 */
import * as OpenLoop from "@spillway/http/testing/OpenLoop"
import { Clock, Effect } from "effect"
import { Connection } from "../load/connection.ts"
import { quantile } from "../support/statistics.ts"
import type { Bin, ClosedStream, LoadOptions, LoadReport, OpenStream, Stream, StreamReport } from "./streams.ts"

const { port, streams } = JSON.parse(process.argv[2]!) as LoadOptions
const host = "127.0.0.1"
const binMillis = 100
/** How long a client of a closed loop waits before it asks again, when it was refused. */
const pauseAfterRefusal = 100

const latencies = (samples: ReadonlyArray<number>) => {
  if (samples.length === 0) return null
  const sorted = samples.toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1)! }
}

const isMeasured = ({ seconds, warmUp }: Stream, at: number) => at >= warmUp * 1000 && at < seconds * 1000

/** What was due and what was useful, by when it was due. */
const makeBins = ({ seconds }: OpenStream) => {
  const bins: ReadonlyArray<Bin> = Array.from({ length: Math.ceil((seconds * 1000) / binMillis) }, () => ({
    offered: 0,
    useful: 0
  }))
  const find = (at: number) => bins[Math.min(bins.length - 1, Math.floor(at / binMillis))]!
  return { bins, onDue: (at: number) => find(at).offered++, onUseful: (at: number) => find(at).useful++ }
}

const runOpen = Effect.fnUntraced(function* (stream: OpenStream) {
  const { connections, headers = {}, patienceMillis, path, rate, seconds, seed } = stream
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const start = now()
  const request = { path, headers }
  const [accepted, due, bins]: [Array<number>, Array<number>, ReturnType<typeof makeBins>] = [[], [], makeBins(stream)]
  const note = (n: number) => {
    due[n] = now() - start
    bins.onDue(due[n])
    return request
  }
  let useful = 0
  const report = yield* OpenLoop.run(
    { host, port },
    {
      rate,
      seed,
      connections,
      connection: stream.clients === "own" ? "new" : "keep-alive",
      arrivals: "poisson",
      duration: seconds * 1000,
      patience: patienceMillis,
      request: stream.bins === true ? note : request,
      onAnswer: (n, status, latency) => {
        if (status !== 200) return
        if (stream.bins === true) bins.onUseful(due[n]!)
        // By when it came, as a server's work is counted: by when they were due, a second could hold the answers of two.
        if (!isMeasured(stream, now() - start)) return
        useful++
        accepted.push(latency)
      }
    }
  )
  const { answered, failures, lagMillis, late, offered, statuses } = report
  return {
    name: stream.name,
    goodput: useful / (seconds - stream.warmUp),
    offered,
    refused: answered - (statuses["200"] ?? 0),
    timedOut: failures.timedOut + failures.notSent,
    broken: failures.broken + failures.malformed + failures.refused,
    statuses,
    late,
    lagMillis,
    latencyMillis: latencies(accepted),
    ...(stream.bins === true && { bins: bins.bins })
  } satisfies StreamReport
})

const runClosed = (stream: ClosedStream): Effect.Effect<StreamReport> =>
  Effect.callback((resume) => {
    const own = stream.clients === "own"
    const close = own ? "Connection: close\r\n" : ""
    const request = Buffer.from(`GET ${stream.path} HTTP/1.1\r\nHost: ${host}:${port}\r\n${close}\r\n`)
    const start = performance.now()
    const [accepted, statuses]: [Array<number>, Record<string, number>] = [[], {}]
    let [offered, refused, broken, open] = [0, 0, 0, stream.connections]
    const end = () => {
      const goodput = accepted.length / (stream.seconds - stream.warmUp)
      const latencyMillis = latencies(accepted)
      const lagMillis = { p50: 0, p99: 0, max: 0, stall: 0 }
      const counts = { offered, refused, broken, statuses, timedOut: 0, late: 0 }
      resume(Effect.succeed({ name: stream.name, goodput, ...counts, lagMillis, latencyMillis }))
    }
    const loop = (last: Connection | undefined): void => {
      if (own) last?.end()
      const connection = own || last === undefined ? new Connection({ host, port }) : last
      const sentAt = performance.now() - start
      if (sentAt >= stream.seconds * 1000) {
        connection.end()
        if (--open === 0) end()
        return
      }
      offered++
      connection.send(request, (status) => {
        statuses[status] = (statuses[status] ?? 0) + 1
        const at = performance.now() - start
        if (status === 200) {
          if (isMeasured(stream, at)) accepted.push(at - sentAt)
          return loop(connection)
        }
        if (status === 0) broken++
        else refused++
        setTimeout(loop, pauseAfterRefusal, connection)
      })
    }
    for (let i = 0; i < stream.connections; i++) loop(undefined)
  })

const say = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

/** Marks where all streams are beyond their warm-up, and where the first of them ends. */
const marks = Effect.gen(function* () {
  const measured = streams.filter(({ seconds, warmUp }) => seconds > warmUp)
  const beginning = Math.max(...measured.map(({ after = 0, warmUp }) => after + warmUp))
  const ending = Math.min(...measured.map(({ after = 0, seconds }) => after + seconds))
  yield* Effect.sleep(beginning * 1000)
  yield* say("begin")
  yield* Effect.sleep(Math.max(0, ending - beginning) * 1000)
  yield* say("end")
})

const program = Effect.gen(function* () {
  const run = (stream: Stream) =>
    Effect.delay(stream.kind === "open" ? runOpen(stream) : runClosed(stream), (stream.after ?? 0) * 1000)
  const all = Effect.forEach(streams, run, { concurrency: "unbounded" })
  const [reports] = yield* Effect.all([all, marks], { concurrency: "unbounded" })
  const { system, user } = process.cpuUsage()
  const measured = reports.filter((_, i) => streams[i]!.seconds > streams[i]!.warmUp)
  yield* say(JSON.stringify({ streams: measured, cpuSeconds: (user + system) / 1e6 } satisfies LoadReport))
})

await Effect.runPromise(program)
process.exit(0)
