import type { Socket } from "node:net"

/** What node keeps behind a socket. It has no public way to ask what the kernel has taken of what was written, nor what is beneath TLS. */
interface Internals {
  readonly _parent: Socket | null | undefined
  readonly _handle: { readonly bytesWritten: number; readonly writeQueueSize: number } | null | undefined
}

/** Bytes that the kernel has taken, or `undefined` when the socket is closed. */
export const sentBytes = (socket: Socket): number | undefined => {
  const handle = (socket as unknown as Internals)._handle
  return handle ? handle.bytesWritten - handle.writeQueueSize : undefined
}

/** The TCP socket of a connection: of one with TLS, the one beneath. */
export const transportOf = (socket: Socket): Socket => (socket as unknown as Internals)._parent ?? socket

/** Bytes that the kernel did not take yet of those that it was given. */
export const queuedBytes = (socket: Socket): number => (socket as unknown as Internals)._handle?.writeQueueSize ?? 0

/** Ends a connection with a reset. */
export const reset = (socket: Socket): void => {
  socket.resetAndDestroy()
}
