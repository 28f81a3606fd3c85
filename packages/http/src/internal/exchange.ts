import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { ServerResponse } from "node:http"
import type { Outcome } from "@spillway/runtime/AdaptiveLimit"
import type { Priority } from "../Priority.ts"
import type { Refusal, Visitor } from "../Admission.ts"
import { closeGently, keepSocket } from "./answers.ts"
import type { Connection } from "./connection.ts"
import type { Dispatcher } from "./dispatcher.ts"
import type { Expiring } from "./expiryList.ts"
import type { Handshake } from "./handshake.ts"
import type { Linked } from "./linkedList.ts"
import { http } from "./nodeHttp.ts"
import { Permit } from "./permit.ts"
import type { Fields } from "./rateLimit/fields.ts"
import { Resumption } from "./resumption.ts"

/** The request class given to node, so that what belongs to a request hangs on it and needs no look-up. */
export class Incoming extends http.IncomingMessage {
  exchange: Exchange | undefined = undefined
  handshake: Handshake | undefined = undefined

  /** Node calls it when somebody begins to read the body. */
  override _read(size: number): void {
    if (this.exchange?.awaitsContinue === true) this.exchange.writeContinue()
    super._read(size)
  }

  /** Node calls it with each part of the body, and with `null` at its end. */
  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    const more = super.push(chunk, encoding)
    this.exchange?.received(chunk === null ? 0 : chunk.length, chunk === null || !more)
    return more
  }

  /** Readers destroy the body when they are interrupted. Node destroys the socket with it, and no answer could be sent any more. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.complete || this.exchange?.abandonBody() !== true) super._destroy(error, callback)
    else callback()
  }
}

/** What the handler of a request is told, and tells, about its time. */
export interface Guarded {
  /** The deadline that the handler sees, in monotonic milliseconds. */
  readonly deadline: number
  /** The deadline passed before the handler was done. */
  readonly expired: boolean
  /** The deadline is its client's own, earlier than that of the server. */
  readonly impatient: boolean
  /** The client sent its body too slowly, and the handler was interrupted for it. */
  readonly bodyTimedOut: boolean
  /** What its client is told of its quota, if the server limits it. */
  readonly quota: Fields | undefined
  /** The status of what the handler answered; 0 before, and if it was interrupted. */
  status: number
  /** The pattern of the route, known once the handler is done. */
  route: string
  /** The handler begins, on this fiber. */
  handlerBegan(fiber: Fiber.Fiber<unknown, unknown>): void
  /** The handler has produced its response. One that `streams` may still read the request's body. */
  answers(streams: boolean): void
  /** The handler has produced its response, or failed, and its finalizers have run. */
  handlerEnded(): void
}

/** What is known of a request by its head, before anything is spent on it. */
export interface Standing {
  /** It passes outside the door. */
  exempt: boolean
  priority: Priority
  partition: number
}

/** What belongs to a request that came through our own server; `undefined` on any other server. */
export const guardedOf = (request: HttpServerRequest): Guarded | undefined =>
  exchangeOf(request) ?? (request.source instanceof Incoming ? request.source.handshake : undefined)

/** The same, for requests that have a response of node's: not for handshakes. */
export const exchangeOf = ({ source }: HttpServerRequest): Exchange | undefined => {
  const { exchange } = source as Partial<Incoming>
  return exchange instanceof Exchange ? exchange : undefined
}

// Node's own word for "a reader waits", which has no public name.
interface ReadableInternals {
  readonly _readableState: { readonly needReadable: boolean }
}

/** What node's parser says of it, where it says it. */
const cutOff = Object.assign(new Error("the body ended too early"), { code: "HPE_INVALID_EOF_STATE" })

/**
 * What the door learns from a request: an answer of our own fault, or a late one, is not what a permit is for. A 503 says nothing: what
 * refuses so, as a `Bulkhead` does, has a limit of its own.
 */
export const outcomeOf = (
  { bodyTimedOut, expired, impatient, status }: Guarded,
  isGone: boolean
): Outcome | "abandoned" => {
  if (expired && !impatient) return "dropped"
  // A client says how long it waits as it likes: one that waits for nearly nothing must not make the server look slow.
  if (expired || isGone) return "abandoned"
  if (bodyTimedOut || status === 503 || status === 0) return "ignored"
  return status >= 500 ? "dropped" : "success"
}

const park = (exchange: Exchange): void => exchange.park()

/** The time of what has not happened. */
const never = -1

/** One request and its response, from the arrival of the headers to the last byte sent. It owns the permit of the door. */
export class Exchange implements Visitor, Expiring, Guarded, Standing {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  /** The deadline, in monotonic milliseconds. */
  dueAt = Infinity
  readonly host: Dispatcher
  readonly request: Incoming
  readonly response: ServerResponse
  readonly connection: Connection
  readonly arrivedAt: number
  route = ""
  priority: Priority = "normal"
  partition = 0
  expired = false
  impatient = false
  bodyTimedOut = false
  quota: Fields | undefined = undefined
  status = 0
  /** The client waits for `100 Continue` before it sends the body. */
  awaitsContinue = false
  /** It passes outside the door. */
  exempt = false
  /** It has a body, or may have one. */
  hasBody = true
  /** Its body is small enough to be waited for before the handler starts. */
  awaitsSmallBody = false
  /** What reads the body and can be told that the client is too slow. */
  reader: { expire(): void } | undefined = undefined
  readonly #permit: Permit
  #paused = false
  /** It has no place at the door, and waits for word of its client. */
  #aside = false
  /** It was admitted, and starts when its body has come; since when it waits for that without a permit. */
  #arriving = false
  #parkedAt = never
  /** What it has of the budget for bodies that are waited for. */
  #buffered = 0
  #entered = false
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(
    host: Dispatcher,
    request: Incoming,
    response: ServerResponse,
    connection: Connection,
    arrivedAt: number
  ) {
    this.host = host
    this.request = request
    this.response = response
    this.connection = connection
    this.arrivedAt = arrivedAt
    this.#permit = new Permit(host.door, this)
  }

  get deadline(): number {
    return this.dueAt
  }

  /** Knocks at the door, or goes around it. */
  enterDoor(now: number = this.host.now()): void {
    if (this.exempt) this.host.start(this)
    else this.#permit.ask(now)
  }

  /**
   * The client has closed its side. If it is gone, a handler that starts now works for nobody: one that waits at the door loses its place
   * until more is known.
   */
  stepAside(): void {
    this.#aside = this.#permit.cancel()
  }

  /** The client did not answer with a reset, so that it may wait for the answer. */
  stepBack(): void {
    if (!this.#aside) return
    this.#aside = false
    this.#permit.ask(this.host.now())
  }

  admitted(now: number): void {
    this.#permit.granted(now)
    if (now >= this.dueAt) return this.#giveUp(() => this.host.refuse(this, "WaitExceeded"))
    if (this.#parkedAt === never && this.awaitsSmallBody && !this.request.complete) {
      this.#arriving = true
      // Nearly always the body comes in the same packet, or in the next one, which the kernel has already.
      setImmediate(park, this)
    } else {
      this.#unpark()
      this.host.start(this)
    }
  }

  /** The body did not come with the head. Until it is there the request has neither a fiber nor a permit. */
  park(): void {
    if (!this.#arriving || this.response.destroyed) return
    this.#parkedAt = this.host.now()
    this.#permit.release()
    this.received(this.request.readableLength, false)
  }

  /** Bytes of the body have come. `enough`: all of it, or as much as is buffered for a reader. */
  received(bytes: number, enough: boolean): void {
    if (!this.#arriving) return
    const parked = this.#parkedAt !== never
    if (parked && !this.host.bodyBudget.take(bytes)) {
      this.response.shouldKeepAlive = false
      return this.#giveUp(() => this.host.refuse(this, "QueueFull"))
    }
    if (parked) this.#buffered += bytes
    if (!enough) return
    this.#arriving = false
    if (parked) this.#permit.askAgain()
    else this.host.start(this)
  }

  #unpark(): void {
    this.host.bodyBudget.give(this.#buffered)
    this.#buffered = 0
  }

  /** Answers it without its handler, which has not started. */
  #giveUp(answer: () => void): void {
    this.#arriving = this.#aside = false
    if (!this.#permit.cancel()) this.#permit.release()
    this.#unpark()
    answer()
  }

  refused(reason: Refusal, signal?: string): void {
    this.#permit.denied()
    this.#unpark()
    this.host.refuse(this, reason, signal)
  }

  handlerBegan(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.#entered = true
    this.#fiber = fiber
    if (this.expired) fiber.interruptUnsafe(fiber.id)
  }

  answers(streams: boolean): void {
    const { request, response } = this
    if (request.complete || response.headersSent) return
    // What streams may read the body as it goes, and by then the head is written: too late for the word that the client waits for.
    if (streams && this.awaitsContinue) this.writeContinue()
    // A body that nobody asked for may come or not. A chunked one may be of any length.
    if (!this.awaitsContinue && (streams || !("transfer-encoding" in request.headers))) return
    response.shouldKeepAlive = false
    if (!streams) closeGently(request, response, () => this.connection.close())
  }

  handlerEnded(): void {
    this.#fiber = undefined
    this.#leave()
  }

  writeContinue(): void {
    this.awaitsContinue = false
    if (!this.response.headersSent) this.response.writeContinue()
  }

  /** The client closed its side in the middle of the body. */
  cutOff(): void {
    this.host.onClientError(cutOff, this.connection.socket)
  }

  /** Whether a reader waits for bytes of the body, so that a pause is the client's. */
  get awaitsBody(): boolean {
    if (this.#arriving) return true
    const { request } = this
    if (request.readableLength > 0) return false
    return request.readableFlowing === true || (request as unknown as ReadableInternals)._readableState.needReadable
  }

  /** The client sends its body more slowly than it may. */
  bodyTooSlow(): void {
    // The answer was sent, and only the rest of the body was awaited.
    if (this.response.headersSent) return this.connection.cut(this)
    if (this.#arriving) return this.#giveUp(() => this.host.refuseSlowBody(this))
    if (this.reader !== undefined) return this.reader.expire()
    const fiber = this.#fiber
    if (fiber === undefined) return
    this.bodyTimedOut = true
    fiber.interruptUnsafe(fiber.id)
  }

  /** The server has drained for long enough: a request whose body has not come by now is not waited for. */
  refuseParked(): void {
    if (this.#arriving || (this.#permit.waits && this.#parkedAt !== never)) {
      this.#giveUp(() => this.host.refuseDraining(this))
    }
  }

  /** Looks whether a body that is waited for without a handler takes too long. */
  checkBody(): void {
    if (!this.#arriving || this.#parkedAt === never) return
    if (this.host.now() - this.#parkedAt >= this.host.options.bodyTimeout) this.bodyTooSlow()
  }

  /** Gives the rest of the body up but keeps the connection for the answer, if that can still be sent. */
  abandonBody(): boolean {
    const { connection, response } = this
    if (response.headersSent || response.destroyed || connection.socket.destroyed) return false
    response.shouldKeepAlive = false
    closeGently(this.request, response, () => connection.close())
    return true
  }

  /**
   * Sends an interim response, to which the kernel of a client that has gone answers with a reset. Returns false if the protocol has none.
   */
  probe(): boolean {
    const { request, response } = this
    if (response.headersSent) return true
    if (request.httpVersionMinor === 0) return false
    // A pipelined request whose turn has not come has no socket yet.
    if (response.socket !== null) response.writeContinue()
    return true
  }

  /** The deadline has passed. */
  expire(): void {
    this.expired = true
    if (this.#arriving) return this.bodyTooSlow()
    if (this.#permit.waits || this.#aside) return this.#giveUp(() => this.host.refuse(this, "WaitExceeded"))
    const fiber = this.#fiber
    if (fiber !== undefined) fiber.interruptUnsafe(fiber.id)
  }

  /** The response was sent, or the client is gone. */
  closed(now: number): void {
    this.#permit.cancel()
    this.#arriving = this.#aside = false
    this.#unpark()
    // A handler that began keeps its permit until it has ended: it may still be at work.
    if (!this.#entered) this.#leave()
    this.connection.ended(this, now)
  }

  /** Closes the connection once this response was sent: with a refusal of what came behind it, if the client was told that it stays open. */
  closeAfter(refusal: Uint8Array | undefined): void {
    const { connection, response } = this
    if (!response.headersSent) response.shouldKeepAlive = false
    keepSocket(response)
    response.once("close", () => connection.close(response.shouldKeepAlive ? refusal : undefined))
  }

  #leave(): void {
    this.host.deadlines.remove(this)
    this.connection.left(this)
    this.#permit.leave(this.host.now(), outcomeOf(this, this.response.destroyed))
  }

  /** Gives the permit up while the handler only waits for the client. */
  pausePermit(): void {
    if (this.#permit.pause(this.host.now())) this.#paused = true
  }

  /** Takes a permit again after `pausePermit`: waits for one, ahead of new requests, as long as the deadline allows. */
  regainPermit(): Effect.Effect<void> {
    if (!this.#paused) return Effect.void
    this.#paused = false
    return Effect.callback<void>((resume) => {
      const ticket = this.host.door.resume(new Resumption(this, resume))
      return ticket === undefined ? undefined : Effect.sync(() => this.host.door.cancel(ticket))
    })
  }

  hold(now: number): void {
    this.#permit.granted(now)
  }
}
