/**
 * Servers to observe, each in a process of its own: what freezes there does not freeze whoever watches, and the operating system says what
 * the process does meanwhile.
 */
import { Data, Deferred, Effect, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** The server ended, or was silent for too long, before it said where it listens. */
export class NotStarted extends Data.TaggedError("NotStarted")<{ readonly file: string }> {
  override get message() {
    return `${this.file} did not print a URL`
  }
}

export interface Server {
  readonly url: string
  readonly pid: number
}

/** It takes less than one, but a machine may have much else to do. */
const startTimeout = "30 seconds"

/** Ends a process also where finalizers do not run: when this one is forced to exit, or crashes since nobody reads what it prints. */
const endWithThisProcess = Effect.gen(function* () {
  let pid: number | undefined
  const end = () => {
    if (pid !== undefined && isAlive(pid)) process.kill(pid, "SIGKILL")
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("exit", end)),
    () => Effect.sync(() => process.off("exit", end))
  )
  return (started: number) => {
    pid = started
  }
})

/** Runs a file with Node, on a free port, waits for the line with its URL, and ends the process with the scope. */
export const start = Effect.fnUntraced(function* (
  file: URL,
  args: ReadonlyArray<string> = [],
  env: Readonly<Record<string, string>> = {}
) {
  const path = fileURLToPath(file)
  // Before the process, so that it holds until that has ended.
  const watch = yield* endWithThisProcess
  const { pid, stdout } = yield* ChildProcess.make(process.execPath, [path, ...args], {
    env: { PORT: "0", ...env },
    extendEnv: true,
    stdin: "ignore",
    stderr: "inherit",
    // In our process group: Ctrl-C in a terminal reaches it too, whatever becomes of us.
    detached: false,
    forceKillAfter: "5 seconds"
  })
  watch(pid)
  const url = yield* Deferred.make<string, NotStarted>()
  const notStarted = new NotStarted({ file: path })
  // Read to its end: a process whose output nobody takes stands still sooner or later.
  yield* stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) => {
      const found = /http:\/\/[^\s,]+/.exec(line)
      return found === null ? Effect.void : Deferred.succeed(url, found[0])
    }),
    Effect.onExit(() => Deferred.fail(url, notStarted)),
    Effect.forkScoped
  )
  const patient = Effect.timeoutOrElse(Deferred.await(url), {
    duration: startTimeout,
    orElse: () => Effect.fail(notStarted)
  })
  return { pid, url: yield* patient } satisfies Server
})

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** What Linux says of a process; `undefined` on other systems, and of a process that has ended. */
const readProc = (read: () => number): number | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** The CPU time that all threads of a process have used until now, in milliseconds. Linux counts hundredths of a second. */
export const cpuMillis = (pid: number): number | undefined =>
  readProc(() => {
    // The name in parentheses may hold anything, so the fields are counted from behind it.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
    return (Number(fields[11]) + Number(fields[12])) * 10
  })

/** How many threads a process has. */
export const threads = (pid: number): number | undefined => readProc(() => readdirSync(`/proc/${pid}/task`).length)

/** The most memory that a process ever had, in MiB. */
export const peakMebibytes = (pid: number): number | undefined =>
  readProc(() => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024)
