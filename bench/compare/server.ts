/** A server in a process of its own that is watched from outside, and ended before it takes the machine with it. */
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { get } from "node:http"
import { createInterface } from "node:readline"
import { spawnNode } from "./children.ts"
import { availableMemory, cpuSeconds, footprint, sockets } from "./proc.ts"
import type { Footprint } from "./proc.ts"
import { memoryBound } from "./settings.ts"

export interface Command {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

/** How often threads and memory are looked at, in milliseconds. */
const period = 50
const startSeconds = 60
const stopSeconds = 5
const gibibyte = 2 ** 30

const empty: Footprint = { threads: 0, rss: 0, peakRss: 0 }

const firstUrl = async (child: ChildProcess): Promise<number | undefined> => {
  for await (const line of createInterface({ input: child.stdout! })) {
    const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
    if (port !== undefined) return Number(port)
  }
  return undefined
}

/** The line that says what went wrong, of what a process wrote before it ended. */
const gist = (errors: string): string => {
  const lines = errors.trim().split("\n")
  return (lines.find((line) => /error|fatal|out of memory/i.test(line)) ?? lines.at(-1) ?? "").trim().slice(0, 200)
}

export class Server {
  readonly port: number
  readonly pid: number
  readonly #child: ChildProcess
  readonly #timer: NodeJS.Timeout
  #peak = empty
  #fell: string | undefined
  #stopping = false
  #cpu = 0

  private constructor(child: ChildProcess, port: number, errors: () => string) {
    this.#child = child
    this.port = port
    this.pid = child.pid!
    // Nobody reads on: it must not wait for room in the pipe.
    child.stdout!.resume()
    this.#timer = setInterval(() => this.#watch(), period)
    child.once("exit", (code, signal) => {
      clearInterval(this.#timer)
      if (!this.#stopping)
        this.#fell ??= `ended by itself (${signal ?? `exit code ${code}`}) ${gist(errors())}`.trimEnd()
    })
  }

  /** Returns when it has printed its URL. Throws if it ends before, or takes longer than a minute. */
  static async start({ args, env, file }: Command): Promise<Server> {
    const child = spawnNode(file, args, env, "pipe")
    let errors = ""
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-4000)
    })
    const timer = setTimeout(() => child.kill("SIGKILL"), startSeconds * 1000)
    const port = await firstUrl(child)
    clearTimeout(timer)
    if (port === undefined) throw new Error(`${file} ${args.join(" ")} did not print its URL\n${errors}`)
    return new Server(child, port, () => errors)
  }

  /** How it came to its end while it was measured; `null` if it lives. */
  get fell(): string | null {
    return this.#fell ?? null
  }

  /** The most threads and memory that were seen. */
  get peak(): Footprint {
    this.#watch()
    return this.#peak
  }

  /** What it has now. */
  footprint(): Footprint {
    return footprint(this.pid) ?? empty
  }

  sockets(): number {
    return sockets(this.pid)
  }

  /** Of one that has ended, as it was when it was last looked at. */
  cpuSeconds(): number {
    return (this.#cpu = cpuSeconds(this.pid) ?? this.#cpu)
  }

  /** Asks for something fast some times, four at once, so that the code of each request is compiled. */
  async warm(requests: number, path = "/fast"): Promise<void> {
    const ask = () =>
      new Promise<void>((resolve, reject) => {
        get({ host: "127.0.0.1", port: this.port, path, agent: false }, (response) => {
          response.resume().once("close", resolve)
        }).once("error", reject)
      })
    for (let sent = 0; sent < requests; sent += 4) await Promise.all(Array.from({ length: 4 }, ask))
  }

  /** Ends it as a supervisor would, or at once. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    this.#stopping = true
    const exited = once(this.#child, "exit")
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopSeconds * 1000)
    await exited
    clearTimeout(timer)
  }

  #watch(): void {
    const now = footprint(this.pid)
    if (now === undefined) return
    this.cpuSeconds()
    const threads = Math.max(this.#peak.threads, now.threads)
    this.#peak = { threads, rss: Math.max(this.#peak.rss, now.rss), peakRss: now.peakRss }
    if (now.rss < memoryBound && availableMemory() > gibibyte) return
    this.#fell ??= `ended by us at ${(now.rss / gibibyte).toFixed(1)} GiB with ${now.threads} threads`
    this.#child.kill("SIGKILL")
  }
}

/** Runs `use` with a new server, which what happened before has not touched, and ends it. */
export const withServer = async <A>(command: Command, use: (server: Server) => Promise<A>): Promise<A> => {
  const server = await Server.start(command)
  try {
    return await use(server)
  } finally {
    await server.stop()
  }
}
