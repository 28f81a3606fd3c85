import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as Admission from "../Admission.ts"
import * as LoopPace from "../LoopPace.ts"
import type { Refusal } from "../Admission.ts"
import type { Resolved } from "../ServerConfig.ts"
import * as answers from "./answers.ts"
import { BodyBudget } from "./bodyBudget.ts"
import type { Connection } from "./connection.ts"
import { Connections } from "./connections.ts"
import { remainingOf } from "./deadlineFields.ts"
import { Deadlines } from "./deadlines.ts"
import { Exchange } from "./exchange.ts"
import type { Incoming, Standing } from "./exchange.ts"
import { ExpiryList } from "./expiryList.ts"
import { acceptHandOver, Handshake, refuseHandshake, refusalOfHandshake, unjudged } from "./handshake.ts"
import { ignoredUpgrade, mayHaveLostBytes, readHead, refusalOf } from "./head.ts"
import { Outgoing } from "./outgoing.ts"
import { stageOf } from "./rateLimit/stage.ts"
import type { RateLimitStage } from "./rateLimit/stage.ts"
import type { Recorder } from "./recorder.ts"
import { RefusalPace } from "./refusalPace.ts"
import { WebSockets } from "./webSockets.ts"

export type UpgradeHandler = (request: Incoming, socket: Duplex, head: Buffer) => void
export type Handler = (request: Incoming, response: ServerResponse) => void

/** The way of a request from node's events to the handler: everything before a fiber exists, and everything after it. */
export class Dispatcher {
  readonly options: Resolved
  readonly now: () => number
  readonly recorder: Recorder
  /** The stage before the door, if the server has a limit of its own. */
  readonly rateLimit: RateLimitStage | undefined
  readonly door: Admission.Admission
  readonly connections: Connections
  /** Of requests whose handlers are not done. */
  readonly deadlines: Deadlines
  /** Bodies that a handler waits for. */
  readonly bodies: ExpiryList
  readonly bodyBudget: BodyBudget
  readonly webSockets: WebSockets
  readonly refusalPace: RefusalPace
  /** The adapter's handler, once the server serves. */
  handler: Handler | undefined = undefined
  /** The adapter's handler of WebSocket handshakes, once the server serves. */
  upgradeHandler: UpgradeHandler | undefined = undefined
  /** The bytes of refusals, by their `Retry-After`. */
  readonly #refusals = new Map<answers.Answer, Array<Buffer>>()
  #announcing = false

  constructor(
    options: Resolved,
    now: () => number,
    recorder: Recorder,
    more: Pick<Admission.Options, "budget" | "limit" | "signals"> = {}
  ) {
    this.options = options
    this.now = now
    this.recorder = recorder
    this.rateLimit = stageOf(options, recorder.context)
    this.door = Admission.make({
      maxConcurrent: options.maxConcurrent,
      maxQueued: options.maxQueued,
      // Waiting spends the deadline: one that can not make it any more is refused at the door, not started.
      maxWait: Math.min(options.maxQueueWait, options.requestDeadline),
      now,
      codel: sheddingOf(options),
      pace: paceOf(options),
      partitions: options.classes.shares,
      ...more
    })
    this.connections = new Connections(options, now, recorder)
    this.deadlines = new Deadlines(options.requestDeadline)
    this.bodies = new ExpiryList(options.bodyTimeout)
    this.bodyBudget = new BodyBudget(options.maxBufferedBodies)
    this.refusalPace = new RefusalPace(options.trustedProxies, options.maxRefusalRate)
    this.webSockets = new WebSockets(options, now, recorder.context)
  }

  readonly onRequest = (request: Incoming, response: ServerResponse): void => this.#begin(request, response, false)

  // Node looks for the word anywhere in the field.
  readonly onCheckContinue = (request: Incoming, response: ServerResponse): void =>
    request.headers.expect!.toLowerCase() === "100-continue"
      ? this.#begin(request, response, true)
      : this.onCheckExpectation(request, response)

  /** RFC 9110 section 10.1.1: an expectation that cannot be met. */
  readonly onCheckExpectation = (request: Incoming, response: ServerResponse): void =>
    this.#begin(request, response, false, answers.expectationFailed)

  #begin(
    request: Incoming,
    response: ServerResponse,
    awaitsContinue: boolean,
    expectation?: answers.HeadRefusal
  ): void {
    const head = readHead(request)
    const connection = this.connections.all.get(request.socket)
    // RFC 9112 section 9.6: nothing that follows a `Connection: close` of ours may be processed.
    if (connection === undefined || connection.closing || !this.#reopen(connection.exchange)) return
    const exchange = new Exchange(this, request, response, connection, this.now())
    exchange.awaitsContinue = awaitsContinue
    exchange.hasBody = head > 0 || "transfer-encoding" in request.headers
    exchange.awaitsSmallBody = !awaitsContinue && head > 0 && head <= this.options.maxAwaitedBody
    request.exchange = exchange
    connection.began(exchange)
    response.on("close", onClose)
    announceKeepAlive(response, this.options.keepAliveTimeout)
    if (this.#announcing || connection.reserved) response.shouldKeepAlive = false
    if (head === ignoredUpgrade && mayHaveLostBytes(request, connection.headBytes)) {
      response.shouldKeepAlive = false
      connection.closing = true
    }
    this.admit(exchange, refusalOf(request, head, this.options) ?? expectation)
  }

  /** Begins a request whose head has been read: it pays for itself and goes to the door, or around both, or is turned away. */
  admit(exchange: Exchange, refusal: answers.HeadRefusal | undefined): void {
    const { connection, request } = exchange
    if (refusal !== undefined) return this.#reject(exchange, refusal)
    if (this.handler === undefined) return this.#answer(exchange, answers.starting, "Starting", 1)
    if (!this.#judge(exempt, request, exchange)) return this.#fail(exchange)
    if (!exchange.exempt) {
      if (connection.reserved) return this.refuse(exchange, "ConnectionLimit")
      if (this.rateLimit?.admits(exchange) === false) return
      if (!this.#judge(classify, request, exchange)) return this.#fail(exchange)
    }
    exchange.impatient = this.deadlines.add(exchange, exchange.arrivedAt, remainingOf(request.headers))
    if (!connection.admit(exchange)) this.refuse(exchange, "QueueFull")
  }

  /** Judges a request by its head. The functions for that are not ours: says whether none of them threw, which nobody above could answer for. */
  #judge(judge: Judge, request: Incoming, standing: Standing): boolean {
    try {
      judge(this.options, request, standing)
      return true
    } catch (defect) {
      // It ends when it is logged.
      Effect.runForkWith(this.recorder.context)(Effect.logError("an option that judges requests failed", defect))
      return false
    }
  }

  /** A WebSocket handshake. Node has given the socket up: the answer ends the connection, unless it upgrades it. */
  readonly onUpgrade = (request: Incoming, socket: Duplex, head: Buffer): void => {
    const connection = this.connections.all.get(request.socket)
    if (connection === undefined) return void socket.destroy()
    acceptHandOver(socket)
    const refusal = refusalOfHandshake(this, request, connection)
    if (connection.closing || this.#closeBehindOthers(connection, refusal?.bytes ?? answers.malformed)) return
    if (refusal !== undefined) return refuseHandshake(this, connection, refusal)
    const now = this.now()
    const handshake = new Handshake(this, request, connection, head)
    if (!this.#judge(exempt, request, handshake)) return handshake.turnAway(unjudged)
    const verdict = handshake.exempt ? undefined : this.rateLimit?.judgeHandshake(request, now)
    if (verdict !== undefined && Result.isFailure(verdict)) return handshake.turnAway(verdict.failure)
    handshake.quota = verdict?.success
    if (!handshake.exempt && !this.#judge(classify, request, handshake)) return handshake.turnAway(unjudged)
    handshake.enterDoor(now)
  }

  /** A `CONNECT`. Node has given the socket up. */
  readonly onConnect = (request: Incoming, socket: Duplex): void => {
    const connection = this.connections.all.get(request.socket)
    if (connection === undefined) return void socket.destroy()
    acceptHandOver(socket)
    const refusal = refusalOf(request, readHead(request), this.options)
    const bytes = refusal === undefined ? answers.noTunnel : answers.toBytes(refusal.answer)
    if (!this.#closeBehindOthers(connection, bytes)) connection.close(bytes)
  }

  /** What can not be answered came behind requests that can: they are answered, and then the connection ends. */
  #closeBehindOthers(connection: Connection, refusal: Uint8Array | undefined): boolean {
    const { exchange } = connection
    if (exchange === undefined) return false
    connection.closing = true
    exchange.closeAfter(refusal)
    return true
  }

  /**
   * A pipelined request came while an earlier one, which was told to close the connection, is in flight. Unless its headers have gone
   * out it leaves that to the newer one. Says whether the newer one can be answered.
   */
  #reopen(earlier: Exchange | undefined): boolean {
    if (earlier === undefined || earlier.response.shouldKeepAlive) return true
    if (earlier.response.headersSent) return false
    if (this.#announcing) earlier.response.shouldKeepAlive = true
    return true
  }

  /** Hands a request over to its fiber. */
  start(exchange: Exchange): void {
    const { request, response } = exchange
    // The client has gone this very moment: `closed` gives the permit back.
    if (response.destroyed) return
    exchange.connection.refusedInRow = 0
    this.handler!(request, response)
  }

  refuseDraining(exchange: Exchange): void {
    this.deadlines.remove(exchange)
    exchange.response.shouldKeepAlive = false
    this.#answer(exchange, answers.draining, "Draining", 1)
  }

  refuseSlowBody(exchange: Exchange): void {
    this.deadlines.remove(exchange)
    exchange.response.shouldKeepAlive = false
    this.#answer(exchange, answers.slowBody, "RequestTimeout", 0)
  }

  refuse(exchange: Exchange, reason: Refusal | "ConnectionLimit", signal?: string): void {
    this.deadlines.remove(exchange)
    const answer = answers.overloaded(reason, signal)
    const retryAfter = this.door.retryAfterSeconds()
    this.refusalPace.refused(exchange, this.now())
    if (exchange.hasBody || !this.#sendBytes(exchange.response, answer, retryAfter)) {
      return this.#answer(exchange, answer, signal ?? reason, retryAfter)
    }
    this.recorder.refused(signal ?? reason)
  }

  /** Sends a refusal whose bytes were made before. Says whether it could. */
  #sendBytes(response: ServerResponse, answer: answers.Answer, retryAfter: number): boolean {
    if (!(response instanceof Outgoing)) return false
    let ready = this.#refusals.get(answer)
    if (ready === undefined) this.#refusals.set(answer, (ready = []))
    const bytes = (ready[retryAfter] ??= answers.toKeptBytes(answer, retryAfter, this.options.keepAliveTimeout / 1000))
    return response.sendBytes(answer.status, bytes)
  }

  #fail(exchange: Exchange): void {
    this.#answer(exchange, answers.failed, "Failed", 0)
  }

  #reject(exchange: Exchange, { answer, closes, reason }: answers.HeadRefusal): void {
    if (closes) exchange.response.shouldKeepAlive = false
    this.#answer(exchange, answer, reason, 0)
  }

  #answer(
    exchange: Exchange,
    answer: answers.Answer,
    reason: Parameters<Recorder["refused"]>[0],
    retryAfter: number
  ): void {
    this.recorder.refused(reason)
    const { awaitsContinue, connection, request, response } = exchange
    answers.send(answer, request, response, { awaitsContinue, retryAfter, close: () => connection.close() })
  }

  /** From now on every response closes its connection, those in flight included whose headers have not gone out. */
  announceClose(): void {
    this.#announcing = true
    for (const { exchanges } of this.connections.all.values()) {
      for (const { response } of exchanges) if (!response.headersSent) response.shouldKeepAlive = false
    }
  }

  /** Turns away those whose handlers have not started, because their bodies have not come. */
  refuseParked(): void {
    for (const { exchanges } of this.connections.all.values()) {
      for (const exchange of exchanges) exchange.refuseParked()
    }
  }

  /** What enforces the timeouts: to be forked in the scope of the server. */
  get alarms(): ReadonlyArray<Effect.Effect<never>> {
    const { bodies, connections, deadlines, door, refusalPace, webSockets } = this
    const lists = [bodies, refusalPace.held, webSockets.pings, webSockets.closes]
    return [door.expire, ...deadlines.alarms, ...lists.map(({ alarm }) => alarm.run), ...connections.alarms]
  }

  /** The body of a pipelined request can not be read: it is refused when its turn comes. */
  #rejectBehindOthers(exchange: Exchange): void {
    const { connection } = exchange
    connection.closing = true
    if (connection.release(exchange)) this.#reject(exchange, answers.badRequest)
    else exchange.closeAfter(undefined)
  }

  /** Node could not parse what a connection sent, or it took too long. */
  readonly onClientError = (error: ParseError, socket: Socket): void => {
    const connection = this.connections.all.get(socket)
    if (connection === undefined) return void socket.destroy()
    const { exchange } = connection
    // More of what could not be read before. To destroy the socket for it would send a reset, which can overtake the answer.
    if (connection.closing && (exchange === undefined || exchange.request.complete)) return
    if (!socket.writable) return void socket.destroy()
    // It is answered already: a second answer would be taken for that of the next request.
    if (exchange === undefined && connection.owesBody) return connection.close()
    const [bytes, reason] = lastAnswer(error, connection, this.options.maxHeaderSize)
    if (exchange !== undefined) {
      if (exchange.request.complete) return void this.#closeBehindOthers(connection, bytes)
      // The answer is under way already: what could not be read was not needed for it.
      if ((exchange.response as Outgoing).isWhole) return void this.#closeBehindOthers(connection, undefined)
      if (exchange.response.headersSent) return void socket.destroy()
      if (connection.inFlight > 1) return this.#rejectBehindOthers(exchange)
    }
    this.recorder.refused(reason)
    connection.close(bytes)
  }
}

type Judge = (options: Resolved, request: Incoming, standing: Standing) => void

const exempt: Judge = (options, request, standing) => {
  standing.exempt = options.exempt(request)
}

/** After the rate limit: to find the route of a request costs more than to refuse it. */
const classify: Judge = ({ classes }, request, standing) => {
  standing.priority = classes.priority(request)
  standing.partition = classes.partition(request)
}

/** A queue that is not longer than the work itself takes is no overload, as long as it is far from the longest wait. */
const sheddingOf = ({ maxQueueWait, queueInterval, queueTarget }: Resolved): Admission.Options["codel"] =>
  queueTarget === Infinity
    ? undefined
    : { target: queueTarget, interval: queueInterval, maxTarget: maxQueueWait === Infinity ? 100 : maxQueueWait / 10 }

/** It is for the loop of this thread. */
const paceOf = ({ queueTarget }: Resolved): LoopPace.LoopPace | undefined =>
  queueTarget === Infinity
    ? undefined
    : LoopPace.make({ target: queueTarget, busyTime: () => performance.eventLoopUtilization().active })

/** What node says of bytes that it could not parse. */
interface ParseError extends Error {
  readonly code?: string
  /** The packet in which it happened. */
  readonly rawPacket?: Buffer
}

const lastAnswer = (
  { code, rawPacket }: ParseError,
  { exchange, headBytes }: Connection,
  maxHeaderSize: number
): readonly [Uint8Array, answers.HeadRefusal["reason"]] => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW": {
      // With all of the head in this packet, it can be seen whether the request line alone is too long.
      const line = rawPacket === undefined || rawPacket.length < headBytes ? 0 : rawPacket.indexOf("\n")
      const isTarget = line === -1 || line > maxHeaderSize
      return isTarget ? [answers.targetTooLong, "TargetTooLong"] : [answers.headersTooLarge, "HeadersTooLarge"]
    }
    case "HPE_INVALID_EOF_STATE":
      return exchange !== undefined ? [answers.incomplete, "RequestTimeout"] : [answers.malformed, "MalformedRequest"]
    default:
      return [answers.malformed, "MalformedRequest"]
  }
}

function onClose(this: ServerResponse): void {
  closed(this)
}

/** A response was sent, or its client has gone. */
export const closed = ({ req }: ServerResponse): void => {
  const exchange = (req as Incoming).exchange!
  const now = exchange.host.now()
  exchange.host.recorder.ended(exchange, now)
  exchange.closed(now)
}

// Read by node when it writes the head. `keepAliveTimeout` of the server would set it too, and a timer for each request.
interface ResponseInternals {
  _keepAliveTimeout: number
}

/** Lets a response say how long its connection is kept, so that a client does not use it in the moment in which it is closed. */
const announceKeepAlive = (response: ServerResponse, millis: number): void => {
  if (millis !== Infinity) (response as unknown as ResponseInternals)._keepAliveTimeout = millis
}
