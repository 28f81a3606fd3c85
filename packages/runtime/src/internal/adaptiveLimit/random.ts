/** One step of mulberry32: the next state, and a number in `[0, 1)` that belongs to it. Pure, so that algorithms can keep it. */
export const nextSeed = (seed: number): number => (seed + 0x6d2b79f5) | 0

export const randomOf = (seed: number): number => {
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
