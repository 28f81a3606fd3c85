/** Above this share of stolen CPU time, in per cent, a measurement says nothing, and is not written. */
export const maxStealPercent = 10
