/** Whether all threads of a pool are there: each runs a task at the same time as all others. */
import { settlesWithin } from "./pool.ts"
import type { Pool } from "./pool.ts"
import { makeFlags, patienceMillis } from "./tasks.ts"

/** Never waits for longer than `patienceMillis`. A pool that has just started needs this before it is measured. */
export const meetAll = async (pool: Pool, threads: number): Promise<boolean> => {
  const flags = makeFlags()
  const payload = { count: threads, flags }
  const meetings = Array.from({ length: threads }, () => pool.call({ task: "meet", payload }))
  let met = false
  const all = Promise.all(meetings).then((answers) => {
    met = answers.every((answer) => answer === true)
  })
  await settlesWithin(all, patienceMillis)
  return met
}
