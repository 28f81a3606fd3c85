/** The processes that this one starts: servers and loads. None of them outlives it. */
import { execFile, spawn, spawnSync } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const running = new Set<ChildProcess>()
const folders = new Set<string>()

const leaveNothing = () => {
  for (const child of running) child.kill("SIGKILL")
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
}

process.once("exit", leaveNothing)
// Each time: Ctrl-C arrives twice, from the terminal and from npm, and the second one must not end this process before it has cleaned up.
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1]
] as const) {
  process.on(signal, () => process.exit(128 + number))
}

/** Has the child ended with this process. */
export const keep = <C extends ChildProcess>(child: C): C => {
  running.add(child)
  child.once("exit", () => running.delete(child))
  child.once("error", () => running.delete(child))
  return child
}

/** Has a folder removed when this process ends, unless `removeFolder` did so before. */
export const keepFolder = (folder: string): string => {
  folders.add(folder)
  return folder
}

export const removeFolder = (folder: string): void => {
  rmSync(folder, { recursive: true, force: true })
  folders.delete(folder)
}

/** Files that a process may open: 10,000 connections, or some thousand threads of which each has several. */
const openFiles = 65_536

/** Where the limit may not be raised, a program runs with the one that there is. */
const prefix: ReadonlyArray<string> =
  spawnSync("prlimit", [`--nofile=${openFiles}`, "true"]).status === 0 ? ["prlimit", `--nofile=${openFiles}`] : []

/** How many files those that are started here may open: Node takes the hard limit, if it is not given more. */
export const childOpenFiles = (): number => {
  if (prefix.length > 0) return openFiles
  const limits = readFileSync("/proc/self/limits", "utf8")
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return hard === "unlimited" ? Infinity : Number(hard)
}

/** Starts Node with a file, its standard input and output piped, its errors as `stderr` says. */
export const spawnNode = (
  file: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  stderr: "inherit" | "pipe" = "inherit"
): ChildProcess => {
  const [program, ...rest] = [...prefix, process.execPath, file, ...args]
  return keep(spawn(program!, rest, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", stderr] }))
}

export const client = (name: string): string => fileURLToPath(new URL(`./clients/${name}.ts`, import.meta.url))

/** Runs a load in a process of its own and returns the JSON that it prints in the end. Throws when it takes longer than it may. */
export const runClient = async <A>(name: string, options: object, timeoutSeconds: number): Promise<A> => {
  const child = spawnNode(client(name), [JSON.stringify(options)])
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutSeconds * 1000)
  try {
    let output = ""
    for await (const chunk of child.stdout!.setEncoding("utf8")) output += chunk as string
    if (output === "") throw new Error(`the load ${name} ended without a report, within ${timeoutSeconds} s`)
    return JSON.parse(output) as A
  } finally {
    clearTimeout(timer)
  }
}

/** Runs another program and returns what it prints. */
export const runProgram = async (
  program: string,
  args: ReadonlyArray<string>,
  timeoutSeconds: number
): Promise<string> => {
  const promise = promisify(execFile)(program, [...args], { timeout: timeoutSeconds * 1000 })
  keep(promise.child)
  return (await promise).stdout
}
