/** CPU work of a given size. */

/** Burns so many milliseconds of CPU time of the calling thread, however often the system takes it off its core meanwhile. */
export const burn = (millis: number): void => {
  const start = process.threadCpuUsage()
  let state = 0x9e3779b9
  for (;;) {
    const { system, user } = process.threadCpuUsage(start)
    if ((user + system) / 1000 >= millis) return
    // Asking costs a microsecond, so that this is most of what is burned.
    for (let i = 0; i < 10_000; i++) state = xorshift(state)
    if (state === 0) return
  }
}

/** Marsaglia's generator: never 0 after a number that is not. */
const xorshift = (state: number): number => {
  state ^= state << 13
  state ^= state >>> 17
  return state ^ (state << 5)
}
