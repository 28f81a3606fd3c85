import * as LoadSignals from "@spillway/runtime/LoadSignals"
import type { IncomingMessage } from "node:http"
import type { OverloadOptions } from "../OverloadOptions.ts"
import type { Priority } from "../Priority.ts"

/** Which requests come before which. */
export interface Classes {
  readonly priority: (request: IncomingMessage) => Priority
  /** The partition of a request, by its index in `shares`. */
  readonly partition: (request: IncomingMessage) => number
  readonly shares: ReadonlyArray<number>
}

const normal = (): Priority => "normal"
const whole = (): number => 0

/** Throws a `RangeError` for a share outside its range. */
export const classes = (options: OverloadOptions): Classes => {
  const shares = new Map(Object.entries({ default: 1, ...options.partitions }))
  for (const [name, share] of shares) {
    if (share > 0 && share < Infinity) continue
    throw new RangeError(`Server.layer: partitions must be finite numbers > 0, got ${share} for ${name}`)
  }
  const indices = new Map([...shares.keys()].map((name, index) => [name, index]))
  const { partition, priority = normal } = options
  return {
    priority,
    partition: partition === undefined ? whole : (request) => indices.get(partition(request) ?? "default") ?? 0,
    shares: [...shares.values()]
  }
}

/** How often the signals are sampled, in milliseconds. */
export const samplingMillis = 100

export const signalsOf = ({ signals = [] }: OverloadOptions): LoadSignals.LoadSignals | undefined =>
  signals.length === 0 ? undefined : LoadSignals.make(signals)
