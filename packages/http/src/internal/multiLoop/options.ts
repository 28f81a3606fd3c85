import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { availableParallelism } from "node:os"
import type { Options } from "../../MultiLoop.ts"
import { bestSharing } from "./masters.ts"
import type { SupervisorOptions } from "./supervisor.ts"

export interface Resolved extends SupervisorOptions {
  readonly restartOnHangup: boolean
}

const refuse = (field: string, range: string, value: unknown): never => {
  throw new RangeError(`MultiLoop.layer: ${field} must be ${range}, got ${String(value)}`)
}

const count = (field: string, value: number): number =>
  Number.isInteger(value) && value >= 1 ? value : refuse(field, "an integer >= 1", value)

const millis = (field: string, input: Duration.Input, min: number): number => {
  const value = Option.getOrUndefined(Duration.fromInput(input))
  // Effect takes NaN for zero.
  if (value === undefined || Object.is(input, Number.NaN) || !(Duration.toMillis(value) >= min)) {
    return refuse(field, `a duration of at least ${min} ms`, input)
  }
  return Duration.toMillis(value)
}

type Defaults = { readonly [K in "maxBlocked" | "startTimeout" | "closeTimeout"]: Duration.Input } & {
  readonly maxStartAttempts: number
  readonly restartOnHangup: boolean
}

/** Options with their defaults. Throws a `RangeError` for one outside its range. */
export const resolve = (options: Options, defaults: Defaults): Resolved => {
  const sharing = options.sharing ?? bestSharing()
  const loops = count("loops", options.loops ?? availableParallelism())
  return {
    entry: options.entry,
    loops: sharing === "alone" ? 1 : loops,
    sharing,
    maxBlocked: millis("maxBlocked", options.maxBlocked ?? defaults.maxBlocked, 1000),
    startTimeout: millis("startTimeout", options.startTimeout ?? defaults.startTimeout, 1000),
    maxStartAttempts: count("maxStartAttempts", options.maxStartAttempts ?? defaults.maxStartAttempts),
    closeTimeout: millis("closeTimeout", options.closeTimeout ?? defaults.closeTimeout, 0),
    restartOnHangup: process.platform !== "win32" && (options.restartOnHangup ?? defaults.restartOnHangup),
    resourceLimits: options.resourceLimits
  }
}
