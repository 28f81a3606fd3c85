import type * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Socket } from "node:net"
import type { ConnectionInfo } from "../Server.ts"
import type { Resolved } from "../ServerConfig.ts"
import { parseAddress } from "./clientAddress.ts"
import type { Trust } from "./clientAddress.ts"
import { Connection } from "./connection.ts"
import type { ConnectionState } from "./connection.ts"
import type { Pace } from "./pace.ts"
import { Pressure } from "./pressure.ts"
import type { Recorder } from "./recorder.ts"
import { TcpTable } from "./tcpTable.ts"
import { Sweep } from "./sweep.ts"

/** What holds for every connection. Times in milliseconds. */
export interface Limits {
  readonly headersTimeout: number
  readonly keepAliveTimeout: number
  readonly graceMillis: number
  readonly body: Pace
  readonly response: Pace
}

/**
 * Connections beyond `maxConnections` that are accepted, for probes alone: an orchestrator that cannot connect takes the process for dead.
 * One that sends no request at once gives its place up.
 */
export const reservedConnections = 16

const reservedMillis = 250

/** All open sockets. */
export class Connections {
  readonly all = new Map<Socket, Connection>()
  readonly sweep: Sweep
  readonly tcpTable = new TcpTable()
  readonly limits: Limits
  /** Whole milliseconds since the server began: such numbers cost a connection no memory of their own. */
  readonly now: () => number
  readonly #origin: number
  readonly #onClose: (this: Socket) => void
  readonly #onEnd: (this: Socket) => void
  /** Makes the record of a socket that was accepted. */
  open: (socket: Socket) => Connection = (socket) => new Connection(socket, this, this.now())
  draining = false
  /** Connections ever accepted. */
  accepted = 0
  readonly #maxConnections: number
  readonly #maxPerAddress: number
  readonly #isTrusted: Trust
  readonly #perAddress = new Map<string, number>()
  readonly #pressure: Pressure
  readonly #recorder: Recorder
  readonly #empty = Latch.makeUnsafe(true)

  constructor(options: Resolved, now: () => number, recorder: Recorder) {
    const { headersTimeout, keepAliveTimeout, minBodyRate, minResponseRate, rateGrace: graceMillis } = options
    this.limits = {
      headersTimeout,
      keepAliveTimeout,
      graceMillis,
      body: { bytesPerSecond: minBodyRate, graceMillis },
      response: { bytesPerSecond: minResponseRate, graceMillis }
    }
    this.#origin = Math.trunc(now())
    this.now = () => this.toMillis(now())
    this.sweep = new Sweep(this.now)
    const { all } = this
    const remove = (connection: Connection) => this.#remove(connection)
    this.#onClose = function () {
      const connection = all.get(this)
      // The record of a socket under TLS goes with its handshake.
      if (connection !== undefined) remove(connection)
    }
    this.#onEnd = function () {
      all.get(this)?.onEnd()
    }
    this.#maxConnections = options.maxConnections
    this.#maxPerAddress = options.maxConnectionsPerAddress
    this.#isTrusted = options.trustedProxies
    this.#pressure = new Pressure(this, options.maxConnections)
    this.#recorder = recorder
  }

  /** A time of the monotonic clock, in the unit of `now`. */
  toMillis(now: number): number {
    return Math.trunc(now) - this.#origin
  }

  /** Waits, without limit, until no socket is open. */
  get whenEmpty(): Effect.Effect<void> {
    return this.#empty.await
  }

  /** What enforces the timeouts: to be forked in the scope of the server. */
  get alarms(): ReadonlyArray<Effect.Effect<never>> {
    return [this.sweep.run, this.tcpTable.run]
  }

  /** A `connection` listener. */
  readonly add = (socket: Socket): void => {
    this.accepted++
    if (!this.#countAddress(socket)) {
      this.#recorder.dropped()
      return void socket.destroy()
    }
    const connection = this.open(socket)
    connection.reserved = this.all.size >= this.#maxConnections
    this.#enter(connection)
    this.#pressure.relieve()
  }

  #enter(connection: Connection): void {
    const { socket } = connection
    this.all.set(socket, connection)
    this.#empty.closeUnsafe()
    // Shared by all sockets: a closure for each would be most of what a connection costs.
    socket.on("close", this.#onClose)
    socket.on("end", this.#onEnd)
    this.sweep.schedule(connection, connection.reserved ? reservedMillis : undefined)
    if (this.draining) connection.drain()
  }

  /** The handshake of TLS is done: the record of what is spoken inside takes the place of its record. */
  secured(handshake: Connection, connection: Connection): void {
    connection.reserved = handshake.reserved
    this.#enter(connection)
    this.#remove(handshake)
  }

  /** A `drop` listener: node has closed a connection over the limit. */
  readonly dropped = (): void => {
    this.#recorder.dropped()
    this.#pressure.relieve()
  }

  #remove(connection: Connection): void {
    this.all.delete(connection.socket)
    this.sweep.remove(connection)
    this.tcpTable.forget(connection)
    connection.dropHeld()
    if (this.all.size === 0) this.#empty.openUnsafe()
  }

  /** Counts a connection of an address until it closes. Says whether there may be one more of that address. */
  #countAddress(socket: Socket): boolean {
    const address = socket.remoteAddress
    if (this.#maxPerAddress === Infinity || address === undefined) return true
    const parsed = parseAddress(address)
    // A proxy carries the connections of many.
    if (parsed !== undefined && this.#isTrusted(parsed)) return true
    const count = this.#perAddress.get(address) ?? 0
    if (count >= this.#maxPerAddress) return false
    this.#perAddress.set(address, count + 1)
    socket.once("close", () => {
      const left = this.#perAddress.get(address)! - 1
      if (left === 0) this.#perAddress.delete(address)
      else this.#perAddress.set(address, left)
    })
    return true
  }

  timedOut(): void {
    this.#recorder.refused("RequestTimeout")
  }

  readerReset(): void {
    this.#recorder.cut("SlowReader")
  }

  evicted(reason: "Idle" | "Slow" | "Flood" | "Tls"): void {
    this.#recorder.cut(reason)
  }

  /** The connection speaks something else than HTTP from now on. */
  upgraded(connection: Connection): void {
    connection.upgraded = true
  }

  /** From now on a connection without a request is closed after its linger. */
  drain(): void {
    this.draining = true
    for (const connection of this.all.values()) connection.drain()
  }

  destroyAll(): void {
    for (const socket of this.all.keys()) socket.destroy()
  }

  /** Pipelined requests that wait for those before them. */
  get held(): number {
    let held = 0
    for (const connection of this.all.values()) held += connection.held
    return held
  }

  list(): ReadonlyArray<ConnectionInfo> {
    const now = this.now()
    return Array.from(this.all.values(), (connection) => connection.info(now))
  }

  /** The number of connections in each state. */
  count(): Record<ConnectionState, number> {
    const counts = { new: 0, head: 0, body: 0, handling: 0, writing: 0, idle: 0, upgraded: 0 }
    for (const connection of this.all.values()) counts[connection.state]++
    return counts
  }
}
