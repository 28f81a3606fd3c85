/**
 * A client of bytes: it sends what it is told, well-formed or not, and keeps what comes back.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import type * as Net from "node:net"
import * as HttpAnswer from "./HttpAnswer.ts"
import { openSocket } from "./internal/openSocket.ts"
import * as Targets from "./Target.ts"

/**
 * Where a server listens.
 *
 * @category models
 * @since 0.1.0
 */
export type Target = Targets.Target

/**
 * Error of a client that could not connect.
 *
 * @category errors
 * @since 0.1.0
 */
export type ConnectFailed = Targets.ConnectFailed

/**
 * How a connection ended: the server closed it, or reset it.
 *
 * @category models
 * @since 0.1.0
 */
export type Ending = "closed" | "reset"

/**
 * An open connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  /** Sends bytes and returns when the kernel has taken them, or the connection has ended. */
  readonly write: (bytes: string | Uint8Array) => Effect.Effect<void>
  /** Closes our side and goes on reading. */
  readonly end: Effect.Effect<void>
  /** Ends the connection at once with a reset. */
  readonly reset: Effect.Effect<void>
  /** What was received until now, as Latin-1. */
  readonly received: Effect.Effect<string>
  /** Waits, without limit, until the text received holds `part`, or the connection ends; returns all that was received. */
  readonly receivedUntil: (part: string) => Effect.Effect<string>
  /**
   * Waits, without limit, until so many whole answers have come, or bytes that are no answer, or the connection ends; returns all that has
   * come, parsed. `methods` are those of the requests, in their order.
   */
  readonly answers: (count: number, methods?: ReadonlyArray<string>) => Effect.Effect<HttpAnswer.Parsed>
  /** Waits, without limit, until the connection ends. */
  readonly ended: Effect.Effect<Ending>
}

/**
 * Opens a connection that ends with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (target: Targets.Input): Effect.Effect<Connection, ConnectFailed, Scope.Scope> =>
  Effect.suspend(() => Effect.map(openSocket(Targets.resolve(target)), makeConnection))

const makeConnection = (socket: Net.Socket): Connection => {
  let text = ""
  let ending: Ending | undefined
  const watchers = new Set<() => void>()
  const notify = () => {
    for (const watcher of watchers) watcher()
  }
  const finish = (how: Ending) => {
    ending ??= how
    notify()
  }
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1")
    notify()
  })
  socket.on("end", () => finish("closed"))
  socket.on("error", () => finish("reset"))
  socket.on("close", () => finish("closed"))

  const waitFor = <A>(done: () => A | undefined): Effect.Effect<A> =>
    Effect.callback<A>((resume) => {
      const check = () => {
        const value = done()
        if (value === undefined) return
        watchers.delete(check)
        resume(Effect.succeed(value))
      }
      watchers.add(check)
      check()
      return Effect.sync(() => watchers.delete(check))
    })

  return {
    write: (bytes) =>
      Effect.callback<void>((resume) => {
        if (!socket.writable) return resume(Effect.void)
        socket.write(bytes, () => resume(Effect.void))
      }),
    end: Effect.sync(() => void socket.end()),
    reset: Effect.sync(() => void socket.resetAndDestroy()),
    received: Effect.sync(() => text),
    answers: (count, methods) =>
      Effect.suspend(() => {
        const parser = HttpAnswer.makeParser({ methods })
        let at = 0
        return waitFor(() => {
          if (at < text.length) parser.push(Buffer.from(text.slice(at), "latin1"))
          at = text.length
          if (ending === "closed") parser.end()
          const parsed = parser.parsed()
          const over = ending !== undefined || parsed.malformed !== undefined || parsed.answers.length >= count
          return over ? parsed : undefined
        })
      }),
    receivedUntil: (part) => waitFor(() => (text.includes(part) || ending !== undefined ? text : undefined)),
    ended: waitFor(() => ending)
  }
}

/**
 * Sends bytes on a connection of its own and returns what comes back until the server closes it or the time is over.
 *
 * @category combinators
 * @since 0.1.0
 */
export const exchange = (
  target: Targets.Input,
  bytes: string | Uint8Array,
  options: { readonly timeoutMillis: number }
): Effect.Effect<{ readonly received: string; readonly ending: Ending | "open" }, ConnectFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connect(target)
      yield* connection.write(bytes)
      const ending = yield* Effect.timeoutOrElse(connection.ended, {
        duration: options.timeoutMillis,
        orElse: () => Effect.succeed("open" as const)
      })
      return { received: yield* connection.received, ending }
    })
  )
