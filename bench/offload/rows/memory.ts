/** Row 4: memory of an idle worker, and the time from creating a pool to its first result; each in a process of its own. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { interleave } from "../interleave.ts"
import type { Interleaved } from "../interleave.ts"
import type { ProcessReport } from "../memoryProcess.ts"
import { threads, trial } from "../settings.ts"

export const workers = 8

export interface Footprint {
  /** Growth of the resident set for each of the workers. */
  readonly mibPerWorker: number
  /** With a pool of `threads`. */
  readonly startMillis: number
}

export interface MemoryReport extends Interleaved<Footprint> {
  readonly workers: number
  readonly threads: number
}

const file = fileURLToPath(new URL("../memoryProcess.ts", import.meta.url))

const run = async (candidate: string, count: number): Promise<ProcessReport> => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", file, candidate, String(count)])
  return JSON.parse(stdout) as ProcessReport
}

const candidates = ["bare", "ours", "piscina", "tinypool", "workerpool", "poolifier", "effectRpc"]

export const memoryRow = async (): Promise<MemoryReport> => {
  const { results, stealPercent } = await interleave(
    candidates.map((name) => ({ name })),
    trial ? 1 : 3,
    async ({ name }) => {
      const { startMillis, title } = await run(name, threads)
      const { grownBytes } = await run(name, workers)
      return { title, startMillis, mibPerWorker: grownBytes / workers / 2 ** 20 }
    }
  )
  return {
    workers,
    threads,
    stealPercent,
    results: results.map(({ rounds }) => ({
      name: rounds[0]!.title,
      rounds: rounds.map(({ mibPerWorker, startMillis }) => ({ mibPerWorker, startMillis }))
    }))
  }
}
