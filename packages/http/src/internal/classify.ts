import * as AdaptiveLimit from "@spillway/runtime/AdaptiveLimit"
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

/** With so few permits something is done still, whatever fails: what is lost below is more than what is gained. */
const leastLimit = 16

/** What finds the number of permits, of at most `maxConcurrent`; `undefined` if it is fixed. */
export const limitOf = (
  { concurrencyLimit = "adaptive" }: OverloadOptions,
  maxConcurrent: number
): AdaptiveLimit.AdaptiveLimit | undefined => {
  if (typeof concurrencyLimit === "function") return concurrencyLimit()
  if (concurrencyLimit === "fixed" || maxConcurrent <= leastLimit || maxConcurrent === Infinity) return undefined
  return AdaptiveLimit.make(AdaptiveLimit.knee({ min: leastLimit, max: maxConcurrent }))
}

/** How often the signals are sampled, in milliseconds. */
export const samplingMillis = 100

export const signalsOf = ({ signals = [] }: OverloadOptions): LoadSignals.LoadSignals | undefined =>
  signals.length === 0 ? undefined : LoadSignals.make(signals)
