/** A thread that runs what a message says, and answers with a message. */
import { parentPort } from "node:worker_threads"
import { plain } from "../tasks.ts"

parentPort!.on("message", ([task, payload]: readonly [keyof typeof plain, never]) => {
  parentPort!.postMessage(plain[task](payload))
})
