import * as Net from "node:net"
import { HttpAnswer } from "@spillway/http/testing"
import type { Input } from "./mutate.ts"
import type { Reading } from "./strictRequest.ts"

/** What came back on one connection, and how it ended: the server closed or reset it, or did neither in time. */
export interface Outcome {
  readonly received: Buffer
  readonly ending: "closed" | "reset" | "hung"
}

interface Running {
  readonly startedAt: number
  readonly giveUp: () => void
}

/** Plays inputs on connections of their own to one server of this machine. */
export class Player {
  readonly #port: number
  readonly #running = new Set<Running>()
  readonly #timer: NodeJS.Timeout

  /** An input that takes longer than `patienceMillis` hangs. */
  constructor(port: number, patienceMillis: number) {
    this.#port = port
    this.#timer = setInterval(() => {
      const now = performance.now()
      for (const { giveUp, startedAt } of this.#running) if (now - startedAt > patienceMillis) giveUp()
    }, 250)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { giveUp } of this.#running) giveUp()
  }

  /** Plays one input. Never rejects. */
  play(input: Input, reading: Reading): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const chunks: Array<Buffer> = []
    let done = false
    const socket = Net.connect({ port: this.#port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
    const finish = (ending: Outcome["ending"]): void => {
      if (done) return
      done = true
      this.#running.delete(running)
      socket.destroy()
      resolve({ received: Buffer.concat(chunks), ending })
    }
    const running: Running = { startedAt: performance.now(), giveUp: () => finish("hung") }
    this.#running.add(running)
    const whenAnswered = input.ending === "endAnswered" && reading.tail._tag === "Nothing"
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk)
      if (whenAnswered && isAnswered(chunks, reading)) socket.end()
    })
    socket.on("end", () => finish("closed"))
    socket.on("error", () => finish("reset"))
    socket.on("close", () => finish("reset"))
    socket.on("connect", () => {
      send(socket, input, () => {
        if (input.ending === "reset") socket.resetAndDestroy()
        else if (!whenAnswered || reading.requests.length === 0) socket.end()
      })
    })
    return promise
  }
}

/** Sends the pieces, each in a packet of its own. */
const send = (socket: Net.Socket, { bytes, cuts }: Input, whenSent: () => void): void => {
  const next = (from: number, cut: number): void => {
    if (socket.destroyed) return
    if (cut === cuts.length) {
      if (from < bytes.length) socket.write(bytes.subarray(from))
      return whenSent()
    }
    const to = cuts[cut]!
    if (to === from) return next(from, cut + 1)
    socket.write(bytes.subarray(from, to), () => setImmediate(next, to, cut + 1))
  }
  next(0, 0)
}

const isAnswered = (chunks: ReadonlyArray<Buffer>, { requests }: Reading): boolean => {
  const methods = requests.map(({ method }) => method)
  const { answers, state } = HttpAnswer.parse(Buffer.concat(chunks), { methods, keepBodies: false })
  return state !== "partial" && answers.length >= requests.length
}
