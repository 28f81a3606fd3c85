import type { Algorithm } from "../../AdaptiveLimit.ts"
import type { AimdOptions } from "../../AdaptiveLimitOptions.ts"
import { checkFactor, isIdle, range } from "./bounds.ts"

export interface State {
  readonly limit: number
}

export const make = (options: AimdOptions): Algorithm<State> => {
  const { backoff = 0.9 } = options
  const { clamp, initial } = range("aimd", options)
  checkFactor("aimd: backoff", backoff)
  return {
    initial: { limit: initial },
    step: ({ limit }, { dropped, maxInFlight }) => {
      if (dropped > 0) return { limit: clamp(Math.floor(limit * backoff)) }
      return isIdle(limit, maxInFlight) ? { limit } : { limit: clamp(limit + 1) }
    },
    limit: (state) => state.limit
  }
}
