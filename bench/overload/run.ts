/** A server in a process and on a core of its own, and load on it from another one. */
import { execFile, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { ServerProcess } from "../support/serverProcess.ts"
import { warmedSeconds } from "./estimate.ts"
import { cores } from "./settings.ts"
import type { ServerName } from "./settings.ts"
import type { LoadReport, Stream, StreamReport } from "./streams.ts"

export interface Measured {
  readonly streams: ReadonlyArray<StreamReport>
  /** CPU time of the server a second, while all streams ran. */
  readonly serverCpu: number
  /** CPU time of the generator a second. */
  readonly loadCpu: number
  /** About the CPU time a second that other programs of this machine took meanwhile; 0 where Linux does not say. */
  readonly otherCpu: number
}

/** CPU seconds of all programs so far: user, nice, system, and interrupts. */
const busySeconds = (): number => {
  try {
    const fields = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.trim().split(/\s+/).slice(1).map(Number)
    return [0, 1, 2, 5, 6].reduce((sum, i) => sum + fields[i]!, 0) / 100
  } catch {
    return 0
  }
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const onCore = (core: number, args: ReadonlyArray<string>) => ["-c", String(core), process.execPath, ...args]

/** What a millisecond of the server's core is, so that all servers do the same work. */
const calibrate = async (): Promise<string> => {
  const { stdout } = await promisify(execFile)("taskset", onCore(cores.server, [path("work.ts")]), { timeout: 30_000 })
  return stdout.trim()
}

let steps: Promise<string> | undefined

const start = async (name: ServerName, options: object | undefined): Promise<ServerProcess> => {
  steps ??= calibrate()
  const args = options === undefined ? [name] : [name, JSON.stringify(options)]
  const env = { OVERLOAD_STEPS: await steps, NODE_ENV: "production" }
  return ServerProcess.start(path("../servers/overload.ts"), args, env, [], cores.server)
}

/** Lets a few clients come first, so that the server's code is compiled: what follows is the same for one that has run for long. */
export const warmed = (path: string, streams: ReadonlyArray<Stream>): ReadonlyArray<Stream> => {
  const seconds = warmedSeconds - 0.2
  const later = streams.map((stream) => ({ ...stream, after: (stream.after ?? 0) + warmedSeconds }))
  return [
    ...later,
    { kind: "closed", name: "warm-up", path, seconds, warmUp: seconds, connections: 4, clients: "kept" }
  ]
}

/** Runs `use` with a new server, which what happened before has not touched, and ends it without waiting for what it still has to do. */
export const withServer = async <A>(
  name: ServerName,
  use: (server: ServerProcess) => Promise<A>,
  options?: object
): Promise<A> => {
  const server = await start(name, options)
  try {
    return await use(server)
  } finally {
    await server.stop("SIGKILL")
  }
}

const startLoad = (streams: ReadonlyArray<Stream>) => {
  const seconds = Math.max(...streams.map(({ after = 0, seconds }) => after + seconds))
  return spawn("taskset", onCore(cores.load, [path("load.ts"), JSON.stringify(streams)]), {
    stdio: ["pipe", "pipe", "inherit"],
    timeout: (seconds + 60) * 1000
  })
}

const measureLoad = async (server: ServerProcess, child: ReturnType<typeof startLoad>): Promise<Measured> => {
  const marks = { begin: [0, 0, 0], end: [0, 0, 0] }
  const since = performance.now()
  child.stdin.end(String(server.port))
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === "begin" || line === "end") {
      marks[line] = [server.cpuSeconds(), performance.now() / 1000, busySeconds()]
      continue
    }
    const report = JSON.parse(line) as LoadReport
    const [cpu, wall, busy] = [0, 1, 2].map((i) => marks.end[i]! - marks.begin[i]!)
    const loadCpu = report.cpuSeconds / ((performance.now() - since) / 1000)
    const serverCpu = cpu! / wall!
    const otherCpu = Math.max(0, busy! / wall! - serverCpu - loadCpu)
    return { streams: report.streams, serverCpu, loadCpu, otherCpu }
  }
  throw new Error("the load generator ended without a report")
}

/** Puts load on a new server until all streams have ended. Both processes start at the same time: there are hundreds of measurements. */
export const underLoad = async (
  name: ServerName,
  streams: ReadonlyArray<Stream>,
  options?: object
): Promise<Measured> => {
  steps ??= calibrate()
  await steps
  const child = startLoad(streams)
  try {
    return await withServer(name, (server) => measureLoad(server, child), options)
  } finally {
    child.kill("SIGKILL")
  }
}

/** A server with settings of its own: one row, or group of rows, of a table. */
export interface Entrant {
  /** How it is called in tables and charts: the server, and its setting if it has one. */
  readonly name: string
  readonly server: ServerName
  /** As JSON for the server. */
  readonly options?: object
  /** Has the setting that the documentation recommends, so that the targets are for it. */
  readonly isJudged?: boolean
}

export interface Result<A> {
  readonly name: string
  readonly server: ServerName
  readonly isJudged: boolean
  readonly rounds: ReadonlyArray<A>
}

/** Each round measures each entrant that has as many rounds once, in turning order. */
export const interleave = async <E extends Entrant, A>(
  entrants: ReadonlyArray<E>,
  roundsOf: (entrant: E) => number,
  measure: (entrant: E, round: number) => Promise<A>
): Promise<ReadonlyArray<Result<A>>> => {
  const results = entrants.map((entrant) => {
    const { isJudged = false, name, server } = entrant
    return { entrant, name, server, isJudged, rounds: [] as Array<A> }
  })
  for (let round = 0; round < Math.max(0, ...entrants.map(roundsOf)); round++) {
    for (let i = 0; i < results.length; i++) {
      const { entrant, rounds } = results[(round + i) % results.length]!
      if (round < roundsOf(entrant)) rounds.push(await measure(entrant, round))
    }
  }
  return results.map(({ isJudged, name, rounds, server }) => ({ name, server, isJudged, rounds }))
}
