import type { Socket } from "node:net"
import type { Resolved } from "../Target.ts"
import { AnswerParser } from "./AnswerParser.ts"
import type { Head } from "./AnswerParser.ts"
import { codeOf, connectSocket, openEvent } from "./openSocket.ts"

/** What became of a request: the status of its answer, or why there is none. */
export type Result = number | "refused" | "broken" | "malformed"

interface Pending {
  readonly method: string
  readonly done: (result: Result, code: string | undefined) => void
}

const keepsAlive = ({ fields, framing, version }: Head): boolean =>
  version === "1.1" &&
  framing !== "close" &&
  framing !== "upgrade" &&
  !fields.some(([name, value]) => name === "connection" && /\bclose\b/i.test(value))

/** A connection that sends prebuilt requests one at a time, with as little work for each as a client can do. It reconnects when it must. */
export class LoadConnection {
  readonly #target: Resolved
  readonly #keepAlive: boolean
  #socket: Socket | undefined
  #pending: Pending | undefined

  constructor(target: Resolved, keepAlive: boolean) {
    this.#target = target
    this.#keepAlive = keepAlive
  }

  send(bytes: Uint8Array, method: string, done: Pending["done"]): void {
    this.#pending = { method, done }
    this.#socket ??= this.#connect()
    this.#socket.write(bytes)
  }

  /** Goes away. A request that is in flight is not reported any more. */
  destroy(): void {
    this.#pending = undefined
    this.#drop()
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  #finish(result: Result, code?: string): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.done(result, code)
  }

  #connect(): Socket {
    const socket = connectSocket(this.#target)
    let opened = false
    let code: string | undefined
    const parser = new AnswerParser({
      methodOf: () => this.#pending?.method ?? "GET",
      onInterim: () => {},
      onHead: () => {},
      onBody: () => {},
      onAnswer: (head) => {
        if (this.#socket !== socket) return
        // An answer that nobody asked for.
        if (this.#pending === undefined || !this.#keepAlive || !keepsAlive(head)) this.#drop()
        this.#finish(head.status)
      }
    })
    const lose = () => {
      if (this.#socket !== socket) return
      this.#drop()
      this.#finish(opened ? "broken" : "refused", code)
    }
    socket.on(openEvent(this.#target), () => {
      opened = true
    })
    socket.on("data", (chunk: Buffer) => {
      parser.push(chunk)
      if (parser.malformed === undefined || this.#socket !== socket) return
      this.#drop()
      this.#finish("malformed")
    })
    socket.on("end", () => {
      parser.end()
      lose()
    })
    socket.on("error", (error) => {
      code = codeOf(error)
    })
    socket.on("close", lose)
    return socket
  }
}
