/** A thread that only listens: what `node:worker_threads` itself costs. */
import { parentPort } from "node:worker_threads"

parentPort!.on("message", (message) => parentPort!.postMessage(message))
