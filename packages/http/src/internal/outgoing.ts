import type { Incoming } from "./exchange.ts"
import { http } from "./nodeHttp.ts"

/** What is written of a large body at once: node's own high-water mark. */
const sliceBytes = 64 * 1024

/** A body up to this size is written as it is. */
const largeBytes = 2 * sliceBytes

/**
 * The response class given to node. It writes a large body in slices, each when the one before was taken, and lets others have their turn
 * in between. Node would encode a text whole, and copy all of it that the kernel does not take at once: a client that does not read then costs
 * more than the text; and the kernel takes megabytes, during which the event loop stands still.
 */
export class Outgoing extends http.ServerResponse<Incoming> {
  override end(body?: unknown, encoding?: unknown, callback?: unknown): this {
    const end = super.end as (body?: unknown, encoding?: unknown, callback?: unknown) => this
    if (!isLarge(body) || !this.headersSent) return end.call(this, body, encoding, callback)
    const done = typeof encoding === "function" ? encoding : callback
    new Slices(this, body, typeof encoding === "string" ? encoding : "utf8", () => end.call(this, done)).write()
    return this
  }
}

const isLarge = (body: unknown): body is string | Uint8Array =>
  (typeof body === "string" || body instanceof Uint8Array) && body.length > largeBytes

/** A body that is being written. */
class Slices {
  readonly #response: Outgoing
  readonly #body: string | Uint8Array
  readonly #encoding: BufferEncoding
  readonly #end: () => void
  #at = 0

  constructor(response: Outgoing, body: string | Uint8Array, encoding: string, end: () => void) {
    this.#response = response
    this.#body = body
    this.#encoding = encoding as BufferEncoding
    this.#end = end
  }

  write(): void {
    // The client has gone, and nobody waits any more.
    if (this.#response.destroyed) return
    if (this.#at >= this.#body.length) return this.#end()
    if (this.#response.write(this.#next(), this.#encoding)) setImmediate(writeNext, this)
    else this.#response.once("drain", () => setImmediate(writeNext, this))
  }

  #next(): string | Uint8Array {
    const from = this.#at
    let to = from + sliceBytes
    if (typeof this.#body !== "string") {
      this.#at = to
      return this.#body.subarray(from, to)
    }
    // Not between the halves of a surrogate pair.
    if ((this.#body.charCodeAt(to - 1) & 0xfc00) === 0xd800) to++
    this.#at = to
    return this.#body.slice(from, to)
  }
}

const writeNext = (slices: Slices): void => slices.write()
