/**
 * What a refusal costs: CPU time of the server for each, beside that of an accepted request of the same kind, both at full speed (wrk). The
 * target is for a GET on a kept connection.
 */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { watchSteal } from "../../support/machine.ts"
import type { ServerProcess } from "../../support/serverProcess.ts"
import { spread } from "../../support/statistics.ts"
import type { Spread } from "../../support/statistics.ts"
import { interleave, withServer } from "../run.ts"
import type { Entrant, Result } from "../run.ts"
import { loadSeconds } from "../estimate.ts"
import { cores, servers, shedding } from "../settings.ts"
import type { Changed } from "../servers/ours.ts"

const connections = 64

export interface Cost {
  readonly microsAccepted: number
  readonly microsRefused: number
  readonly refusedPerSecond: number
  readonly ratio: number
}

export interface SheddingReport {
  readonly connections: number
  readonly seconds: number
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<Result<Cost> & { readonly ratio: Spread }>
}

interface Shedder extends Entrant {
  readonly server: "ours" | "under-pressure"
  /** For wrk: what it sends, if that is not a GET on a kept connection. */
  readonly request: ReadonlyArray<string>
}

const post = ["-s", fileURLToPath(new URL("post.lua", import.meta.url))]
const shedders: ReadonlyArray<Shedder> = [
  { name: "ours, GET", server: "ours", isJudged: true, request: [] },
  { name: "ours, POST of 100 bytes", server: "ours", request: post },
  { name: "ours, GET with `Connection: close`", server: "ours", request: ["-H", "Connection: close"] },
  { name: "under-pressure, GET", server: "under-pressure", request: [] }
]
const entrants = () => shedders.filter(({ server }) => servers.includes(server))

interface Load {
  readonly answers: number
  readonly refused: number
}

const wrk = async (port: number, request: ReadonlyArray<string>, seconds: number): Promise<Load> => {
  const args = ["-c", String(cores.load), "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, ...request]
  const { stdout } = await promisify(execFile)("taskset", [...args, `http://127.0.0.1:${port}/hello`], {
    timeout: (seconds + 30) * 1000
  })
  return {
    answers: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    refused: Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0)
  }
}

const costOf = async (server: ServerProcess, request: ReadonlyArray<string>, refuses: boolean) => {
  await wrk(server.port, request, 1)
  const before = server.preciseCpuSeconds()
  const { answers, refused } = await wrk(server.port, request, shedding.seconds)
  const cpu = server.preciseCpuSeconds() - before
  const other = refuses ? answers - refused : refused
  if (other > 0) throw new Error(`${other} of ${answers} requests were ${refuses ? "accepted" : "refused"}`)
  return { micros: (1e6 * cpu) / answers, perSecond: answers / shedding.seconds }
}

/** Nothing is let in but one request, which is inside until the server ends; and nobody is held, so that refusals run as fast as they can. */
const closedDoor: Changed = {
  server: { maxConcurrent: 1, maxQueued: 0, requestDeadline: "10 minutes", maxRefusalRate: 1e9 }
}

const takeTheOnlyPlace = async (server: ServerProcess): Promise<void> => {
  const path = `http://127.0.0.1:${server.port}`
  // Ends when the server is killed.
  fetch(`${path}/sleep?ms=600000`).catch(() => {})
  const deadline = performance.now() + 5000
  while ((await fetch(`${path}/hello`)).status !== 503) {
    if (performance.now() > deadline) throw new Error("the door does not close")
  }
}

const costOfRefusal = (name: Shedder["server"], request: ReadonlyArray<string>): ReturnType<typeof costOf> => {
  if (name === "ours") {
    const closed = async (server: ServerProcess) => {
      await takeTheOnlyPlace(server)
      return costOf(server, request, true)
    }
    return withServer(name, closed, closedDoor)
  }
  const pressed = async (server: ServerProcess) => {
    await wrk(server.port, request, 1)
    return costOf(server, request, true)
  }
  // Under pressure from its first sample on: no process fits into a byte.
  return withServer(name, pressed, { maxRssBytes: 1, sampleInterval: 100 })
}

/** Who could refuse, under full speed, some of what is to be accepted here, does not. */
const calm = {
  ours: { server: { queueTarget: "10 seconds", queueInterval: "20 seconds" } } satisfies Changed,
  "under-pressure": { maxEventLoopDelay: 10_000 }
}

const measure = async ({ name, request, server }: Shedder): Promise<Cost> => {
  const accepted = await withServer(server, (started) => costOf(started, request, false), calm[server])
  const refused = await costOfRefusal(server, request)
  const ratio = refused.micros / accepted.micros
  console.log(
    `shedding, ${name}: accepted ${accepted.micros.toFixed(1)} us, refused ${refused.micros.toFixed(1)} us of CPU ` +
      `(${refused.perSecond.toFixed(0)}/s), ratio ${ratio.toFixed(2)}`
  )
  return {
    microsAccepted: accepted.micros,
    microsRefused: refused.micros,
    refusedPerSecond: refused.perSecond,
    ratio
  }
}

export const runShedding = async (): Promise<SheddingReport> => {
  const steal = watchSteal()
  const measured = await interleave(entrants(), () => shedding.rounds, measure)
  const results = measured.map((result) => ({ ...result, ratio: spread(result.rounds.map(({ ratio }) => ratio)) }))
  return { connections, seconds: shedding.seconds, stealPercent: steal(), results }
}

/** How long it takes: each cost has a second before it. */
export const sheddingSeconds = (): number =>
  shedding.rounds * entrants().length * 2 * loadSeconds(shedding.seconds + 1, 0)
