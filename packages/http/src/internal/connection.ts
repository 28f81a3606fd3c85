import * as Duration from "effect/Duration"
import type { Socket } from "node:net"
import * as answers from "./answers.ts"
import { ClientPace } from "./clientPace.ts"
import type { ConnectionInfo } from "../Server.ts"
import type { Connections } from "./connections.ts"
import type { KernelView } from "./tcpTable.ts"
import type { Exchange } from "./exchange.ts"
import type { Linked } from "./linkedList.ts"
import * as socketState from "./socketState.ts"
import { periodMillis } from "./sweep.ts"
import type { Swept } from "./sweep.ts"

export type ConnectionState = (typeof connectionStates)[number]

/**
 * What a connection is doing: nothing was received yet, part of a head, a body that is still arriving, a complete request whose
 * response has not begun, a response being sent, waiting for the next request, or something else than HTTP by now.
 */
export const connectionStates = ["new", "head", "body", "handling", "writing", "idle", "upgraded"] as const

/**
 * How long a connection that may be used again is kept once the server drains. A request that was on its way when we said nothing
 * of closing is still answered in this time, instead of meeting a reset (nodejs/node#60617).
 */
export const lingerMillis = 250

/**
 * How long a connection is kept after our side of it was closed, for the client to read the answer: destroying it while bytes of the
 * client lie unread sends a reset, which can overtake the answer (RFC 9112 section 9.6). The value of `@effect/platform-node`.
 */
export const closeGraceMillis = 500

/** For how long at most such a connection is kept while the client still sends: nginx's `lingering_timeout`. */
const maxLingeringMillis = 5000

/** How soon a client that closed its side is probed again: by then the kernel knows whether the first probe met a reset. */
const probeMillis = 50

/**
 * How many pipelined requests of a connection are kept until those before them are answered. Responses go out one after the other in any
 * case; if each request had a permit meanwhile, one client could take all of them. More are refused.
 */
const maxHeld = 32

/** The record of one socket. States are derived when asked for: the hot path keeps few books. */
export class Connection implements Swept {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  /** The newest request that is in flight. */
  exchange: Exchange | undefined = undefined
  /** Requests in flight: more than one only if the client pipelines. */
  inFlight = 0
  /** Requests that have begun. */
  requests = 0
  upgraded = false
  /** No further request of this connection is answered: we have closed our side, or said that we will. */
  closing = false
  /** It is one of those beyond `maxConnections` that only probes may use. */
  reserved = false
  /** It was refused among too many, and is not read for a while. */
  isHeld = false
  /** How many of its requests were refused since one of them was let in. */
  refusedInRow = 0
  /** For whom a trusted proxy sent the newest request. */
  forwardedFor: string | undefined = undefined
  /** Since when it waits for a request, or for the rest of a head, as far as the last sweep saw. */
  waitsSince: number
  /** Bytes a second that came in, and went out, between the last two sweeps. */
  receiveRate = 0
  sendRate = 0
  readonly openedAt: number
  /** What HTTP is read from and written to. */
  readonly socket: Socket
  protected readonly owner: Connections
  #held: Array<Exchange> | undefined = undefined
  /** The request before, whose body the client still sends although it was answered. */
  #unread: Exchange | undefined = undefined
  #lingers = false
  /** Our side is closed: the next sweep ends the connection. */
  #ending = false
  /** The kernel's list did not have it the last time. */
  #missed = false
  /** The client has closed its side while a request was in flight. */
  #halfClosed = false
  /** Bytes that had been read when the last request ended. */
  #bytesAtRest = 0
  #sweptAt: number
  #received = 0
  #sent = 0
  #pace: ClientPace | undefined = undefined

  constructor(socket: Socket, owner: Connections, now: number) {
    this.socket = socket
    this.owner = owner
    this.openedAt = now
    this.waitsSince = now
    this.#sweptAt = now
  }

  get state(): ConnectionState {
    if (this.upgraded) return "upgraded"
    if (this.exchange === undefined) {
      if (this.inFlight > 0) return "handling"
      if (this.owesBody) return "body"
      const read = this.socket.bytesRead
      return read === 0 ? "new" : read > this.#bytesAtRest ? "head" : "idle"
    }
    const { request, response } = this.exchange
    return response.headersSent ? "writing" : request.complete ? "handling" : "body"
  }

  /** The TCP socket beneath: the same, unless there is TLS between. */
  get transport(): Socket {
    return socketState.transportOf(this.socket)
  }

  /** The requests in flight that can still be told something: of those that are pipelined, the newest. */
  get exchanges(): Iterable<Exchange> {
    return this.exchange === undefined ? [] : [this.exchange]
  }

  /** Lets a request knock at the door in its turn: a pipelined one when those before it are answered. Says whether there was room for it. */
  admit(exchange: Exchange): boolean {
    if (this.inFlight === 1) {
      exchange.enterDoor(exchange.arrivedAt)
      return true
    }
    this.#held ??= []
    if (this.#held.length >= maxHeld) return false
    this.#held.push(exchange)
    return true
  }

  /** The socket is closed. Node tells nothing to responses that it had not begun. */
  dropHeld(): void {
    for (const exchange of this.#held ?? []) exchange.host.deadlines.remove(exchange)
    this.#held = undefined
  }

  /** Takes back what was held. Says whether it was. */
  release(exchange: Exchange): boolean {
    const index = this.#held?.indexOf(exchange) ?? -1
    if (index >= 0) this.#held!.splice(index, 1)
    return index >= 0
  }

  /** Whether the client still owes the body of a request that was answered. */
  get owesBody(): boolean {
    return this.#unread !== undefined && !this.#unread.request.complete
  }

  get held(): number {
    return this.#held?.length ?? 0
  }

  /** Bytes that have come of a head which is not complete. */
  get headBytes(): number {
    return this.socket.bytesRead - this.#bytesAtRest
  }

  /**
   * How slow the client is, from 0, which keeps pace, to 1, which is as slow as is borne. A head comes in one packet or in a few: one that
   * takes longer than a sweep is slow.
   */
  slowness(now: number): number {
    if (this.closing || this.upgraded) return 0
    if (this.inFlight > 0) return this.#pace?.slowness ?? 0
    const { headersTimeout } = this.owner.limits
    const waited = now - this.waitsSince
    return waited < periodMillis ? 0 : Math.min(1, waited / Math.min(headersTimeout, 10 * periodMillis))
  }

  /** Bytes a second that a client moves which is waited for, or `undefined`. */
  get awaitedRate(): number | undefined {
    return this.#pace?.isAwaited === true ? this.receiveRate + this.sendRate : undefined
  }

  began(exchange: Exchange): void {
    this.exchange = exchange
    this.requests++
    if (this.inFlight++ === 0) this.#pace = undefined
  }

  ended(exchange: Exchange, now: number): void {
    this.inFlight--
    const next = this.#held?.shift()
    if (next !== undefined && !this.socket.destroyed) next.enterDoor(now)
    if (this.exchange !== exchange) return
    this.exchange = undefined
    this.#unread = exchange.request.complete ? undefined : exchange
    this.#bytesAtRest = this.socket.bytesRead
    this.waitsSince = this.owner.toMillis(now)
    // Node has ended it with this response.
    if (this.socket.writableEnded && !this.socket.destroyed) this.close()
    else if (this.owner.draining) this.linger()
  }

  /** A request has given its place up, at the door or inside. */
  left(_exchange: Exchange): void {
    // A pipelined one waits for more than that: for the response to be sent.
  }

  /** Ends a request whose response has begun so that the client can not take it for whole. */
  cut(_exchange: Exchange): void {
    this.socket.destroy()
  }

  /** The server drains: the connection is to be closed once it has nothing more to answer. */
  drain(): void {
    if (this.inFlight === 0) this.linger()
  }

  /** Closes the connection in a moment, unless a request comes. */
  linger(): void {
    if (this.closing || this.upgraded) return
    this.#lingers = true
    this.owner.sweep.schedule(this, lingerMillis)
  }

  /** Sends the last bytes and closes our side; destroys the socket when the client has not closed its side in time. */
  close(lastBytes?: Uint8Array): void {
    const { socket } = this
    if (!this.#ending) {
      this.waitsSince = this.owner.now()
      this.#received = socket.bytesRead
    }
    this.closing = this.#ending = true
    if (socket.destroyed) return
    if (lastBytes === undefined) socket.end()
    else socket.end(lastBytes)
    // Node's `destroySoon` waits for no one.
    socket.off("finish", socket.destroy)
    this.owner.sweep.schedule(this, closeGraceMillis)
  }

  info(now: number): ConnectionInfo {
    return {
      state: this.state,
      remoteAddress: this.forwardedFor ?? this.socket.remoteAddress,
      age: Duration.millis(now - this.openedAt),
      requests: this.requests,
      bytesReceived: this.socket.bytesRead,
      bytesSent: socketState.sentBytes(this.transport) ?? this.#sent,
      receiveRate: this.receiveRate,
      sendRate: this.sendRate
    }
  }

  /** Ends the connection with a reset, so that the kernel does not keep what the client has not taken. */
  reset(): void {
    this.closing = true
    socketState.reset(this.transport)
  }

  /**
   * The client has closed its side. If a request of it is in flight, it may wait for the answer (`shutdown`), or be gone: TCP says the same
   * of both. A reset in answer to an interim response tells them apart.
   */
  onEnd(): void {
    const { exchange } = this
    // Node says nothing of a body that ends too early behind an upgrade that was ignored.
    if (exchange !== undefined && !exchange.request.complete && !this.#ending) exchange.cutOff()
    if (this.inFlight === 0 || this.closing || this.upgraded) return
    this.#halfClosed = true
    this.waitsSince = this.owner.now()
    this.exchange?.stepAside()
    this.exchange?.probe()
    this.owner.sweep.schedule(this, probeMillis)
  }

  sweep(now: number): void {
    if (this.#ending) return this.#checkEnding(now)
    const elapsed = now - this.#sweptAt
    const received = this.socket.bytesRead
    const sent = socketState.sentBytes(this.transport) ?? this.#sent
    this.receiveRate = ((received - this.#received) / elapsed) * 1000
    this.sendRate = ((sent - this.#sent) / elapsed) * 1000
    this.check(now, elapsed, received - this.#received, sent - this.#sent)
    this.#sweptAt = now
    this.#received = received
    this.#sent = sent
  }

  protected check(now: number, elapsed: number, received: number, sent: number): void {
    if (this.upgraded) return this.paceReader(elapsed, sent)
    if (this.inFlight === 0) return this.#checkWait(now, elapsed, received)
    if (this.#halfClosed && this.exchange !== undefined && !this.#checkHalfClosed(this.exchange, now, sent)) return
    this.exchange?.stepBack()
    this.exchange?.checkBody()
    if (!this.#halfClosed && this.socket.isPaused() && this.exchange?.response.headersSent === false) {
      this.#lookForClient(this.exchange)
    }
    this.#paceBody(this.exchange, elapsed, received)
    this.paceReader(elapsed, sent)
  }

  /** Our side is closed. While the client still sends, or takes what we have sent, it may not have read our answer. */
  #checkEnding(now: number): void {
    const received = this.socket.bytesRead
    const busy = received > this.#received || this.socket.writableLength > 0
    if (!busy || now - this.waitsSince >= maxLingeringMillis) return void this.socket.destroy()
    this.#received = received
    this.owner.sweep.schedule(this, closeGraceMillis)
  }

  /** No request is in flight. */
  #checkWait(now: number, elapsed: number, received: number): void {
    const { headersTimeout, keepAliveTimeout } = this.owner.limits
    const { state } = this
    if (state === "body")
      return this.#lingers ? void this.socket.destroySoon() : this.#paceBody(this.#unread, elapsed, received)
    // Its first byte came since the last sweep.
    if (state === "head" && received > 0 && received === this.headBytes && this.requests > 0) this.waitsSince = now
    if (this.#lingers) return this.closeQuietly()
    const waited = now - this.waitsSince
    if (state === "idle") {
      if (waited >= keepAliveTimeout) this.closeQuietly()
    } else if (waited >= (this.reserved ? 0 : headersTimeout)) {
      this.owner.timedOut()
      this.close(answers.requestTimeout)
    }
  }

  /** Closes a connection on which nothing is to be answered. */
  closeQuietly(): void {
    this.closing = this.#ending = true
    this.socket.destroySoon()
  }

  #checkHalfClosed(exchange: Exchange, now: number, sent: number): boolean {
    if (sent > 0 || this.socket.writableLength > 0) this.waitsSince = now
    // A response that is quiet can be cut off by nothing but silence, as that of a subscriber who has gone.
    const isQuiet = exchange.response.headersSent && now - this.waitsSince >= this.owner.limits.graceMillis
    // A client of HTTP/1.0 cannot be probed: it may wait for the answer as long as any may be slow.
    const alive = exchange.probe() ? !isQuiet : now - this.waitsSince < this.owner.limits.graceMillis
    if (!alive) this.socket.destroy()
    return alive
  }

  #paceBody(exchange: Exchange | undefined, elapsed: number, received: number): void {
    const awaited = exchange !== undefined && !exchange.request.complete && exchange.awaitsBody
    if (!awaited && this.#pace === undefined) return
    this.#pace ??= new ClientPace(this.owner.limits)
    if (this.#pace.chargeSender(awaited, elapsed, received)) exchange!.bodyTooSlow()
  }

  /** Whether bytes lie in the process that the kernel does not take. */
  protected get awaitsReader(): boolean {
    return this.socket.writableLength > 0
  }

  protected paceReader(elapsed: number, sent: number): void {
    const awaited = this.awaitsReader
    if (!awaited && this.#pace === undefined) return
    this.#pace ??= new ClientPace(this.owner.limits)
    const verdict = this.#pace.chargeReader(awaited, elapsed, sent)
    if (verdict === "suspect") this.owner.tcpTable.suspect(this)
    if (verdict !== "tooSlow") return
    this.owner.readerReset()
    this.reset()
  }

  /**
   * Node has stopped reading, and would not see that the client has gone. A reset the kernel knows of; a close it learns only behind what the
   * client has sent, or when the client's kernel answers something with a reset.
   */
  #lookForClient(exchange: Exchange): void {
    this.owner.tcpTable.suspect(this)
    if (exchange.host.now() - exchange.arrivedAt >= this.owner.limits.graceMillis) exchange.probe()
  }

  /** What the kernel says of it: `undefined` where it says nothing, `gone` if it does not know it any more. */
  looked(up: KernelView | "gone" | undefined): void {
    if (up === "gone") {
      // While connections come and go the list may miss one.
      if (this.#missed) this.socket.destroy()
      this.#missed = true
      return
    }
    this.#missed = false
    const sent = socketState.sentBytes(this.transport)
    if (sent !== undefined) this.acknowledged(up === undefined ? undefined : sent - up.unacknowledged)
    if (up?.clientClosed === true && !this.#halfClosed) this.onEnd()
  }

  protected acknowledged(bytes: number | undefined): void {
    this.#pace?.acknowledged(bytes)
  }
}
