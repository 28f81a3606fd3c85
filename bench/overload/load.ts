/**
 * The load generator, a process of its own: one or more streams of requests at the same time. `node load.ts '<streams as JSON>'` starts when it
 * reads the port of the server from its input. It prints `begin` and `end` around the part of the run that is measured, then a `LoadReport` as
 * JSON.
 */
import { once } from "node:events"
import * as OpenLoop from "@spillway/http/testing/OpenLoop"
import { Clock, Effect } from "effect"
import { Connection } from "../load/connection.ts"
import { Random } from "../simulation/random.ts"
import { quantile } from "../support/statistics.ts"
import type { Bin, ClosedStream, LoadReport, OpenStream, Stream, StreamReport } from "./streams.ts"

const streams = JSON.parse(process.argv[2]!) as ReadonlyArray<Stream>
const port = Number((await once(process.stdin, "data"))[0])
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

/** What became of the requests of one kind. */
class Tally {
  readonly name: string
  readonly #bins: ReturnType<typeof makeBins>
  readonly accepted: Array<number> = []
  readonly statuses: Record<string, number> = {}
  offered = 0
  answered = 0

  constructor(name: string, stream: OpenStream) {
    this.name = name
    this.#bins = makeBins(stream)
  }

  onDue(at: number): void {
    this.offered++
    this.#bins.onDue(at)
  }

  /** `at`: when it came, as a server's work is counted: by when they were due, a second could hold the answers of two. */
  onAnswer(stream: OpenStream, answer: { due: number; at: number; status: number; latency: number }): void {
    const { at, due, latency, status } = answer
    this.answered++
    this.statuses[status] = (this.statuses[status] ?? 0) + 1
    if (status !== 200) return
    this.#bins.onUseful(due)
    if (isMeasured(stream, at)) this.accepted.push(latency)
  }

  report({ bins, mix, seconds, warmUp }: OpenStream, { failures, lagMillis, late }: OpenLoop.Report): StreamReport {
    const { accepted, answered, name, offered, statuses } = this
    // The load knows only of all parts together why there was no answer.
    const unanswered =
      mix === undefined
        ? {
            timedOut: failures.timedOut + failures.notSent,
            broken: failures.broken + failures.malformed + failures.refused
          }
        : { timedOut: offered - answered, broken: 0 }
    return {
      name,
      goodput: accepted.length / (seconds - warmUp),
      offered,
      refused: answered - (statuses["200"] ?? 0),
      ...unanswered,
      statuses,
      late,
      lagMillis,
      latencyMillis: latencies(accepted),
      ...(bins === true && { bins: this.#bins.bins })
    }
  }
}

/** Which part the n-th request is of: at random, the same for each seed. */
const picker = (parts: ReadonlyArray<{ readonly share: number }>, seed: number) => {
  const ends = parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, { share }) => sum + share, 0))
  const random = new Random(seed)
  return () => {
    const value = random.next() * ends.at(-1)!
    return ends.findIndex((end) => value < end)
  }
}

const runOpen = Effect.fnUntraced(function* (stream: OpenStream) {
  const { connections, headers = {}, patienceMillis, path, rate, seconds, seed } = stream
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const start = now()
  const parts = stream.mix ?? [{ name: stream.name, share: 1, headers }]
  const requests = parts.map((part) => ({ path, headers: part.headers }))
  const tallies = parts.map(({ name }) => new Tally(name, stream))
  // Another seed than that of the arrivals, which would be of the same numbers.
  const pick = picker(parts, seed + 1_000_000)
  const [due, partOf]: [Array<number>, Array<number>] = [[], []]
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
      request: (n) => {
        const part = (partOf[n] = pick())
        tallies[part]!.onDue((due[n] = now() - start))
        return requests[part]!
      },
      onAnswer: (n, status, latency) =>
        tallies[partOf[n]!]!.onAnswer(stream, { due: due[n]!, at: now() - start, status, latency })
    }
  )
  return tallies.map((tally) => tally.report(stream, report))
})

const runClosed = (stream: ClosedStream): Effect.Effect<ReadonlyArray<StreamReport>> =>
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
      resume(Effect.succeed([{ name: stream.name, goodput, ...counts, lagMillis, latencyMillis }]))
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
  const measured = reports.filter((_, i) => streams[i]!.seconds > streams[i]!.warmUp).flat()
  yield* say(JSON.stringify({ streams: measured, cpuSeconds: (user + system) / 1e6 } satisfies LoadReport))
})

await Effect.runPromise(program)
process.exit(0)
