/** The algorithms that are compared, each with the windows that its source has. */
import * as AdaptiveLimit from "@spillway/runtime/AdaptiveLimit"

export interface Candidate {
  readonly name: string
  /** A limit for one server. `known` is the limit that somebody who knows the dependency would set. */
  readonly make: (known: number, seed: number, initial?: number) => AdaptiveLimit.AdaptiveLimit
}

/** Netflix's: a second, at least ten requests. */
const windowed = { duration: 1000, samples: 10 }

export const candidates: ReadonlyArray<Candidate> = [
  { name: "fixed, 1024", make: () => AdaptiveLimit.make(AdaptiveLimit.fixed({ limit: 1024 })) },
  { name: "fixed, known", make: (limit) => AdaptiveLimit.make(AdaptiveLimit.fixed({ limit })) },
  { name: "aimd", make: (_, __, initial) => AdaptiveLimit.make(AdaptiveLimit.aimd({ initial }), windowed) },
  { name: "vegas", make: (_, seed, initial) => AdaptiveLimit.make(AdaptiveLimit.vegas({ seed, initial }), windowed) },
  { name: "gradient2", make: (_, __, initial) => AdaptiveLimit.make(AdaptiveLimit.gradient2({ initial }), windowed) },
  { name: "gradient", make: (_, seed, initial) => AdaptiveLimit.make(AdaptiveLimit.gradient({ seed, initial })) },
  { name: "knee", make: (_, __, initial) => AdaptiveLimit.make(AdaptiveLimit.knee({ initial })) },
  // What `concurrencyLimit: "adaptive"` of `Server` is.
  { name: "knee, 16 up", make: (_, __, initial) => AdaptiveLimit.make(AdaptiveLimit.knee({ initial, min: 16 })) },
  { name: "knee, from 20", make: (_, __, initial = 20) => AdaptiveLimit.make(AdaptiveLimit.knee({ initial })) }
]
