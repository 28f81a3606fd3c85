/** A server in a process of its own, whose first line with a URL says where it listens. */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { createInterface } from "node:readline"

const cpuSecondsOf = (pid: number | string): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export class ServerProcess {
  readonly port: number
  readonly #child: ChildProcess

  constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /** `core`: the only one that it may use. */
  static async start(
    file: string,
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>>,
    nodeOptions: ReadonlyArray<string> = [],
    core?: number
  ): Promise<ServerProcess> {
    const command = [process.execPath, ...nodeOptions, file, ...args]
    const [program, ...rest] = core === undefined ? command : ["taskset", "-c", String(core), ...command]
    const child = spawn(program!, rest, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit", "ipc"]
    })
    for await (const line of createInterface({ input: child.stdout! })) {
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
      if (port !== undefined) return new ServerProcess(child, Number(port))
    }
    throw new Error(`${file} ended without printing its URL`)
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** User and system CPU seconds so far, of all its threads and of its children that run. */
  cpuSeconds(): number {
    const { pid } = this.#child
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean)
    return [pid, ...children].reduce((sum: number, id) => sum + cpuSecondsOf(id!), 0)
  }

  /** CPU seconds so far of its threads that run, to the nanosecond: `cpuSeconds` counts hundredths. */
  preciseCpuSeconds(): number {
    const tasks = `/proc/${this.#child.pid}/task`
    const nanos = (id: string) => Number(readFileSync(`${tasks}/${id}/schedstat`, "utf8").split(" ", 1)[0])
    return readdirSync(tasks).reduce((sum, id) => sum + nanos(id), 0) / 1e9
  }

  /** Sends a message and returns the next one that comes back: for servers that answer questions about themselves. */
  async ask<A>(question: string): Promise<A> {
    const answer = once(this.#child, "message", { signal: AbortSignal.timeout(60_000) })
    this.#child.send(question)
    return (await answer)[0] as A
  }

  /** Stops it as a supervisor would, or as the signal says, and returns its exit code. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.#child.kill(signal)
    const [code] = await once(this.#child, "exit")
    return code as number | null
  }
}
