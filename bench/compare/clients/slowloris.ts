/**
 * Slowloris: connections that each send the beginning of a request and then a byte of it every so often, without end. They begin at
 * different moments of that interval, so that it looks at once as it does later: with 10,000 and 30 s a byte comes every 3 ms.
 *
 * `node slowloris.ts '<SlowlorisOptions as JSON>'` prints `SlowlorisCounts` as a line of JSON when no more connections can be opened, and
 * another one when its input ends. Then it goes.
 */
import { once } from "node:events"
import { connect } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { addressOf } from "./addresses.ts"

export interface SlowlorisOptions {
  readonly port: number
  readonly connections: number
  readonly intervalMillis: number
  /** When no connection could be opened for so long, no more are tried. */
  readonly patienceMillis: number
  /** Nor when all of it took so long. */
  readonly openMillis: number
}

export interface SlowlorisCounts {
  /** The system opened them: the server may not have accepted them yet. */
  readonly opened: number
  /** They are open still. */
  readonly held: number
  /** The server ended them, by the status of its answer; `none` without one. */
  readonly ended: Readonly<Record<string, number>>
  /** Bytes sent after the beginning. */
  readonly bytes: number
  /** How long opening them took. */
  readonly openMillis: number
}

const options = JSON.parse(process.argv[2]!) as SlowlorisOptions
const { connections, intervalMillis, patienceMillis, port } = options

/** At most so many are being opened at a time: less than the backlog of any of the servers. */
const opening = 400
const beginning = `GET /fast HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Slow: `

const ended: Record<string, number> = {}
let [opened, held, bytes, tried, inFlight] = [0, 0, 0, 0, 0]
let lastOpened = performance.now()

/** The first byte comes after `first`, the others an interval apart. Returns what ends it. */
const dribble = (write: () => void, first: number): (() => void) => {
  let timer = setTimeout(() => {
    write()
    timer = setInterval(write, intervalMillis)
  }, first)
  return () => clearInterval(timer)
}

/** Returns when it is open, or cannot be. */
const open = (index: number): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: addressOf(index) })
    let stop = () => {}
    let [isOpen, received] = [false, ""]
    const give = setTimeout(() => socket.destroy(), patienceMillis)
    socket.on("connect", () => {
      clearTimeout(give)
      ;[isOpen, lastOpened] = [true, performance.now()]
      opened++
      held++
      socket.write(beginning)
      const write = () => {
        if (!socket.writable) return
        bytes++
        socket.write("a")
      }
      stop = dribble(write, (intervalMillis * ((index * 7919) % connections)) / connections)
      resolve()
    })
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1", 0, 64)
    })
    socket.on("end", () => socket.destroy())
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(give)
      stop()
      if (isOpen) {
        held--
        const status = /^HTTP\/1\.1 (\d+)/.exec(received)?.[1] ?? "none"
        ended[status] = (ended[status] ?? 0) + 1
      }
      resolve()
    })
  })

const openAll = async (): Promise<void> => {
  const isOver = () => performance.now() - lastOpened > patienceMillis || performance.now() - start > options.openMillis
  while (tried < connections && !isOver()) {
    if (inFlight >= opening) {
      await delay(1)
      continue
    }
    inFlight++
    void open(tried++).then(() => inFlight--)
  }
  while (inFlight > 0) await delay(10)
}

let openMillis = 0
const say = () => {
  const counts: SlowlorisCounts = { opened, held, ended, bytes, openMillis }
  process.stdout.write(`${JSON.stringify(counts)}\n`)
}

process.stdin.resume()
const over = once(process.stdin, "end")
const start = performance.now()
await openAll()
openMillis = lastOpened - start
say()
await over
say()
process.stdout.end(() => process.exit(0))
