import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { readFile } from "node:fs/promises"
import type { Socket } from "node:net"
import type { Connection } from "./connection.ts"
import { periodMillis } from "./sweep.ts"

/** What the kernel knows of a connection. */
export interface KernelView {
  /** Bytes that it holds for the client, or that the client has not acknowledged. */
  readonly unacknowledged: number
  /** The client has closed its side, whether or not what it sent before was read. */
  readonly clientClosed: boolean
}

/**
 * Looks up what node cannot see: whether clients that seem to have stopped reading still acknowledge, and whether those from which we do not
 * read have gone.
 *
 * Linux tells it in `/proc/net/tcp`, as `tx_queue` and the state. The list is read only while a connection is suspected, at most once a
 * second, by node's own threads.
 */
export class TcpTable {
  readonly #suspects = new Set<Connection>()
  readonly #latch = Latch.makeUnsafe(false)
  /** The tables have shown our listener: they are those of its network, so that a connection which they lack is gone. */
  #areOurs = false

  suspect(connection: Connection): void {
    this.#suspects.add(connection)
    this.#latch.openUnsafe()
  }

  forget(connection: Connection): void {
    this.#suspects.delete(connection)
  }

  /** Runs for ever; the owner's scope ends it. */
  get run(): Effect.Effect<never> {
    return Effect.forever(
      this.#latch.await.pipe(
        Effect.andThen(tables),
        Effect.tap((tables) => Effect.sync(() => this.#tell(tables))),
        Effect.andThen(Effect.sleep(periodMillis))
      )
    )
  }

  #tell(tables: ReadonlyArray<string>): void {
    this.#latch.closeUnsafe()
    const suspects = new Map<string, Connection>()
    for (const connection of this.#suspects) {
      const key = keyOf(connection.transport)
      if (tables.length > 0 && key !== undefined) suspects.set(key, connection)
      else connection.looked(undefined)
    }
    this.#suspects.clear()
    for (const table of tables) find(table, suspects)
    for (const connection of suspects.values()) {
      this.#areOurs ||= tables.some((table) => listenerOf(connection.transport).test(table))
      connection.looked(this.#areOurs ? "gone" : undefined)
    }
  }
}

const read = (path: string) =>
  Effect.orElseSucceed(
    Effect.tryPromise(() => readFile(path, "latin1")),
    () => ""
  )

/** The kernel's lists of TCP connections, none where it has none. */
const tables: Effect.Effect<ReadonlyArray<string>> = Effect.suspend(() =>
  process.platform === "linux"
    ? Effect.map(Effect.all([read("/proc/net/tcp"), read("/proc/net/tcp6")]), (tables) =>
        tables.filter((table) => table !== "")
      )
    : Effect.succeed([])
)

/** `TCP_CLOSE_WAIT` of the kernel. */
const closeWait = "08"

/**
 * Tells those that are in a table, and takes them out of `suspects`. Its lines are like
 * `12: 0100007F:1F90 0100007F:C3A4 01 0027AC40:00000000 …`: the two ends, the state, and the two queues.
 */
const find = (table: string, suspects: Map<string, Connection>): void => {
  const lines = /^ *\d+: ([\dA-F]+:[\dA-F]{4} [\dA-F]+:[\dA-F]{4}) ([\dA-F]{2}) ([\dA-F]{8}):/gm
  while (suspects.size > 0) {
    const line = lines.exec(table)
    if (line === null) return
    const [, ends, state, queue] = line
    const connection = suspects.get(ends!)
    if (connection === undefined) continue
    suspects.delete(ends!)
    connection.looked({ unacknowledged: Number.parseInt(queue!, 16), clientClosed: state === closeWait })
  }
}

/** The line of what listens on the port of a connection. */
const listenerOf = ({ localPort = 0 }: Socket): RegExp => new RegExp(`:${hex(localPort, 4)} 0+:0000 0A `)

const keyOf = ({ localAddress, localPort, remoteAddress, remotePort }: Socket): string | undefined =>
  localAddress === undefined || remoteAddress === undefined
    ? undefined
    : `${endOf(localAddress, localPort!)} ${endOf(remoteAddress, remotePort!)}`

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0")

/** An end as the kernel writes it: the address in words of four bytes, each in the order of the machine, and the port. */
const endOf = (address: string, port: number): string => {
  const bytes = address.includes(":") ? bytesOfIpv6(address) : address.split(".").map(Number)
  let text = ""
  for (let word = 0; word < bytes.length; word += 4) {
    const [a, b, c, d] = bytes.slice(word, word + 4) as [number, number, number, number]
    text += (littleEndian ? [d, c, b, a] : [a, b, c, d]).map((byte) => hex(byte, 2)).join("")
  }
  return `${text}:${hex(port, 4)}`
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

const bytesOfIpv6 = (address: string): ReadonlyArray<number> => {
  const [, v4] = /:(\d+\.\d+\.\d+\.\d+)$/.exec(address) ?? []
  const tail = v4?.split(".").map(Number) ?? []
  const text = (v4 === undefined ? address : address.slice(0, -v4.length)).replace(/%.*$/, "")
  const [before, after] = text.split("::").map((part) =>
    part
      .split(":")
      .filter((group) => group !== "")
      .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
  )
  const known = before!.length + (after?.length ?? 0) + tail.length
  return [...before!, ...Array.from({ length: 16 - known }, () => 0), ...(after ?? []), ...tail]
}
