/**
 * Keeps a stream whose consumer is slow from holding up all other calls of its connection.
 *
 * The client of Effect RPC puts the chunks of a stream into a bounded queue, by the fiber that reads the connection, and acknowledges them
 * when they fit: at a full queue nothing else is read. So its queue gets no bound here, and the acknowledgement, without which the other
 * side sends no more, is held back instead.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Protocol } from "effect/rpc/RpcClient"

/** What has arrived of one stream. */
export class Inflow {
  readonly #bufferSize: number
  /** Forgets it. */
  onEnd: () => void = () => {}
  #items = 0
  #held: Effect.Effect<void, unknown> | undefined = undefined

  constructor(bufferSize: number) {
    this.#bufferSize = bufferSize
  }

  receive(items: number): void {
    this.#items += items
  }

  /** Asks for more now, or when there is room. */
  acknowledge<E>(send: Effect.Effect<void, E>): Effect.Effect<void, E> {
    if (this.#items < this.#bufferSize) return send
    this.#held = send
    return Effect.void
  }

  /** The consumer is done with so many items. If the connection is broken, its end comes by another way. */
  consume(items: number): Effect.Effect<void> {
    this.#items -= items
    if (this.#held === undefined || this.#items >= this.#bufferSize) return Effect.void
    const send = this.#held
    this.#held = undefined
    return Effect.ignore(send)
  }
}

/** That of the stream for which the current fiber sends a request. */
export const CurrentInflow = Context.Reference<Inflow | undefined>("@spillway/runtime/Offload/CurrentInflow", {
  defaultValue: () => undefined
})

type Service = Protocol["Service"]

export const withInflow = (protocol: Service): Service => {
  const inflows = new Map<unknown, Inflow>()
  return {
    ...protocol,
    run: (clientId, f) =>
      protocol.run(clientId, (message) => {
        if (message._tag === "Chunk") inflows.get(message.requestId)?.receive(message.values.length)
        return f(message)
      }),
    send: (clientId, message, transferables) =>
      Effect.withFiber((fiber) => {
        const send = protocol.send(clientId, message, transferables)
        if (message._tag === "Ack") return inflows.get(message.requestId)?.acknowledge(send) ?? send
        const inflow = fiber.getRef(CurrentInflow)
        if (message._tag === "Request" && inflow !== undefined) {
          inflows.set(message.id, inflow)
          inflow.onEnd = () => inflows.delete(message.id)
        }
        return send
      })
  }
}
