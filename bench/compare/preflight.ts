/** What has to be there before anything is measured: that it is missing is said at once, and not after a quarter of an hour. */
import { spawnSync } from "node:child_process"
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { dirname } from "node:path"
import { childOpenFiles } from "./children.ts"
import { lastAddress } from "./clients/addresses.ts"
import type { PartId } from "./contract.ts"
import type { Place } from "./place.ts"
import { availableMemory } from "./proc.ts"

export interface Surroundings {
  /** Threads, memory and CPU are read from there. */
  readonly hasProc: boolean
  readonly hasWrk: boolean
  /** How many files a server or a load may open. */
  readonly openFiles: number
  /** Ports that the system has for the connections of one address. */
  readonly ports: number
  /** Whether programs may connect from the addresses 127.0.0.2 to `lastAddress`. */
  readonly hasAddresses: boolean
  /** The longest queue of connections that the system allows a listener. */
  readonly backlog: number
  /** Bytes. */
  readonly memory: number
}

/** Comparisons 4 and 6 hold 10,000 connections; with those of honest clients, and what a server has open itself. */
const manyFiles = 12_000
/** The thousand clients of comparison 1 are the most of the others. */
const someFiles = 2000
/** Comparison 7 makes a connection for each request, whose port is taken for a minute after it. */
const portsNeeded = 10_000
/** What the servers ask for (`SPILLWAY_HTTP_BACKLOG`). */
const backlogWanted = 4096
/** A pool of 32 threads takes 2.4 GiB. */
const memoryWanted = 4 * 2 ** 30

const count = (value: number): string => value.toLocaleString("en")

/** A line for each, with what mends it. */
export const problemsOf = (parts: ReadonlyArray<PartId>, found: Surroundings): ReadonlyArray<string> => {
  const files = parts.includes("4") || parts.includes("6") ? manyFiles : someFiles
  return [
    ...(found.hasProc ? [] : ["there is no /proc, from which threads, memory and CPU are read: run it on Linux"]),
    ...(found.hasWrk || !parts.includes("1")
      ? []
      : ["wrk is missing, the load of comparison 1: apt-get install wrk (the Debian package wrk)"]),
    ...(found.openFiles >= files
      ? []
      : [
          `a program may open ${count(found.openFiles)} files here, and ${count(files)} are needed: raise the hard limit (ulimit -Hn; in a container --ulimit nofile=65536), or run it as root with prlimit (the Debian package util-linux)`
        ]),
    ...(found.ports >= portsNeeded
      ? []
      : [
          `the system has ${count(found.ports)} local ports, and ${count(portsNeeded)} are needed: sysctl -w net.ipv4.ip_local_port_range="32768 60999"`
        ]),
    ...(found.hasAddresses
      ? []
      : [
          `the addresses 127.0.0.2 to ${lastAddress}, from which clients connect, do not exist: ip address add 127.0.0.1/8 dev lo`
        ])
  ]
}

/** What makes figures other than they would be, without making them impossible. */
export const remarksOf = ({ backlog, memory }: Surroundings): ReadonlyArray<string> => [
  ...(backlog >= backlogWanted
    ? []
    : [
        `the system cuts the servers' backlog of ${backlogWanted} to ${backlog}, and clients that connect at once will be sent away: sysctl -w net.core.somaxconn=${backlogWanted}`
      ]),
  ...(memory >= memoryWanted
    ? []
    : [
        `there are ${(memory / 2 ** 30).toFixed(1)} GiB of free memory: servers that make many threads will be ended before the last one is left, and count as fallen over`
      ])
]

const numbersIn = (path: string): ReadonlyArray<number> => readFileSync(path, "utf8").trim().split(/\s+/).map(Number)

/** The last of the addresses stands for all: Linux has the whole network, or one. */
const canListenAt = (host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen({ port: 0, host }, () => server.close(() => resolve(true)))
  })

const look = async (): Promise<Surroundings> => {
  const hasProc = existsSync("/proc/self/stat") && existsSync("/proc/meminfo")
  const [from = 0, to = Infinity] = hasProc ? numbersIn("/proc/sys/net/ipv4/ip_local_port_range") : []
  return {
    hasProc,
    hasWrk: spawnSync("wrk", ["-v"]).error === undefined,
    openFiles: hasProc ? childOpenFiles() : Infinity,
    ports: to - from + 1,
    hasAddresses: await canListenAt(lastAddress),
    backlog: hasProc ? numbersIn("/proc/sys/net/core/somaxconn")[0]! : Infinity,
    memory: hasProc ? availableMemory() : Infinity
  }
}

/** Why nothing can be written to a folder, if so; it is made where it does not exist. */
const refusalOf = (folder: string): string | undefined => {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return undefined
  } catch (error) {
    return `nothing can be written to ${folder}: ${(error as NodeJS.ErrnoException).code}`
  }
}

/** What is missing; if nothing is, it prints what else is worth knowing. */
export const findProblems = async (parts: ReadonlyArray<PartId>, place: Place): Promise<ReadonlyArray<string>> => {
  const found = await look()
  const folders = new Set([dirname(place.results), dirname(place.text)])
  const refusals = [...folders].map(refusalOf).filter((refusal) => refusal !== undefined)
  const problems = [...problemsOf(parts, found), ...refusals]
  if (problems.length === 0) for (const remark of remarksOf(found)) console.log(`Note: ${remark}`)
  return problems
}
