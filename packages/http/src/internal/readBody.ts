import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as ByteSize from "effect/ByteSize"
import type * as JsonBody from "../JsonBody.ts"
import { exchangeOf } from "./exchange.ts"
import type { Exchange, Incoming } from "./exchange.ts"
import type { Expiring } from "./expiryList.ts"
import type { Linked } from "./linkedList.ts"

type Failure = Extract<JsonBody.Reason, { readonly _tag: "TooLarge" | "TimedOut" | "Incomplete" | "Overloaded" }>

/**
 * Reads the whole body of a request.
 *
 * On our own server it reads from node directly, for three reasons: a reader of `@effect/platform-node` that is interrupted destroys
 * the socket, so that no 408 could be sent; the permit of the door is given up while a slow sender is waited for; and a body that
 * came with its head costs no timer. On any other server it is Effect's own reader.
 */
export const readBody = (
  request: HttpServerRequest,
  maxBytes: number,
  timeout: Duration.Duration | undefined
): Effect.Effect<Uint8Array, Failure> => {
  const exchange = exchangeOf(request)
  const read = exchange === undefined ? readForeign(request, maxBytes) : readOwn(exchange, maxBytes)
  return timeout === undefined
    ? read
    : Effect.timeoutOrElse(read, {
        duration: timeout,
        orElse: () => Effect.fail<Failure>({ _tag: "TimedOut", timeout })
      })
}

const readForeign = (request: HttpServerRequest, maxBytes: number): Effect.Effect<Uint8Array, Failure> =>
  request.arrayBuffer.pipe(
    Effect.provideService(
      HttpIncomingMessage.MaxBodySize,
      Number.isFinite(maxBytes) ? ByteSize.bytes(maxBytes) : undefined
    ),
    Effect.map((buffer) => new Uint8Array(buffer)),
    Effect.mapError(({ reason }): Failure =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
        ? { _tag: "TooLarge", limit: maxBytes }
        : { _tag: "Incomplete" }
    )
  )

const readOwn = (exchange: Exchange, maxBytes: number): Effect.Effect<Uint8Array, Failure> =>
  Effect.flatMap(
    Effect.callback<Uint8Array, Failure>((resume) => {
      const { request } = exchange
      if (request.readableEnded || request.destroyed) return resume(Effect.fail({ _tag: "Incomplete" }))
      if (request.complete) return resume(readWhole(request, maxBytes))
      const read = new BodyRead(exchange, maxBytes, resume)
      return Effect.sync(() => {
        read.detach()
        request.pause()
      })
    }),
    // However the wait ended, the handler goes on only with a permit.
    (bytes) => Effect.as(exchange.regainPermit(), bytes)
  )

/** Reads a body that has arrived. */
const readWhole = (request: Incoming, maxBytes: number): Effect.Effect<Uint8Array, Failure> => {
  if (request.readableLength > maxBytes) return Effect.fail({ _tag: "TooLarge", limit: maxBytes })
  const body = request.read() as Buffer | null
  return Effect.succeed(body ?? Buffer.alloc(0))
}

/** A body that is being read. */
class BodyRead implements Expiring {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = 0
  readonly #exchange: Exchange
  readonly #maxBytes: number
  readonly #resume: (effect: Effect.Effect<Uint8Array, Failure>) => void
  readonly #chunks: Array<Buffer> = []
  #bytes = 0
  /** What it has of the budget for bodies that are waited for. */
  #taken = 0
  #waits = false
  #done = false

  constructor(exchange: Exchange, maxBytes: number, resume: (effect: Effect.Effect<Uint8Array, Failure>) => void) {
    this.#exchange = exchange
    this.#maxBytes = maxBytes
    this.#resume = resume
    exchange.reader = this
    exchange.request.on("data", this.#onData).on("end", this.#onEnd).on("close", this.#onClose)
    // Node hands the request over before it parses the body that came in the same packet: only a turn later is it known whether
    // the client is still to be waited for.
    setImmediate(waitForRest, this)
  }

  /** The body did not come with the head: from now on the handler waits for the client, not for us. */
  waitForRest(): void {
    if (this.#done || this.#exchange.request.complete) return
    this.#waits = true
    // Without a permit the door no longer bounds how many there are of it.
    if (!this.#take(this.#bytes)) return this.#fail({ _tag: "Overloaded" })
    this.#exchange.pausePermit()
    this.#exchange.host.bodies.add(this, this.#exchange.host.now())
  }

  expire(): void {
    this.#fail({ _tag: "TimedOut", timeout: Duration.millis(this.#exchange.host.options.bodyTimeout) })
  }

  detach(): void {
    this.#done = true
    this.#exchange.reader = undefined
    this.#exchange.host.bodyBudget.give(this.#taken)
    this.#taken = 0
    this.#exchange.host.bodies.remove(this)
    this.#exchange.request.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose)
  }

  #take(bytes: number): boolean {
    if (!this.#exchange.host.bodyBudget.take(bytes)) return false
    this.#taken += bytes
    return true
  }

  #fail(failure: Failure): void {
    this.detach()
    this.#chunks.length = 0
    // The rest is left unread, and the connection closes after the answer.
    this.#exchange.request.pause()
    this.#resume(Effect.andThen(this.#exchange.regainPermit(), Effect.fail(failure)))
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) return this.#fail({ _tag: "TooLarge", limit: this.#maxBytes })
    if (this.#waits && !this.#take(chunk.length)) return this.#fail({ _tag: "Overloaded" })
    this.#chunks.push(chunk)
  }

  readonly #onEnd = (): void => {
    this.detach()
    const chunks = this.#chunks
    this.#resume(Effect.succeed(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, this.#bytes)))
  }

  readonly #onClose = (): void => {
    this.#fail({ _tag: "Incomplete" })
  }
}

const waitForRest = (read: BodyRead): void => read.waitForRest()
