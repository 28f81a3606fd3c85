/**
 * Work of a given size: a fixed number of steps, so that a request costs the same CPU time in every server, whatever else runs on the machine,
 * and a server that is preempted does not get its work for nothing. `OVERLOAD_STEPS` says how many steps a millisecond of this machine has.
 */
const perMilli = Number(process.env["OVERLOAD_STEPS"] ?? 0)

const run = (steps: number): number => {
  let state = 0x9e3779b9
  for (let i = 0; i < steps; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
  }
  return state
}

/** Burns so many milliseconds of CPU time. What it returns depends on all steps, so that none of them can be left out. */
export const burn = (millis: number): number => run(Math.round(millis * perMilli))

/** How many steps a millisecond has on this core: the best of several tries, since the others were disturbed. */
export const calibrate = (): number => {
  const steps = 1_000_000
  let best = Infinity
  for (let i = 0; i < 60; i++) {
    const start = performance.now()
    run(steps)
    best = Math.min(best, performance.now() - start)
  }
  return Math.round(steps / best)
}

// `node work.ts` prints it.
if (import.meta.main) process.stdout.write(`${calibrate()}\n`)
