/** `node --expose-gc memoryProcess.ts <candidate> <workers>`: starts one pool and prints its first result's time and the memory that it took. */
import { meetAll } from "./meet.ts"
import type { Candidate } from "./pool.ts"

export interface ProcessReport {
  readonly title: string
  readonly startMillis: number
  readonly grownBytes: number
}

const load: Readonly<Record<string, () => Promise<Candidate>>> = {
  bare: async () => (await import("./candidates/bare.ts")).bare,
  ours: async () => (await import("./candidates/ours.ts")).ours,
  piscina: async () => (await import("./candidates/piscina.ts")).piscina,
  tinypool: async () => (await import("./candidates/tinypool.ts")).tinypool,
  workerpool: async () => (await import("./candidates/workerpool.ts")).workerpoolDefault,
  poolifier: async () => (await import("./candidates/poolifier.ts")).poolifier,
  effectRpc: async () => (await import("./candidates/effectRpc.ts")).effectRpc
}

const settledRss = async (): Promise<number> => {
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 70))
  }
  return process.memoryUsage.rss()
}

const [name = "", count = "1"] = process.argv.slice(2)
const candidate = await load[name]!()
const workers = Number(count)

const before = await settledRss()
const start = performance.now()
const pool = await candidate.make(workers)
await pool.call({ task: "nothing" })
const startMillis = performance.now() - start
if (candidate.name !== "bare Worker" && !(await meetAll(pool, workers))) throw new Error(`${name}: workers are missing`)
const grownBytes = (await settledRss()) - before

const report: ProcessReport = { title: candidate.name, startMillis, grownBytes }
console.log(JSON.stringify(report))
process.exit()
