import { NodeWS } from "@effect/platform-node"
import { RawClient } from "@spillway/http/testing"
import { Deferred, Effect, Latch, type Scope } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Socket } from "effect/socket"
import { randomBytes } from "node:crypto"
import { connect as connectSocket } from "node:net"
import type { Socket as NetSocket } from "node:net"
import { handshake, soon } from "./fixture.ts"

const empty = HttpServerResponse.empty()

/** An app that upgrades each request and runs a handler on its socket. */
export const upgrading = <E, R>(handler: (socket: Socket.Socket) => Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    // A view of the request, as a router's prefix makes one.
    yield* handler(yield* request.modify({ url: request.url }).upgrade)
    return empty
  }).pipe(Effect.scoped)

/** Runs an effect with each message, until the peer closes. */
export const forMessages = <E, R>(
  socket: Socket.Socket,
  handle: (message: string | Uint8Array) => Effect.Effect<unknown, E, R>
) =>
  Effect.gen(function* () {
    const { pull } = yield* socket.reader
    while (true) for (const message of yield* pull) yield* handle(message)
  })

export const echo = upgrading((socket) =>
  Effect.gen(function* () {
    const { write } = yield* socket.writer
    yield* forMessages(socket, write)
  })
)

/** What a client has seen of the server's side. */
export interface Client {
  readonly send: (message: string | Uint8Array) => void
  readonly close: () => void
  readonly messages: Array<string>
  /** Waits for so many messages. */
  readonly received: (count: number) => Effect.Effect<ReadonlyArray<string>>
  readonly closed: Effect.Effect<{ readonly code: number; readonly reason: string }>
}

type Constructor = new (url: string, protocols?: string | Array<string>) => WebSocket

/** The clients that users have: node's own, which is undici's and a browser's, and `ws`. */
export const clients: Record<string, Constructor> = {
  "node's WebSocket": WebSocket,
  ws: NodeWS.WebSocket as unknown as Constructor
}

/** Opens a WebSocket with a real client. It is closed with the scope. */
export const open = (
  port: number,
  client: Constructor = WebSocket,
  path = "/"
): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function* () {
    const opened = yield* Deferred.make<void>()
    const closed = yield* Deferred.make<{ readonly code: number; readonly reason: string }>()
    const messages: Array<string> = []
    const changed = Latch.makeUnsafe(false)
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new client(`ws://127.0.0.1:${port}${path}`)),
      (socket) => Effect.sync(() => socket.close())
    )
    socket.binaryType = "arraybuffer"
    socket.addEventListener("open", () => Deferred.doneUnsafe(opened, Effect.void))
    socket.addEventListener("error", () => {})
    socket.addEventListener("message", ({ data }) => {
      messages.push(typeof data === "string" ? data : Buffer.from(data).toString("latin1"))
      changed.openUnsafe()
      changed.closeUnsafe()
    })
    socket.addEventListener("close", ({ code, reason }) =>
      Deferred.doneUnsafe(closed, Effect.succeed({ code, reason: String(reason) }))
    )
    yield* soon(Deferred.await(opened))
    return {
      send: (message) => socket.send(message as string),
      close: () => socket.close(1000, "done"),
      messages,
      received: (count) =>
        soon(
          Effect.suspend(() =>
            messages.length >= count ? Effect.succeed(messages) : Effect.as(changed.await, undefined)
          ).pipe(
            Effect.repeat({ until: (found) => found !== undefined }),
            Effect.map(() => messages)
          )
        ),
      closed: soon(Deferred.await(closed))
    }
  })

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** The frame of a client (RFC 6455 section 5.2), masked. */
export const frame = (
  opcode: number,
  payload: Uint8Array | string = "",
  { fin = true, rsv = 0, length }: { fin?: boolean; rsv?: number; length?: number } = {}
): Buffer => {
  const data = Buffer.from(payload as string)
  const announced = length ?? data.length
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  let head: Buffer
  if (announced < 126) head = Buffer.from([first, 0x80 | announced])
  else if (announced < 65_536) head = Buffer.from([first, 0x80 | 126, announced >> 8, announced & 255])
  else {
    head = Buffer.alloc(10)
    head[0] = first
    head[1] = 0x80 | 127
    head.writeBigUInt64BE(BigInt(announced), 2)
  }
  // A mask of zeros is a mask: the bytes stay as the case has them.
  return Buffer.concat([head, Buffer.alloc(4), data])
}

export const closeFrame = (code: number, reason = ""): Buffer => {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code)
  payload.write(reason, 2)
  return frame(opcodes.close, payload)
}

export interface Frame {
  readonly opcode: number
  readonly fin: boolean
  readonly rsv: number
  readonly masked: boolean
  readonly payload: Buffer
}

/** A client that sends bytes and reads frames, and does nothing by itself: it answers no ping and no close frame. */
export interface RawWebSocket {
  readonly socket: NetSocket
  readonly write: (bytes: Uint8Array) => void
  readonly frames: Array<Frame>
  /** Waits for a frame that fits, or for the end. */
  readonly until: (fits: (frame: Frame) => boolean) => Effect.Effect<Frame | undefined>
  /** Waits for the end of the connection and says how it came. */
  readonly ended: Effect.Effect<"closed" | "reset">
}

const parseFrames = (bytes: Buffer, frames: Array<Frame>): Buffer => {
  while (bytes.length >= 2) {
    const masked = (bytes[1]! & 0x80) !== 0
    let length = bytes[1]! & 0x7f
    let at = 2
    if (length === 126) {
      if (bytes.length < 4) return bytes
      length = bytes.readUInt16BE(2)
      at = 4
    } else if (length === 127) {
      if (bytes.length < 10) return bytes
      length = Number(bytes.readBigUInt64BE(2))
      at = 10
    }
    if (bytes.length < at + length) return bytes
    frames.push({
      opcode: bytes[0]! & 15,
      fin: bytes[0]! >= 0x80,
      rsv: (bytes[0]! >> 4) & 7,
      masked,
      payload: bytes.subarray(at, at + length)
    })
    bytes = bytes.subarray(at + length)
  }
  return bytes
}

/** Makes the handshake on a plain socket. `paused` reads nothing behind it. */
export const openRaw = (port: number, options: { readonly paused?: boolean; readonly path?: string } = {}) =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => connectSocket({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const frames: Array<Frame> = []
    const watchers = new Set<() => void>()
    let ending: "closed" | "reset" | undefined
    let chunks: Array<Buffer> = []
    let size = 0
    let upgraded = false
    let wanted = 0
    const notify = () => {
      for (const watcher of watchers) watcher()
    }
    const end = (how: "closed" | "reset") => {
      ending ??= how
      notify()
    }
    socket.on("error", () => end("reset"))
    socket.on("end", () => end("closed"))
    socket.on("close", () => end("closed"))
    socket.on("data", (chunk) => {
      chunks.push(chunk)
      size += chunk.length
      // Joined only when a frame may be whole, or a long one would be copied once for each of its chunks.
      if (size < wanted) return
      let bytes = Buffer.concat(chunks)
      if (!upgraded) {
        const head = bytes.indexOf("\r\n\r\n")
        if (head === -1) return
        upgraded = true
        bytes = bytes.subarray(head + 4)
        if (options.paused === true) socket.pause()
      }
      const rest = parseFrames(bytes, frames)
      chunks = [rest]
      size = rest.length
      wanted = size >= 10 && (rest[1]! & 0x7f) === 127 ? 10 + Number(rest.readBigUInt64BE(2)) : 0
      notify()
    })
    const waitFor = <A>(done: () => A | undefined): Effect.Effect<A> =>
      Effect.callback<A>((resume) => {
        const check = () => {
          const value = done()
          if (value === undefined) return
          watchers.delete(check)
          resume(Effect.succeed(value))
        }
        watchers.add(check)
        check()
        return Effect.sync(() => watchers.delete(check))
      })
    socket.write(handshake(options.path ?? "/"))
    yield* soon(waitFor(() => (upgraded ? true : undefined)))
    const client: RawWebSocket = {
      socket,
      write: (bytes) => void socket.write(bytes),
      frames,
      until: (fits) =>
        waitFor(() => {
          const found = frames.find(fits)
          return found !== undefined || ending !== undefined ? { found } : undefined
        }).pipe(Effect.map(({ found }) => found)),
      ended: waitFor(() => ending)
    }
    return client
  })

/** The code of a close frame, 1005 if it has none. */
export const closeCode = ({ payload }: Frame): number => (payload.length < 2 ? 1005 : payload.readUInt16BE(0))

export const isClose = ({ opcode }: Frame): boolean => opcode === opcodes.close

/** A handshake whose header fields differ from the valid ones; `undefined` leaves one out. */
export const handshakeWith = (port: number, changes: Record<string, string | undefined>, rest = "") => {
  const fields: Record<string, string | undefined> = {
    host: "test",
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
    ...changes
  }
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`]
  )
  return RawClient.exchange({ port }, `GET / HTTP/1.1\r\n${lines.join("")}\r\n${rest}`, { timeoutMillis: 10_000 })
}
