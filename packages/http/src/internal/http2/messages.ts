import type { ServerHttp2Stream } from "node:http2"
import type { Exchange } from "../exchange.ts"
import { isLarge, writeInSlices } from "../slices.ts"

const { Http2ServerRequest, Http2ServerResponse } = process.getBuiltinModule("node:http2")

/** A stream has a window of 64 KiB, and a body that is waited for before its handler is no longer: all of it must find room. */
const highWaterMark = 128 * 1024

/** A request of HTTP/2, with what `Incoming` has for those of HTTP/1.1. */
export class Http2Incoming extends Http2ServerRequest {
  exchange: Exchange | undefined = undefined
  readonly handshake = undefined
  /** Bytes of the body that have come so far. */
  bytesReceived = 0
  #ended: boolean

  constructor(
    stream: ServerHttp2Stream,
    headers: ConstructorParameters<typeof Http2ServerRequest>[1],
    raw: Array<string>
  ) {
    super(stream, headers, { highWaterMark }, raw)
    this.#ended = stream.endAfterHeaders
  }

  /** Whether all of it has come. Node's own says so only when it was also read. */
  // @ts-expect-error Declared as a field; in node it is an accessor too.
  override get complete(): boolean {
    return this.#ended || this.aborted || this.stream.destroyed
  }

  override _read(size: number): void {
    if (this.exchange?.awaitsContinue === true) this.exchange.writeContinue()
    super._read(size)
  }

  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (chunk === null) this.#ended = true
    else this.bytesReceived += chunk.length
    const more = super.push(chunk, encoding)
    this.exchange?.received(chunk === null ? 0 : chunk.length, chunk === null || !more)
    return more
  }
}

/** A response of HTTP/2, with what node's own lacks beside that of HTTP/1.1. */
export class Http2Outgoing extends Http2ServerResponse {
  /** A response is the end of its stream, never of its connection. */
  get shouldKeepAlive(): boolean {
    return true
  }

  set shouldKeepAlive(_keep: boolean) {
    // Whoever closes the connection says so with a GOAWAY.
  }

  /** Nothing that is written any more reaches the client. */
  // @ts-expect-error Declared as a field; node has none.
  override get destroyed(): boolean {
    return this.stream.destroyed || this.stream.closed
  }

  /** Whether the client was sent all of it. To node a stream that was reset has finished too. */
  // @ts-expect-error Declared as a field; in node it is an accessor too.
  override get writableFinished(): boolean {
    return this.stream.writableFinished && this.stream.headersSent && !this.stream.aborted
  }

  override end(body?: unknown, encoding?: unknown, callback?: unknown): this {
    const end = super.end as (body?: unknown, encoding?: unknown, callback?: unknown) => this
    if (!isLarge(body) || !this.headersSent) return end.call(this, body, encoding, callback)
    const done = typeof encoding === "function" ? encoding : callback
    writeInSlices(this, body, encoding, () => end.call(this, done))
    return this
  }

  override writeContinue(): boolean {
    if (this.destroyed) return false
    super.writeContinue()
    return true
  }
}
