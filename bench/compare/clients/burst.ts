/**
 * Clients that each come at a time fixed before, open a connection of their own, send one request, and wait: nobody waits for anybody else,
 * and all times count from when a client was to come. `node burst.ts '<BurstOptions as JSON>'` prints a `BurstReport` as JSON.
 */
import { connect } from "node:net"
import type { Socket } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { addressOf } from "./addresses.ts"

export interface BurstOptions {
  readonly port: number
  readonly requests: ReadonlyArray<{
    readonly path: string
    /** When it comes, in milliseconds from the start. */
    readonly at: number
    /** How many clients do the same at the same time. */
    readonly count: number
  }>
  /** How long each waits for its answer. */
  readonly patienceMillis: number
}

export interface Outcome {
  readonly path: string
  /** All times are in milliseconds from the start. */
  readonly at: number
  /** When the connection was open; `null` if it never was. */
  readonly connected: number | null
  readonly ended: number
  /** Of a whole answer; 0 if there was none. */
  readonly status: number
  /** Why there was none: the system's code of an error, `closed`, or `patience`. */
  readonly reason: string | null
}

export interface BurstReport {
  readonly outcomes: ReadonlyArray<Outcome>
}

const { patienceMillis, port, requests } = JSON.parse(process.argv[2]!) as BurstOptions

/** Those who come together may take so long to begin, in milliseconds: else it is this process that is measured. */
const maxOpening = 2000
let clients = 0

let start = 0
const now = () => Math.round((performance.now() - start) * 1000) / 1000

/** The status if the answer is whole; one without a length is whole when the server has closed. */
const parse = (received: string, closed: boolean): number | undefined => {
  const head = received.indexOf("\r\n\r\n")
  if (head === -1) return undefined
  const length = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, head))?.[1]
  const whole = length === undefined ? closed : received.length >= head + 4 + Number(length)
  return whole ? Number(received.slice(9, 12)) : undefined
}

/** Ends in any case: with an answer, an error, or its patience. */
const send = (path: string, at: number): Promise<Outcome> =>
  new Promise((resolve) => {
    let connected: number | null = null
    let received = ""
    const socket: Socket = connect({ port, host: "127.0.0.1", localAddress: addressOf(clients++) })
    const timer = setTimeout(() => finish(0, "patience"), Math.max(0, at + patienceMillis - now()))
    const finish = (status: number, reason: string | null) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ path, at, connected, ended: now(), status, reason })
    }
    const onClosed = (reason: string) => {
      const status = parse(received, true)
      finish(status ?? 0, status === undefined ? reason : null)
    }
    socket.setNoDelay(true).setEncoding("latin1")
    socket.on("connect", () => {
      connected = now()
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`)
    })
    socket.on("data", (chunk: string) => {
      received += chunk
      const status = parse(received, false)
      if (status !== undefined) finish(status, null)
    })
    socket.on("end", () => onClosed("closed"))
    socket.on("error", (error: NodeJS.ErrnoException) => onClosed(error.code ?? "UNKNOWN"))
  })

const come = async (path: string, at: number, count: number): Promise<ReadonlyArray<Outcome>> => {
  await delay(Math.max(0, at - now()))
  const outcomes = Array.from({ length: count }, () => send(path, at))
  const took = now() - at
  if (took > maxOpening) throw new Error(`it took ${took} ms to begin ${count} connections`)
  return Promise.all(outcomes)
}

// What the start of this process still has to do is done then.
await delay(100)
start = performance.now()
const outcomes = await Promise.all(requests.map(({ at, count, path }) => come(path, at, count)))
process.stdout.write(JSON.stringify({ outcomes: outcomes.flat() } satisfies BurstReport), () => process.exit(0))
