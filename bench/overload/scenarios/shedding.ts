/** What a refusal costs: CPU time of the server for each, beside that of an accepted hello world, both at full speed (wrk). */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { watchSteal } from "../../support/machine.ts"
import type { ServerProcess } from "../../support/serverProcess.ts"
import { spread } from "../../support/statistics.ts"
import type { Spread } from "../../support/statistics.ts"
import { withServer } from "../run.ts"
import { cores, servers, shedding } from "../settings.ts"
import type { Changed } from "../servers/ours.ts"
import type { ServerName } from "../settings.ts"

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
  readonly results: ReadonlyArray<{
    readonly name: ServerName
    readonly rounds: ReadonlyArray<Cost>
    readonly ratio: Spread
  }>
}

interface Load {
  readonly answers: number
  readonly refused: number
}

const wrk = async (port: number, seconds: number): Promise<Load> => {
  const args = ["-c", String(cores.load), "wrk", "-t1", `-c${connections}`, `-d${seconds}s`]
  const { stdout } = await promisify(execFile)("taskset", [...args, `http://127.0.0.1:${port}/hello`], {
    timeout: (seconds + 30) * 1000
  })
  return {
    answers: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    refused: Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0)
  }
}

const costOf = async (server: ServerProcess, refuses: boolean) => {
  await wrk(server.port, 1)
  const before = server.cpuSeconds()
  const { answers, refused } = await wrk(server.port, shedding.seconds)
  const cpu = server.cpuSeconds() - before
  const other = refuses ? answers - refused : refused
  if (other > 0) throw new Error(`${other} of ${answers} requests were ${refuses ? "accepted" : "refused"}`)
  return { micros: (1e6 * cpu) / answers, perSecond: answers / shedding.seconds }
}

/** Nothing is let in but one request, which is inside until the server ends. */
const closedDoor: Changed = { server: { maxConcurrent: 1, maxQueued: 0, requestDeadline: "10 minutes" } }

const takeTheOnlyPlace = async (server: ServerProcess): Promise<void> => {
  const path = `http://127.0.0.1:${server.port}`
  // Ends when the server is killed.
  fetch(`${path}/sleep?ms=600000`).catch(() => {})
  const deadline = performance.now() + 5000
  while ((await fetch(`${path}/hello`)).status !== 503) {
    if (performance.now() > deadline) throw new Error("the door does not close")
  }
}

const costOfRefusal: Readonly<Partial<Record<ServerName, () => ReturnType<typeof costOf>>>> = {
  ours: () =>
    withServer(
      "ours",
      async (server) => {
        await takeTheOnlyPlace(server)
        return costOf(server, true)
      },
      closedDoor
    ),
  // Under pressure from its first sample on: no process fits into a byte.
  "under-pressure": () =>
    withServer(
      "under-pressure",
      async (server) => {
        await wrk(server.port, 1)
        return costOf(server, true)
      },
      { maxRssBytes: 1, sampleInterval: 100 }
    )
}

/** For under-pressure, which could refuse some of what it is to accept here. */
const calm = { maxEventLoopDelay: 10_000 }

const measure = async (name: ServerName): Promise<Cost> => {
  const accepted = await withServer(name, (server) => costOf(server, false), name === "ours" ? undefined : calm)
  const refused = await costOfRefusal[name]!()
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
  const names = (["ours", "under-pressure"] as const).filter((name) => servers.includes(name))
  const rounds = names.map((name) => ({ name, rounds: [] as Array<Cost> }))
  for (let round = 0; round < shedding.rounds; round++) {
    for (const result of rounds) result.rounds.push(await measure(result.name))
  }
  const results = rounds.map((result) => ({ ...result, ratio: spread(result.rounds.map(({ ratio }) => ratio)) }))
  return { connections, seconds: shedding.seconds, stealPercent: steal(), results }
}
