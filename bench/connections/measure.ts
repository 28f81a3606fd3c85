/** One measurement: a server in a process of its own, its memory without connections and with them. */
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { ServerProcess } from "../support/serverProcess.ts"
import { download, exercise, hold, holdUnread, release } from "./clients.ts"
import type { Memory } from "./control.ts"
import { connections, slowReaders } from "./settings.ts"

export type ServerName = "spillway" | "node" | "stock"

/** A young generation of at most 3 MB: at its usual size, which follows the garbage of the start, it would be 3 kB a connection. */
const smallNursery = ["--max-semi-space-size=1"]

const start = (name: ServerName, nodeOptions: ReadonlyArray<string> = []) =>
  ServerProcess.start(fileURLToPath(new URL("../servers/connections.ts", import.meta.url)), [name], {}, [
    "--expose-gc",
    ...nodeOptions
  ])

export interface Held {
  /** Bytes a connection. */
  readonly rss: number
  readonly heapAndExternal: number
}

export interface State {
  readonly name: string
  /** What a connection sends before it stops. */
  readonly bytes: string
  /** It stops once it has an answer. */
  readonly answered: boolean
  /** A whole request of the same kind. */
  readonly request: string
}

const get = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
const body = JSON.stringify({ text: "x".repeat(989) })
const post = (path: string, sent: string) =>
  `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${sent}`
const halfBody = (path: string) => ({
  bytes: post(path, body.slice(0, 10)),
  answered: false,
  request: post(path, body)
})

export const states: ReadonlyArray<State> = [
  { name: "half a head", bytes: get.slice(0, -6), answered: false, request: get },
  { name: "half a body, read as JSON", ...halfBody("/json") },
  { name: "half a body, read as text", ...halfBody("/text") },
  { name: "idle", bytes: get, answered: true, request: get }
]

/** A server that has worked has compiled what it runs and made what it keeps. */
const warmUp = async (server: ServerProcess, { answered, bytes, request }: State): Promise<void> => {
  await exercise(server.port, request, 50, 400)
  await release(await hold(server.port, 100, bytes, answered))
  await delay(200)
}

/** What each of many connections in a state takes. */
export const measureState = async (name: ServerName, state: State): Promise<Held> => {
  const server = await start(name, smallNursery)
  await warmUp(server, state)
  const before = await server.ask<Memory>("settled memory")
  const sockets = await hold(server.port, connections, state.bytes, state.answered)
  await delay(500)
  const after = await server.ask<Memory>("settled memory")
  const gone = connections - after.connections
  await release(sockets)
  await server.stop()
  if (gone !== 0) throw new Error(`${name}: ${gone} of ${connections} connections are gone`)
  return {
    rss: (after.rss - before.rss) / connections,
    heapAndExternal: (after.heapAndExternal - before.heapAndExternal) / connections
  }
}

/** Seconds after the clients came: their memory at once and later, and how many are left. */
const [early, late, end] = [0.3, 3, 10]

export interface Unread {
  /** Bytes of resident memory a client, without a forced collection: what the process really takes. */
  readonly early: number
  readonly late: number
  /** Clients that are still connected in the end. */
  readonly left: number
  /** Milliseconds that a fast client took after the later measurement; `undefined`: it did not get every byte. */
  readonly download: number | undefined
}

export const responses: ReadonlyArray<{ readonly name: string; readonly path: string }> = [
  { name: "one shared Uint8Array", path: "/shared" },
  { name: "a stream of fresh 64 KiB chunks", path: "/fresh" }
]

/** What each client costs that does not read its response. */
export const measureUnread = async (name: ServerName, path: string): Promise<Unread> => {
  const server = await start(name)
  for (let i = 0; i < 3; i++) await download(server.port, path)
  const before = await server.ask<Memory>("settled memory")
  const started = performance.now()
  const until = (seconds: number) => delay(Math.max(0, started + seconds * 1000 - performance.now()))
  const grown = async () => ((await server.ask<Memory>("memory")).rss - before.rss) / slowReaders
  const sockets = await holdUnread(server.port, slowReaders, `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`)
  await until(early)
  const atOnce = await grown()
  await until(late)
  const later = await grown()
  const millis = await download(server.port, path)
  await until(end)
  const { connections: left } = await server.ask<Memory>("memory")
  await release(sockets)
  await server.stop()
  return { early: atOnce, late: later, left, download: millis }
}
