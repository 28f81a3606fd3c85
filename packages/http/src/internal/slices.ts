/** What is written of a large body at once: node's own high-water mark. */
const sliceBytes = 64 * 1024

/** A body up to this size is written as it is. */
const largeBytes = 2 * sliceBytes

export type Large = string | Uint8Array

export const isLarge = (body: unknown): body is Large =>
  (typeof body === "string" || body instanceof Uint8Array) && body.length > largeBytes

/** What a body is written to: a response of node's. */
interface Target {
  readonly destroyed: boolean
  write(chunk: Large, encoding: BufferEncoding): boolean
  once(event: "drain", listener: () => void): unknown
}

/**
 * Writes a large body in slices, each when the one before was taken, lets others have their turn in between, and then calls `end`; never
 * if the client goes away.
 *
 * Node would encode a text whole, and copy all of it that the kernel does not take at once: a client that does not read then costs more
 * than the text. And the kernel takes megabytes, during which the event loop stands still.
 */
export const writeInSlices = (target: Target, body: Large, encoding: unknown, end: () => void): void =>
  new Slices(target, body, encodingOf(encoding), end).write()

/** The encoding that `end` was given, if it was given one. */
export const encodingOf = (encoding: unknown): BufferEncoding =>
  typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8"

/** A body that is being written. */
class Slices {
  readonly #target: Target
  readonly #body: Large
  readonly #encoding: BufferEncoding
  readonly #end: () => void
  #at = 0

  constructor(target: Target, body: Large, encoding: BufferEncoding, end: () => void) {
    this.#target = target
    this.#body = body
    this.#encoding = encoding
    this.#end = end
  }

  write(): void {
    if (this.#target.destroyed) return
    if (this.#at >= this.#body.length) return this.#end()
    if (this.#target.write(this.#next(), this.#encoding)) setImmediate(writeNext, this)
    else this.#target.once("drain", () => setImmediate(writeNext, this))
  }

  #next(): Large {
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
