/** Starts an architecture as its reader would, and attacks it. */
import { readdirSync } from "node:fs"
import { Agent, request } from "node:http"
import { connect } from "node:net"
import { once } from "node:events"
import { Effect } from "effect"
import { start } from "../support/example.ts"
import type { Name } from "@spillway/examples/architectures/settings"

/**
 * The documents speak of waits of 5 s and of a receive timeout of 30 s. Everything that waits here is shorter by this factor; what is
 * compared are orders and shares, which do not change with it.
 */
export const scale = 10

/** 5 s of the documents. */
export const long = 5000 / scale

/** Starts it on a free port. */
export const launch = (name: Name, env: Record<string, string> = {}) =>
  Effect.map(start("architectures/main.ts", env, [name]), (server) => ({ ...server, pid: server.child.pid! }))

/** What the operating system counts. */
export const threadsOf = (pid: number): number => readdirSync(`/proc/${pid}/task`).length

/** Connections that say nothing until the scope closes. */
export const silent = (url: string, count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    () =>
      Effect.acquireRelease(
        Effect.promise(async () => {
          const { hostname, port } = new URL(url)
          const socket = connect(Number(port), hostname).on("error", () => {})
          await once(socket, "connect")
          return socket
        }),
        (socket) => Effect.sync(() => socket.destroy())
      ),
    { concurrency: "unbounded" }
  )

/** Sends a request; what it returns leaves without having had an answer, with the end of its side or with a reset. */
export const leaving = (url: string, path: string, how: "end" | "reset") =>
  Effect.map(silent(url, 1), ([socket]) => {
    socket!.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    return Effect.sync(() => (how === "end" ? socket!.destroy() : socket!.resetAndDestroy()))
  })

/** One kept connection: its requests go one after the other, to the same loop. */
export const keptConnection = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Agent({ keepAlive: true, maxSockets: 1 })),
      (agent) => Effect.sync(() => agent.destroy())
    ),
    (agent) => (path: string) =>
      Effect.tryPromise(async () => {
        const sent = request(`${url}${path}`, { agent }).end()
        const [response] = await once(sent, "response")
        let body = ""
        for await (const chunk of response) body += chunk
        return { status: response.statusCode as number, body }
      })
  )

/** `/stats`, again and again until it is as wanted. */
export const untilStats = (url: string, wanted: (stats: Stats) => boolean) =>
  Effect.promise(
    async (signal): Promise<Stats> => (await fetch(`${url}/stats`, { signal })).json() as Promise<Stats>
  ).pipe(Effect.repeat({ until: wanted }), Effect.timeout("15 seconds"))

export interface Stats {
  readonly architecture: string
  readonly pid: number
  readonly workers: number
  readonly active: number
  readonly maxActive: number
  readonly queued: number
  readonly processed: number
  readonly rejected: number
  readonly interrupted: number
  readonly respawns: number
  readonly openConnections: number
  readonly eventLoopDelayP99Ms: number
}
