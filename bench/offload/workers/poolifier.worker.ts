import { ThreadWorker } from "poolifier"
import type { TaskFunction } from "poolifier"
import { plain } from "../tasks.ts"

// Its workers post answers without a list of what to transfer: what was moved in is copied back.
const worker = new ThreadWorker({ ...plain, move: plain.echo } as unknown as Record<string, TaskFunction>)

export { worker }
