/** What has to be said beside every figure: the machine, and how much of its CPU time the host took away meanwhile. */
import { readFileSync } from "node:fs"
import { availableParallelism, cpus } from "node:os"

export interface Machine {
  readonly node: string
  readonly cpu: string
  readonly cores: number
}

export const machine = (): Machine => ({
  node: process.version,
  cpu: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism()
})

const readCpu = (): { readonly total: number; readonly steal: number } | undefined => {
  try {
    const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1)
    const fields = line.trim().split(/\s+/).slice(1, 9).map(Number)
    return { total: fields.reduce((sum, field) => sum + field, 0), steal: fields[7] ?? 0 }
  } catch {
    return undefined
  }
}

/** Starts watching; the result tells the percentage of CPU time that was stolen since, or `undefined` where Linux does not say. */
export const watchSteal = (): (() => number | undefined) => {
  const before = readCpu()
  return () => {
    const after = readCpu()
    if (before === undefined || after === undefined || after.total === before.total) return undefined
    return Math.round((1000 * (after.steal - before.steal)) / (after.total - before.total)) / 10
  }
}
