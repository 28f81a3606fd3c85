import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { readFile } from "node:fs/promises"
import type { Socket } from "node:net"
import type { Connection } from "./connection.ts"
import { periodMillis } from "./sweep.ts"

/**
 * Looks up how much the kernel holds of what was written to clients that seem to have stopped reading.
 *
 * Linux tells it in `/proc/net/tcp`, as `tx_queue`: the bytes that the client has not acknowledged. The list is read only while a
 * connection is suspected, at most once a second, by node's own threads.
 */
export class SlowReaders {
  readonly #suspects = new Set<Connection>()
  readonly #latch = Latch.makeUnsafe(false)

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
        Effect.andThen(sendQueues),
        Effect.tap((queues) => Effect.sync(() => this.#tell(queues))),
        Effect.andThen(Effect.sleep(periodMillis))
      )
    )
  }

  #tell(queues: ReadonlyMap<string, number> | undefined): void {
    this.#latch.closeUnsafe()
    const suspects = [...this.#suspects]
    this.#suspects.clear()
    for (const connection of suspects) {
      if (queues === undefined) {
        connection.unacknowledged(undefined)
        continue
      }
      const key = keyOf(connection.socket)
      const queued = key === undefined ? undefined : queues.get(key)
      // While connections come and go the kernel's list may miss one.
      if (queued !== undefined) connection.unacknowledged(queued)
    }
  }
}

const read = (path: string) =>
  Effect.orElseSucceed(
    Effect.tryPromise(() => readFile(path, "latin1")),
    () => ""
  )

/** The unacknowledged bytes of every TCP connection by its two ends, or `undefined` where the kernel does not tell them. */
const sendQueues: Effect.Effect<ReadonlyMap<string, number> | undefined> = Effect.suspend(() =>
  process.platform === "linux"
    ? Effect.map(Effect.all([read("/proc/net/tcp"), read("/proc/net/tcp6")]), ([v4, v6]) => {
        if (v4 === "" && v6 === "") return undefined
        const queues = new Map<string, number>()
        parse(v4, queues)
        parse(v6, queues)
        return queues
      })
    : Effect.succeed(undefined)
)

/** Lines like `12: 0100007F:1F90 0100007F:C3A4 01 0027AC40:00000000 …`: the two ends, the state, and the two queues. */
const parse = (table: string, queues: Map<string, number>): void => {
  for (const [, ends, queue] of table.matchAll(
    /^ *\d+: ([\dA-F]+:[\dA-F]{4} [\dA-F]+:[\dA-F]{4}) [\dA-F]{2} ([\dA-F]{8}):/gm
  )) {
    queues.set(ends!, Number.parseInt(queue!, 16))
  }
}

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
