/**
 * Sockets below what node documents: bound without accepting, and duplicated. `node:cluster` does the same with the same functions of
 * node (`_createServerHandle`, a handle over an IPC channel), so they are as stable as cluster is.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import { getSystemErrorMap } from "node:util"

/** A handle of libuv. */
export interface Handle {
  readonly fd: number
  getsockname(out: { address?: string; port?: number }): number
  close(): void
}

interface Internals {
  readonly _createServerHandle?: (
    address: string,
    port: number,
    family: 4 | 6,
    fd: number,
    flags: number
  ) => Handle | number
}

/** `UV_TCP_REUSEPORT` of libuv (uv.h), which refuses it where the kernel would not spread connections over the sockets. */
const reusePortFlag = 2

const systemError = (syscall: string, code: number): Error => {
  const [name, message] = getSystemErrorMap().get(code) ?? ["UNKNOWN", "unknown error"]
  return Object.assign(new Error(`${syscall} ${name}: ${message}`), { code: name, errno: code, syscall })
}

/** A socket that is bound and does not listen. Throws a system error. */
export const bind = (address: string, port: number, reusePort: boolean): { readonly handle: Handle; port: number } => {
  const create = (net as Internals)._createServerHandle
  if (create === undefined) throw new Error("this version of node can not bind a socket without listening")
  const handle = create(address, port, net.isIPv6(address) ? 6 : 4, -1, reusePort ? reusePortFlag : 0)
  if (typeof handle === "number") throw systemError(`bind ${address}:${port}`, handle)
  // What bind had to say libuv tells later.
  const name: { port?: number } = {}
  const code = handle.getsockname(name)
  if (code === 0) return { handle, port: name.port ?? port }
  handle.close()
  throw systemError(`bind ${address}:${port}`, code)
}

/**
 * A child process gets the socket by inheritance and sends it back by its channel, where it arrives as a descriptor of its own. It accepts
 * nothing meanwhile, and takes about 20 ms of CPU time.
 */
const sendBack = `
const { Socket } = require("node:net")
const { _handle } = new Socket({ fd: 4, readable: false, writable: false, manualStart: true })
process.send("socket", _handle, () => process.disconnect())
`

/** How long the child may take: it shares the machine with loops that start. */
const duplicateTimeout = "20 seconds"

const startChild = (fd: number): ChildProcess =>
  spawn(process.execPath, ["--input-type=commonjs", "--eval", sendBack], {
    stdio: ["ignore", "ignore", "pipe", "ipc", fd],
    // Nothing that the program preloads is of use to the child.
    env: { ...process.env, NODE_OPTIONS: "" }
  })

const noDuplicate = (cause: unknown): Error =>
  new Error(`can not duplicate the socket: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })

/** The most that is kept of what the child complains about, in characters. */
const maxComplaint = 2000

/** What the child sends. */
const received = (child: ChildProcess): Effect.Effect<Handle, Error> =>
  Effect.callback((resume) => {
    let complaint = ""
    child.stderr?.on("data", (part) => {
      complaint = `${complaint}${part}`.slice(0, maxComplaint)
    })
    child.once("error", (error) => resume(Effect.fail(noDuplicate(error))))
    child.once("message", (_message, handle) => resume(Effect.succeed(handle as unknown as Handle)))
    // Not at its exit: what it wrote may come later.
    child.once("close", (code, signal) => {
      const how = `its process ended with ${signal ?? code}`
      resume(Effect.fail(noDuplicate(new Error(complaint === "" ? how : `${how}: ${complaint.trim()}`))))
    })
  })

/** A descriptor of its own for the socket of another thread, so that closing it leaves the socket open. */
export const duplicate = (fd: number): Effect.Effect<Handle, Error> =>
  Effect.acquireUseRelease(
    Effect.try({ try: () => startChild(fd), catch: noDuplicate }),
    (child) =>
      received(child).pipe(
        Effect.timeoutOrElse({
          duration: duplicateTimeout,
          orElse: () => Effect.fail(noDuplicate(new Error(`it took longer than ${duplicateTimeout}`)))
        })
      ),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
