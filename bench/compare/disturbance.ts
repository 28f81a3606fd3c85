/** What else went on at the machine while something was measured, and when it was too much. */
import { number, rounded } from "../support/markdown.ts"
import type { Measurement } from "./contract.ts"
import { maxOtherCores, maxStealPercent } from "./settings.ts"

export type Disturbance = Pick<Measurement<unknown>, "stealPercent" | "otherCores">

/** Above 1 a measurement is disturbed: by the host or by other programs, whichever is worse. */
export const disturbanceOf = ({ otherCores, stealPercent }: Disturbance): number =>
  Math.max((stealPercent ?? 0) / maxStealPercent, otherCores / maxOtherCores)

/** What was too much of it. */
export const disturbanceText = ({ otherCores, stealPercent }: Disturbance): string =>
  [
    ...((stealPercent ?? 0) > maxStealPercent ? [`${number(stealPercent!)} % of the CPU time stolen`] : []),
    ...(otherCores > maxOtherCores ? [`other programs used ${rounded(otherCores)} cores`] : [])
  ].join(", ")
