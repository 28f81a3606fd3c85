/** The listening sockets of the process. The supervisor binds them and never accepts: loops listen on duplicates, which they close. */
import { lookup } from "node:dns/promises"
import { closeSync } from "node:fs"
import * as net from "node:net"
import { inheritedFd } from "../inherited.ts"
import { bind } from "./handles.ts"
import { makeCells } from "../../SharedBudget.ts"
import type { Address, Opened, Sharing } from "./protocol.ts"

interface Socket {
  readonly fd: number
  close(): void
}

/** What the loops share for one server. */
interface Master {
  /** By slot; none where the loop listens by itself. */
  readonly sockets: ReadonlyArray<Socket>
  readonly budget: Int32Array
  /** The seats of the threads that have asked for it and live. */
  readonly users: Set<number>
}

const closeMaster = ({ sockets }: Master): void => new Set(sockets).forEach((socket) => socket.close())

const shared = (sockets: number, socket: Socket): ReadonlyArray<Socket> => Array.from({ length: sockets }, () => socket)

export interface MastersOptions {
  readonly loops: number
  readonly seats: number
  readonly sharing: Sharing
}

export class Masters {
  readonly #options: MastersOptions
  readonly #masters = new Map<string, Promise<Master>>()
  #closed = false

  constructor(options: MastersOptions) {
    this.#options = options
  }

  /** The budgets of all servers. */
  readonly budgets = new Set<Int32Array>()

  /** The socket of a slot for a server. Rejects with a system error where there can be none. */
  async open(address: Address, slot: number, seat: number): Promise<Opened> {
    if (this.#closed) throw new Error("the process drains")
    const { budget, sockets, users } = await this.#master(address)
    users.add(seat)
    return { fd: sockets[slot]?.fd, budget }
  }

  /** Closes all sockets: connections that come from now on are those of the duplicates. */
  close(): void {
    this.#closed = true
    for (const master of this.#masters.values()) {
      void master.then(closeMaster, () => {})
    }
  }

  /** A thread has gone. */
  leave(seat: number): void {
    for (const master of this.#masters.values()) {
      void master.then(
        ({ users }) => users.delete(seat),
        () => {}
      )
    }
  }

  /** Closes the sockets of servers that no thread has any more: nobody would accept what comes there. */
  closeUnused(): void {
    if (this.#closed) return
    for (const [key, made] of this.#masters) {
      void made.then(
        (master) => {
          if (this.#closed || master.users.size > 0) return
          this.#masters.delete(key)
          this.budgets.delete(master.budget)
          closeMaster(master)
        },
        () => {}
      )
    }
  }

  #master(address: Address): Promise<Master> {
    const key = `${address.host} ${address.port} ${address.inherit} ${address.ordinal}`
    const known = this.#masters.get(key)
    if (known !== undefined) return known
    const made = this.#make(address)
    this.#masters.set(key, made)
    // Another attempt may find the port free.
    made.catch(() => this.#masters.delete(key))
    return made
  }

  async #make(address: Address): Promise<Master> {
    const sockets = await this.#sockets(address)
    const budget = makeCells(this.#options.seats)
    this.budgets.add(budget)
    return { sockets, budget, users: new Set() }
  }

  async #sockets({ host, inherit, port }: Address): Promise<ReadonlyArray<Socket>> {
    const { loops, sharing } = this.#options
    const fd = inheritedFd(inherit)
    if (fd !== undefined) return shared(loops, { fd, close: () => closeSync(fd) })
    if (sharing === "alone") return []
    const address = net.isIP(host) === 0 ? (await lookup(host)).address : host
    // Without the flag it fails if anybody listens there, be it another instance of this program whose port it would share unknowingly.
    const first = bind(address, port, false)
    if (sharing === "sharedSocket") return shared(loops, first.handle)
    first.handle.close()
    return bindAll(address, port, loops)
  }
}

const bindAll = (address: string, port: number, count: number): ReadonlyArray<Socket> => {
  const sockets: Array<Socket> = []
  try {
    let bound = port
    while (sockets.length < count) {
      const next = bind(address, bound, true)
      sockets.push(next.handle)
      bound = next.port
    }
    return sockets
  } catch (error) {
    for (const socket of sockets) socket.close()
    throw error
  }
}

/** The best way of this platform to have several loops on one port. */
export const bestSharing = (): Sharing => {
  if (process.platform === "win32") return "alone"
  try {
    bind("127.0.0.1", 0, true).handle.close()
    return "reusePort"
  } catch {
    return "sharedSocket"
  }
}
