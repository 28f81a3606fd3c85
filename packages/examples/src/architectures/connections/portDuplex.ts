/**
 * A connection on the other side of a `MessagePort`: node can not hand a socket to another thread, so the thread that accepted it carries
 * its bytes. `carry` is the side with the socket, `PortDuplex` the side that handles.
 *
 * In each direction one piece is under way at a time, and the next is read when the other side says that it has taken it: who reads slowly
 * is waited for, and nothing piles up.
 */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import type { MessagePort } from "node:worker_threads"

/** Bytes, or a word: the last piece has been taken, or no more will come. */
type Message = Uint8Array | "taken" | "end"

const isBytes = (message: Message): message is Uint8Array => typeof message !== "string"

/** The connection, for the thread that handles it. It ends with the port, and the port with it. */
export class PortDuplex extends Duplex {
  readonly #port: MessagePort
  #taken: ((error?: Error | null) => void) | undefined
  #owed = false

  constructor(port: MessagePort) {
    super()
    this.#port = port
    port.on("message", (message: Message) => this.#receive(message))
    port.on("close", () => this.destroy())
  }

  #receive(message: Message): void {
    if (message === "taken") this.#settle()
    else if (message === "end") this.push(null)
    else if (this.push(Buffer.from(message.buffer, message.byteOffset, message.byteLength)))
      this.#port.postMessage("taken")
    else this.#owed = true
  }

  #settle(error?: Error | null): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.(error)
  }

  override _read(): void {
    if (!this.#owed) return
    this.#owed = false
    this.#port.postMessage("taken")
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#taken = done
    this.#port.postMessage(chunk)
  }

  override _final(done: () => void): void {
    this.#port.postMessage("end")
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#port.close()
    this.#settle(error ?? new Error("the connection was closed"))
    done(error)
  }

  /** What node's server calls after the last response on a connection, as of a socket: nothing that the client sends is waited for. */
  destroySoon(): void {
    if (this.writableFinished) this.destroy()
    else this.end(() => this.destroy())
  }
}

/** Carries the bytes of a socket until it closes. A client that takes none of them for `timeout` milliseconds is hung up on. */
export const carry = (socket: Socket, port: MessagePort, timeout: number): void => {
  socket.on("data", (bytes) => {
    socket.pause()
    port.postMessage(bytes)
  })
  socket.on("end", () => port.postMessage("end"))
  socket.on("close", () => port.close())
  socket.on("timeout", () => socket.destroy())
  // What became of the connection is what its closing says.
  socket.on("error", () => {})
  port.on("close", () => socket.destroySoon())
  port.on("message", (message: Message) => {
    if (isBytes(message)) {
      socket.setTimeout(timeout)
      socket.write(message, () => {
        socket.setTimeout(0)
        port.postMessage("taken")
      })
    } else if (message === "taken") socket.resume()
    else socket.end()
  })
  socket.resume()
}
