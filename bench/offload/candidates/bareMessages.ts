import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { promisePool } from "../pool.ts"
import type { Candidate } from "../pool.ts"

const worker = new URL("../workers/bareMessages.worker.ts", import.meta.url)

/** Not a pool: a message there and a message back, to whichever thread is free. Nothing that uses messages can take less. */
export const bareMessages: Candidate = {
  name: "bare messages",
  make: async (workers) => {
    const threads = Array.from({ length: workers }, () => new Worker(worker))
    await Promise.all(threads.map((thread) => once(thread, "online")))
    const free = [...threads]
    const waiting: Array<(thread: Worker) => void> = []
    const acquire = () => {
      const thread = free.pop()
      return thread ?? new Promise<Worker>((resolve) => waiting.push(resolve))
    }
    const answers = new Map<Worker, (answer: unknown) => void>()
    for (const thread of threads) {
      thread.on("message", (answer) => {
        const resolve = answers.get(thread)!
        const next = waiting.shift()
        if (next === undefined) free.push(thread)
        else next(thread)
        resolve(answer)
      })
    }
    return promisePool({
      call: async ({ payload, task }) => {
        const thread = await acquire()
        return new Promise((resolve) => {
          answers.set(thread, resolve)
          thread.postMessage([task, payload])
        })
      },
      close: async () => void (await Promise.all(threads.map((thread) => thread.terminate())))
    })
  }
}
