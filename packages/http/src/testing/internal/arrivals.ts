/** Numbers from 0 to 1 that look random and are the same for the same seed: mulberry32 of Tommy Ettinger. */
export const makeRandom = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** When the n-th request is due, in milliseconds from the start; it must be asked for 0, 1, 2 and so on. */
export type Arrivals = (n: number) => number

/** At equal distances, the first at once. */
export const constant =
  (rate: number): Arrivals =>
  (n) =>
    (n * 1000) / rate

/** Independently of each other: exponential distances. */
export const poisson = (rate: number, seed: number): Arrivals => {
  const random = makeRandom(seed)
  let at = 0
  return () => {
    at -= (Math.log(1 - random()) * 1000) / rate
    return at
  }
}
