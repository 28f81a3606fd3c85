import type { Server } from "node:http"
import type { Incoming } from "./exchange.ts"
import { http } from "./nodeHttp.ts"
import { encodingOf, isLarge, writeInSlices } from "./slices.ts"
import type { Large } from "./slices.ts"

/** The response class given to node. */
export class Outgoing extends http.ServerResponse<Incoming> {
  /** The whole body is known, though not written yet. */
  isWhole = false

  override end(body?: unknown, encoding?: unknown, callback?: unknown): this {
    const end = super.end as (body?: unknown, encoding?: unknown, callback?: unknown) => this
    this.isWhole = true
    // A length that is wrong is thrown where the caller can catch it, not in a later turn.
    if (!isLarge(body) || !this.headersSent || !hasDeclaredLength(this, body, encoding))
      return end.call(this, body, encoding, callback)
    const done = typeof encoding === "function" ? encoding : callback
    writeInSlices(this, body, encoding, () => end.call(this, done))
    return this
  }

  /**
   * Sends a response that is there as bytes, for a request without a body: to write a head costs more than all else about a refusal. Does
   * nothing, and returns false, unless the connection is free for it and stays open behind it.
   */
  sendBytes(status: number, bytes: Uint8Array): boolean {
    const { req, socket } = this
    const isPlain = this.shouldKeepAlive && req.httpVersionMinor === 1 && req.method !== "HEAD"
    if (!isPlain || socket === null || socket.writableLength > 0) return false
    this.statusCode = status
    ;(this as unknown as ResponseInternals)._header = "sent"
    this.finished = true
    socket.write(bytes)
    // Node's parser has to be done with the request.
    process.nextTick(emitFinish, this)
    return true
  }
}

const emitFinish = (response: Outgoing): void => void response.emit("finish")

interface ResponseInternals {
  /** What node checks a strict length against. */
  readonly _contentLength: number | null
  /** The head as it was sent: node takes it for the sign that it was. */
  _header: string | null
}

const hasDeclaredLength = (response: Outgoing, body: Large, encoding: unknown): boolean => {
  const { _contentLength: declared } = response as unknown as ResponseInternals
  if (!response.strictContentLength || declared === null) return true
  return declared === (typeof body === "string" ? Buffer.byteLength(body, encodingOf(encoding)) : body.length)
}

/** A server of node's with our classes. */
export type NodeServer = Server<typeof Incoming, typeof Outgoing>
