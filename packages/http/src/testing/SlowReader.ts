/**
 * Clients that read a response slowly, or not at all.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import type * as Net from "node:net"
import type * as Attack from "./Attack.ts"
import { encode } from "./HttpRequest.ts"
import type { HttpRequest } from "./HttpRequest.ts"
import { openSocket } from "./internal/openSocket.ts"
import * as swarm from "./internal/swarm.ts"
import { Watched } from "./internal/Watched.ts"
import type * as RawClient from "./RawClient.ts"
import { resolve } from "./Target.ts"
import type { ConnectFailed, Input, Resolved } from "./Target.ts"

/**
 * Options of `run`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Attack.Options {
  /** The request; it should have a large response. By default GET of the path of the URL that the target was given as, else `/`. */
  readonly request?: HttpRequest | undefined
  /**
   * How many bytes each connection reads in a second, in up to ten equal parts. An integer from 0, which reads nothing at all.
   *
   * @default 0
   */
  readonly bytesPerSecond?: number | undefined
}

const stepMillis = 100

/** A connection that takes from the kernel what it is allowed to, and not a byte more. */
class Reader extends Watched {
  allowed = 0
}

const openReader =
  (bufferBytes: number, methods: ReadonlyArray<string>) =>
  (target: Resolved, clock: Clock.Clock, connectTimeout: number): Effect.Effect<Reader, ConnectFailed, Scope.Scope> =>
    Effect.suspend(() => {
      let reader: Reader | undefined
      const callback = (length: number, bytes: Uint8Array): boolean => {
        if (reader === undefined) return false
        reader.allowed -= length
        reader.take(Buffer.from(bytes.subarray(0, length)))
        return reader.allowed > 0
      }
      const isPlain = target.tls === undefined
      const onread = isPlain ? { buffer: new Uint8Array(bufferBytes), callback } : undefined
      return Effect.map(openSocket(target, { connectTimeout, onread }), (socket) => {
        const opened = new Reader(socket, clock, { methods, keepBodies: false })
        reader = opened
        return isPlain ? opened : pausing(opened)
      })
    })

/** TLS has no buffer of the reader's own: it pauses after each record instead, and pays back what it read too much. */
const pausing = (reader: Reader): Reader => {
  const { socket } = reader
  socket.on("data", (chunk: Buffer) => {
    reader.allowed -= chunk.length
    if (reader.allowed <= 0) socket.pause()
  })
  socket.pause()
  return reader
}

/** Reads in steps. An empty write sends nothing, and is told of a reset that a socket which does not read never sees. */
const readSlowly = Effect.fnUntraced(function* (reader: Reader, bytesPerSecond: number) {
  const step = (bytesPerSecond * stepMillis) / 1000
  while (reader.ending === "open") {
    reader.allowed = Math.min(Math.max(1, step), reader.allowed + step)
    if (reader.allowed >= 1) reader.socket.resume()
    yield* reader.write("")
    yield* Effect.sleep(stepMillis)
  }
})

/**
 * Opens connections that send a request and read its response slowly or not at all, and reports how much each received and how it ended.
 *
 * **Details**
 *
 * Returns when all have ended or were watched for `duration`. It does not fail: connections that could not be opened are in the report.
 * Interruption closes them at once. A good server resets them, so that neither its memory nor its kernel's holds what nobody reads.
 *
 * **Gotchas**
 *
 * The kernel of the client takes bytes too, up to some megabytes that Node cannot limit (`net.ipv4.tcp_rmem`): a response that is not much
 * larger is gone from the server although nobody reads it. A reset is noticed within 100 ms; a connection that is closed in order only when
 * all that came before was read. Over TLS it reads by the record, up to 64 KiB at once and then as much less, and
 * notices both ends by reading only.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (target: Input, options: Options = {}): Effect.Effect<Attack.Report> => {
  const { bytesPerSecond = 0, request = {} } = options
  const bufferBytes = Math.min(65_536, Math.max(1, Math.ceil((bytesPerSecond * stepMillis) / 1000)))
  return swarm.run("SlowReader.run", target, options, {
    open: openReader(bufferBytes, [request.method ?? "GET"]),
    act: (reader) => {
      swarm.checkInteger("SlowReader.run: bytesPerSecond", bytesPerSecond, 0)
      return Effect.andThen(reader.write(encode(target, request)), readSlowly(reader, bytesPerSecond))
    }
  })
}

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
  /** Sends bytes and returns when the kernel has taken them, or the connection has ended. */
  readonly write: (bytes: string | Uint8Array) => Effect.Effect<void>
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
  target: Input,
  bytes: string
): Effect.Effect<SlowReader, RawClient.ConnectFailed, Scope.Scope> =>
  Effect.suspend(() =>
    Effect.map(openSocket(resolve(target)), (socket) => {
      socket.pause()
      socket.write(bytes)
      return { write: (bytes) => write(socket, bytes), readAll: readAll(socket) }
    })
  )

const write = (socket: Net.Socket, bytes: string | Uint8Array): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (!socket.writable) return resume(Effect.void)
    socket.write(bytes, () => resume(Effect.void))
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
