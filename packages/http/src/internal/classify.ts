import * as AdaptiveLimit from "@spillway/runtime/AdaptiveLimit"
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

/** Refusals a second. The default is about a tenth of a core at 20 us each. */
export const maxRefusalRate = ({ maxRefusalRate: rate = 5000 }: OverloadOptions): number => {
  if (rate > 0) return rate
  throw new RangeError(`Server.layer: maxRefusalRate must be a number > 0, got ${rate}`)
}

/** With so few permits something is done still, whatever fails: what is lost below is more than what is gained. */
const leastLimit = 16

/**
 * What finds the number of permits of one of so many loops, of at most `maxConcurrent` for all of them; `undefined` if it is fixed. Each finds
 * its own: one that has more than its part would never be full, and nothing could be said of its limit.
 */
export const limitOf = (
  { concurrencyLimit = "fixed" }: OverloadOptions,
  maxConcurrent: number,
  loops: number
): AdaptiveLimit.AdaptiveLimit | undefined => {
  if (typeof concurrencyLimit === "function") return concurrencyLimit()
  if (concurrencyLimit === "fixed" || maxConcurrent <= leastLimit * loops || maxConcurrent === Infinity)
    return undefined
  return AdaptiveLimit.make(AdaptiveLimit.knee({ min: leastLimit, max: Math.ceil(maxConcurrent / loops) }))
}
