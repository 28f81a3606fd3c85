/** A keep-alive connection that sends prebuilt HTTP/1.1 requests one at a time: as little work per request as a client can do. */
import { connect } from "node:net"
import type { Socket } from "node:net"

export interface Target {
  readonly host: string
  readonly port: number
}

/** The status of the answer, or `0` when the connection broke before it was whole. */
export type Status = number

export class Connection {
  readonly #target: Target
  #socket: Socket | undefined
  #done: ((status: Status) => void) | undefined
  #received = ""

  constructor(target: Target) {
    this.#target = target
  }

  get busy(): boolean {
    return this.#done !== undefined
  }

  send(request: Buffer, done: (status: Status) => void): void {
    this.#done = done
    this.#received = ""
    const socket = (this.#socket ??= this.#connect())
    socket.write(request)
  }

  end(): void {
    this.#socket?.destroy()
  }

  #connect(): Socket {
    const { host, port } = this.#target
    const socket = connect({ host, port })
    socket.setNoDelay(true)
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => this.#onData(chunk))
    socket.on("error", () => {})
    socket.on("close", () => {
      this.#socket = undefined
      this.#finish(0)
    })
    return socket
  }

  #onData(chunk: string): void {
    this.#received += chunk
    const head = this.#received.indexOf("\r\n\r\n")
    if (head === -1) return
    const length = /content-length: (\d+)/i.exec(this.#received)?.[1] ?? "0"
    if (this.#received.length < head + 4 + Number(length)) return
    const status = Number(this.#received.slice(9, 12))
    if (/\r\nconnection: close/i.test(this.#received)) this.#socket?.destroy()
    this.#finish(status)
  }

  #finish(status: Status): void {
    const done = this.#done
    this.#done = undefined
    done?.(status)
  }
}
