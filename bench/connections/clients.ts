/** Clients that stop in the middle, and one that does not. */
import { once } from "node:events"
import { request } from "node:http"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { Connection } from "../load/connection.ts"
import { wholeResponse } from "./settings.ts"

/** Connections that are opened at once: less than any server's backlog. */
const batch = 200

const open = async (port: number, bytes: string, answered: boolean): Promise<Socket> => {
  const socket = connect({ port, host: "127.0.0.1" })
  socket.on("error", () => {})
  socket.write(bytes)
  if (answered) await once(socket, "data")
  else await once(socket, "connect")
  return socket
}

/** Opens so many connections that each send the same bytes; `answered`: and wait for the beginning of an answer. */
export const hold = async (port: number, count: number, bytes: string, answered = false): Promise<Array<Socket>> => {
  const sockets: Array<Socket> = []
  while (sockets.length < count) {
    const more = Array.from({ length: Math.min(batch, count - sockets.length) }, () => open(port, bytes, answered))
    sockets.push(...(await Promise.all(more)))
  }
  return sockets
}

/** Opens connections that ask for a response and do not read a byte of it. */
export const holdUnread = async (port: number, count: number, bytes: string): Promise<Array<Socket>> => {
  const sockets = await hold(port, count, bytes)
  for (const socket of sockets) socket.pause()
  return sockets
}

export const release = async (sockets: ReadonlyArray<Socket>): Promise<void> => {
  for (const socket of sockets) socket.destroy()
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, "close")))
}

/** Sends whole requests, one after the other on each of some connections, and expects 200 to each. */
export const exercise = async (port: number, request: string, connections: number, each: number): Promise<void> => {
  const bytes = Buffer.from(request)
  const one = async (): Promise<void> => {
    const connection = new Connection({ port, host: "127.0.0.1" })
    for (let i = 0; i < each; i++) {
      const status = await new Promise<number>((resolve) => connection.send(bytes, resolve))
      if (status !== 200) throw new Error(`a request was answered ${status}`)
    }
    connection.end()
  }
  await Promise.all(Array.from({ length: connections }, one))
}

const expected = wholeResponse()

/** Downloads a response as fast as it comes and returns the milliseconds it took, or `undefined` if a byte was missing or wrong. */
export const download = (port: number, path: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const start = performance.now()
    let [received, equal] = [0, true]
    const outgoing = request({ port, path, host: "127.0.0.1", agent: false }, (response) => {
      response.on("data", (bytes: Buffer) => {
        equal &&= bytes.equals(expected.subarray(received, received + bytes.length))
        received += bytes.length
      })
      response.on("close", () => resolve(equal && received === expected.length ? performance.now() - start : undefined))
    })
    outgoing.on("error", () => resolve(undefined))
    outgoing.end()
  })
