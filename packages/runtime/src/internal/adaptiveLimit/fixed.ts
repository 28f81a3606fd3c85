import type { Algorithm } from "../../AdaptiveLimit.ts"
import type { FixedOptions } from "../../AdaptiveLimitOptions.ts"
import { checkCount } from "./bounds.ts"

export interface State {
  readonly limit: number
}

export const make = ({ limit }: FixedOptions): Algorithm<State> => {
  checkCount("fixed: limit", limit)
  return { initial: { limit }, step: (state) => state, limit: (state) => state.limit }
}
