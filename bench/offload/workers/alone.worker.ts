/** Sleeps in a loop without any pool, and says how long one sleep takes on average: the measure of a task's overhead. */
import { parentPort } from "node:worker_threads"
import { sleep } from "../tasks.ts"

parentPort!.on("message", ({ forMillis, millis }: { readonly forMillis: number; readonly millis: number }) => {
  const start = performance.now()
  let done = 0
  for (; performance.now() < start + forMillis; done++) sleep({ millis })
  parentPort!.postMessage((performance.now() - start) / done)
})
