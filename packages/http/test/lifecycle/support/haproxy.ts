import { Effect } from "effect"
import type { Scope } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { soon } from "../../fixture.ts"
import { startChild } from "./child.ts"

/** The version of the haproxy on the path, if there is one. */
export const haproxyVersion: string | undefined = (() => {
  try {
    return /version (\S+)/.exec(execFileSync("haproxy", ["-v"], { encoding: "utf8" }))?.[1]
  } catch {
    return undefined
  }
})()

/** How often haproxy asks for `/readyz`: a server that stops must go on serving for longer. */
export const checkMillis = 50

/**
 * What nothing is hidden by: no request is sent a second time (`retries 0`, no redispatch), and connections to the servers are used again
 * as often as possible (`http-reuse always`), so that every race between a request and a closing connection is met. One failed check
 * takes a server out, one good one brings it back.
 */
const configuration = (frontend: number, servers: ReadonlyArray<number>, socket: string) => `
global
  log stdout format raw local0 info
  stats socket ${socket} mode 600 level admin
  maxconn 2000
defaults
  mode http
  log global
  option httplog
  option dontlog-normal
  retries 0
  no option redispatch
  option http-keep-alive
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 30s
  timeout check 2s
frontend public
  bind 127.0.0.1:${frontend}
  default_backend servers
backend servers
  balance roundrobin
  http-reuse always
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter ${checkMillis}ms fall 1 rise 1
${servers.map((port, index) => `  server s${index} 127.0.0.1:${port}`).join("\n")}
`

/** What haproxy says to a command on its socket. */
const ask = (socket: string, command: string): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const client = connect(socket, () => client.write(`${command}\n`))
    client.setEncoding("utf8").on("data", (text: string) => (answer += text))
    client.on("error", () => resume(Effect.succeed("")))
    client.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => client.destroy())
  })

export interface Haproxy {
  readonly port: number
  /** Waits until it sends requests to this server. */
  readonly uses: (index: number) => Effect.Effect<void>
  /** The requests that did not end well, as it logged them, and its notices. */
  readonly log: () => string
}

/** Starts haproxy in front of servers on these ports. It ends with the scope. */
export const startHaproxy = (
  frontend: number,
  servers: ReadonlyArray<number>
): Effect.Effect<Haproxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-haproxy-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const [file, socket] = [join(folder, "haproxy.cfg"), join(folder, "stats")]
    writeFileSync(file, configuration(frontend, servers, socket))
    const child = yield* startChild("haproxy", ["-db", "-f", file])
    const lines: Array<string> = []
    yield* Effect.forkScoped(
      Effect.gen(function* () {
        for (let line = yield* child.next; line !== undefined; line = yield* child.next) lines.push(line)
      })
    )
    const isUp = (index: number) =>
      Effect.map(ask(socket, "show stat"), (table) => new RegExp(`^servers,s${index},(.*,)?UP,`, "m").test(table))
    return {
      port: frontend,
      uses: (index) =>
        soon(
          Effect.repeat(
            Effect.tap(isUp(index), () => Effect.sleep(5)),
            { until: (up) => up }
          )
        ),
      log: () => [...lines, child.errors()].join("\n")
    }
  })
