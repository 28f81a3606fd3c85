import { Deferred, Effect, type Scope } from "effect"
import { connect } from "node:tls"
import type { TLSSocket } from "node:tls"
import { soon } from "./fixture.ts"
import { ca } from "./tlsFixture.ts"

/** HTTP/2 by hand (RFC 9113), for what no proper client sends. */
export const type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 }
export const endStream = 1
export const endHeaders = 4

export const frame = (type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A header block of `GET / https` for `localhost`, all of it in the static table of RFC 7541 but the authority. */
export const getBlock = Buffer.concat([Buffer.from([0x82, 0x84, 0x87, 0x01, 9]), Buffer.from("localhost")])
export const get = (stream: number): Buffer => frame(type.headers, endHeaders | endStream, stream, getBlock)
export const reset = (stream: number): Buffer => frame(type.reset, 0, stream, uint32(8))
export const ping = frame(type.ping, 0, 0, Buffer.alloc(8))
export const windowUpdate = (stream: number, bytes: number): Buffer =>
  frame(type.windowUpdate, 0, stream, uint32(bytes))
export const settings = (values: ReadonlyArray<readonly [id: number, value: number]> = []): Buffer =>
  frame(
    type.settings,
    0,
    0,
    Buffer.concat(values.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)])))
  )
export const initialWindowSize = 4

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export interface RawSession {
  readonly socket: TLSSocket
  readonly write: (...frames: ReadonlyArray<Uint8Array>) => void
  /** Waits for a frame, also one that came before. Fails the test if the connection closes without it. */
  readonly receive: (wanted: (frame: Frame) => boolean) => Effect.Effect<Frame>
  readonly frames: ReadonlyArray<Frame>
  readonly closed: Effect.Effect<"closed" | "reset">
}

/** The code of a GOAWAY or RST_STREAM frame. */
export const codeOf = ({ payload, type: kind }: Frame): number => payload.readUInt32BE(kind === type.goaway ? 4 : 0)

/** Opens a connection that has chosen HTTP/2. Sends the preface and settings, unless they are `null`. */
export const open = (
  { port }: { readonly port: number },
  first: Buffer | null = settings()
): Effect.Effect<RawSession, never, Scope.Scope> =>
  Effect.gen(function* () {
    const frames: Array<Frame> = []
    const waiting = new Set<() => void>()
    const closed = Deferred.makeUnsafe<"closed" | "reset">()
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => connect({ port, host: "127.0.0.1", servername: "localhost", ca, ALPNProtocols: ["h2"] })),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let rest = Buffer.alloc(0)
    let wasReset = false
    socket.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
        const length = 9 + rest.readUIntBE(0, 3)
        const [payload, kind, flags] = [rest.subarray(9, length), rest[3]!, rest[4]!]
        frames.push({ type: kind, flags, stream: rest.readUInt32BE(5), payload })
        rest = rest.subarray(length)
      }
      for (const check of waiting) check()
    })
    socket.on("error", () => {
      wasReset = true
    })
    socket.on("close", () => {
      Deferred.doneUnsafe(closed, Effect.succeed(wasReset ? "reset" : "closed"))
      for (const check of waiting) check()
    })
    yield* soon(Effect.callback<void>((resume) => void socket.once("secureConnect", () => resume(Effect.void))))
    const write = (...parts: ReadonlyArray<Uint8Array>): void => void socket.write(Buffer.concat(parts))
    if (first !== null) write(preface, first)
    const receive = (wanted: (frame: Frame) => boolean): Effect.Effect<Frame> =>
      soon(
        Effect.callback<Frame>((resume) => {
          const check = (): void => {
            const found = frames.find(wanted)
            if (found !== undefined) resume(Effect.succeed(found))
            else if (socket.closed) resume(Effect.die(new Error("the connection closed without the frame")))
          }
          waiting.add(check)
          check()
          return Effect.sync(() => waiting.delete(check))
        })
      )
    return { socket, write, receive, frames, closed: soon(Deferred.await(closed)) }
  })
