import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import * as HttpMetrics from "../HttpMetrics.ts"

/** Why a WebSocket was closed, by what came first. */
export type CloseReason =
  | "Peer"
  | "Handler"
  | "Lost"
  | "TooLarge"
  | "ProtocolError"
  | "PingTimeout"
  | "SlowConsumer"
  | "Drain"

const fates = ["received", "sent", "dropped"] as const
type Fate = (typeof fates)[number]

const messages: Readonly<Record<Fate, Metric.Counter<number>>> = {
  received: Metric.withAttributes(HttpMetrics.webSocketMessages, { fate: "received" }),
  sent: Metric.withAttributes(HttpMetrics.webSocketMessages, { fate: "sent" }),
  dropped: Metric.withAttributes(HttpMetrics.webSocketMessages, { fate: "dropped" })
}

/** Writes the metrics of a server's WebSockets. */
export class WebSocketRecorder {
  readonly #context: Context.Context<never>
  /** Messages since the last turn of the event loop: a counter costs more than a small message does. */
  readonly #counts: Record<Fate, number> = { received: 0, sent: 0, dropped: 0 }
  #scheduled = false

  constructor(context: Context.Context<never>) {
    this.#context = context
  }

  message(fate: Fate): void {
    this.#counts[fate]++
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    for (const fate of fates) {
      const count = this.#counts[fate]
      if (count === 0) continue
      this.#counts[fate] = 0
      messages[fate].updateUnsafe(count, this.#context)
    }
  }

  closed(reason: CloseReason): void {
    Metric.withAttributes(HttpMetrics.webSocketsClosed, { reason }).updateUnsafe(1, this.#context)
  }

  registerGauge(count: () => number): () => void {
    const { remove } = Metric.registerUnsafe(HttpMetrics.webSockets, this.#context, {
      get: () => ({ value: count() }),
      update: () => {},
      modify: () => {}
    })
    return remove
  }
}
