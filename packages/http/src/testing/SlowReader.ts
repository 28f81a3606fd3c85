/**
 * A client that reads a response slowly, or not at all.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type * as Net from "node:net"
import type * as Scope from "effect/Scope"
import { openSocket } from "../internal/openSocket.ts"
import type * as RawClient from "./RawClient.ts"

/**
 * What a slow reader has received in the end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Download {
  /** The head of the response. */
  readonly head: string
  /** Bytes of the body. */
  readonly bytes: number
  /** The SHA-256 of the body, in hexadecimal. */
  readonly sha256: string
}

/**
 * A request that was sent and whose response is not read yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface SlowReader {
  /** Reads the rest as fast as it comes, until the server closes the connection. */
  readonly readAll: Effect.Effect<Download>
}

/**
 * Sends a request and reads nothing until told to.
 *
 * @category constructors
 * @since 0.1.0
 */
export const request = (
  target: RawClient.Target,
  bytes: string
): Effect.Effect<SlowReader, RawClient.ConnectFailed, Scope.Scope> =>
  Effect.map(openSocket(target), (socket) => {
    socket.pause()
    socket.write(bytes)
    return { readAll: readAll(socket) }
  })

const readAll = (socket: Net.Socket): Effect.Effect<Download> =>
  Effect.callback<Download>((resume) => {
    const hash = createHash("sha256")
    let head: string | undefined
    let pending = Buffer.alloc(0)
    let bytes = 0
    const body = (chunk: Buffer) => {
      bytes += chunk.length
      hash.update(chunk)
    }
    socket.on("data", (chunk: Buffer) => {
      if (head !== undefined) return body(chunk)
      pending = Buffer.concat([pending, chunk])
      const end = pending.indexOf("\r\n\r\n")
      if (end === -1) return
      head = pending.subarray(0, end).toString("latin1")
      body(pending.subarray(end + 4))
    })
    socket.once("end", () => socket.destroy())
    socket.once("close", () => resume(Effect.succeed({ head: head ?? "", bytes, sha256: hash.digest("hex") })))
    socket.resume()
  })
