import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import type { Socket } from "node:net"
import { monotonicMillis } from "../../internal/monotonic.ts"
import { makeParser } from "../HttpAnswer.ts"
import type { Options, Parser } from "../HttpAnswer.ts"

/** So much of what a connection received is kept as text. */
const maxKept = 512

/** An open connection of an attack: it counts both ways, reads answers, and knows how and when it ended. */
export class Watched {
  readonly socket: Socket
  readonly answers: Parser
  readonly #now: () => number
  readonly #openedAt: number
  readonly #watchers = new Set<() => void>()
  #ending: "closed" | "reset" | undefined
  #endedAt = 0
  receivedBytes = 0
  /** The first bytes, as Latin-1. */
  received = ""

  constructor(socket: Socket, clock: Clock.Clock, options: Options) {
    this.socket = socket
    this.#now = () => monotonicMillis(clock)
    this.#openedAt = this.#now()
    this.answers = makeParser(options)
    socket.on("data", (chunk: Buffer) => this.take(chunk))
    socket.on("end", () => this.#finish("closed"))
    socket.on("error", () => this.#finish("reset"))
    socket.on("close", () => this.#finish("closed"))
  }

  get ending(): "closed" | "reset" | "open" {
    return this.#ending ?? "open"
  }

  /** Milliseconds from the opening until the end, or until now. */
  get lived(): number {
    return (this.#ending === undefined ? this.#now() : this.#endedAt) - this.#openedAt
  }

  take(chunk: Buffer): void {
    this.receivedBytes += chunk.length
    if (this.received.length < maxKept) this.received += chunk.toString("latin1", 0, maxKept - this.received.length)
    this.answers.push(chunk)
    this.#notify()
  }

  /** Sends bytes and returns when the kernel has taken them, or the connection has ended. */
  write(bytes: string | Uint8Array): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (!this.socket.writable) return resume(Effect.void)
      this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, () => resume(Effect.void))
    })
  }

  /** Waits until `done` is true, asked after each event of the connection, or the connection has ended. */
  until(done: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const check = () => {
        if (this.#ending === undefined && !done()) return
        this.#watchers.delete(check)
        resume(Effect.void)
      }
      this.#watchers.add(check)
      check()
      return Effect.sync(() => this.#watchers.delete(check))
    })
  }

  readonly ended: Effect.Effect<void> = Effect.suspend(() => this.until(() => false))

  #finish(how: "closed" | "reset"): void {
    if (this.#ending !== undefined) return
    this.#ending = how
    this.#endedAt = this.#now()
    if (how === "closed") this.answers.end()
    this.#notify()
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
  }
}
