import type { LoadSignals } from "@spillway/runtime/LoadSignals"
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Admission, Refusal } from "../Admission.ts"
import * as HttpMetrics from "../HttpMetrics.ts"
import { connectionStates } from "./connection.ts"
import type { Connections } from "./connections.ts"
import type { Exchange } from "./exchange.ts"

export type RefusalReason =
  | Refusal
  | "Starting"
  | "Draining"
  | "MalformedRequest"
  | "HeadersTooLarge"
  | "TargetTooLong"
  | "RequestTimeout"
  | "ExpectationFailed"
  | "ConnectionLimit"
  | "RateLimited"
  | "Failed"
  // The name of a signal.
  | (string & {})

/** Why the server itself ended a connection: to make room, because the client took no bytes, or broke TLS or HTTP/2. */
export type CutReason = "Idle" | "Slow" | "SlowReader" | "Flood" | "Tls"

/** Methods with a label of their own. A client must not be able to make up labels. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])

/** nginx's status for a client that went away before the answer. */
const clientClosedRequest = 499

/** Calls `get` once for all who ask without waiting for anything between: a walk over ten thousand connections takes milliseconds. */
const onceATurn = <A extends object>(get: () => A): (() => A) => {
  let value: A | undefined
  return () => {
    if (value === undefined) queueMicrotask(() => (value = undefined))
    return (value ??= get())
  }
}

/** Writes the metrics of one server. */
export class Recorder {
  readonly #context: Context.Context<never>
  readonly #durations = new Map<string, Metric.Histogram<number>>()
  readonly #refused = new Map<RefusalReason, Metric.Counter<number>>()

  constructor(context: Context.Context<never>) {
    this.#context = context
  }

  /** Where the metrics live. */
  get context(): Context.Context<never> {
    return this.#context
  }

  ended(exchange: Exchange, now: number): void {
    const { request, response, route } = exchange
    const method = methods.has(request.method!) ? request.method! : "other"
    const status = response.writableFinished ? response.statusCode : clientClosedRequest
    const key = `${method} ${status} ${route}`
    let duration = this.#durations.get(key)
    if (duration === undefined) {
      duration = Metric.withAttributes(HttpMetrics.requestDuration, { method, route, status: String(status) })
      this.#durations.set(key, duration)
    }
    duration.updateUnsafe((now - exchange.arrivedAt) / 1000, this.#context)
  }

  refused(reason: RefusalReason): void {
    let counter = this.#refused.get(reason)
    if (counter === undefined) {
      counter = Metric.withAttributes(HttpMetrics.refused, { reason })
      this.#refused.set(reason, counter)
    }
    counter.updateUnsafe(1, this.#context)
  }

  cut(reason: CutReason): void {
    Metric.withAttributes(HttpMetrics.cutConnections, { reason }).updateUnsafe(1, this.#context)
  }

  readonly dropped = (): void => HttpMetrics.droppedConnections.updateUnsafe(1, this.#context)

  /** Registers the gauges that are read when they are exported. Returns how to remove them. */
  registerGauges(door: Admission, connections: Connections, signals: LoadSignals | undefined) {
    const gauge = (metric: Metric.Gauge<number>, value: () => number) =>
      Metric.registerUnsafe(metric, this.#context, {
        get: () => ({ value: value() }),
        update: () => {},
        modify: () => {}
      })
    const counts = onceATurn(() => connections.count())
    const registrations = [
      gauge(HttpMetrics.activeRequests, () => door.stats.running),
      gauge(HttpMetrics.queued, () => door.stats.queued),
      gauge(HttpMetrics.concurrencyLimit, () => door.stats.limit),
      gauge(HttpMetrics.requestCost, () => door.cost / 1000),
      gauge(HttpMetrics.queueDelay, () => door.queueDelay / 1000),
      ...(signals?.values ?? []).flatMap(({ name }, index) => [
        gauge(Metric.withAttributes(HttpMetrics.signalValue, { signal: name }), () => signals!.values[index]!.value),
        gauge(
          Metric.withAttributes(HttpMetrics.signalPressure, { signal: name }),
          () => signals!.values[index]!.pressure
        )
      ]),
      ...connectionStates.map((state) =>
        gauge(Metric.withAttributes(HttpMetrics.connections, { state }), () => counts()[state])
      )
    ]
    return () => {
      for (const registration of registrations) registration.remove()
    }
  }
}
