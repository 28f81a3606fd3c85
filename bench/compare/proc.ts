/** What the operating system says about a process: nothing here is counted by the process itself. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

export interface Footprint {
  /** Entries of `/proc/<pid>/task`. */
  readonly threads: number
  /** `VmRSS` in bytes: what it has in memory now. */
  readonly rss: number
  /** `VmHWM` in bytes: the most that it ever had. */
  readonly peakRss: number
}

const bytesOf = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024

/** `undefined` once the process has ended. */
export const footprint = (pid: number): Footprint | undefined => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8")
    const [rss, peakRss] = [bytesOf(status, "VmRSS"), bytesOf(status, "VmHWM")]
    // One that has ended and was not waited for yet has no memory.
    if (Number.isNaN(rss)) return undefined
    return { threads: readdirSync(`/proc/${pid}/task`).length, rss, peakRss }
  } catch {
    return undefined
  }
}

/** Open sockets: connections that wait in the kernel to be accepted are not among them, nor what threads have open for themselves. */
export const sockets = (pid: number): number => {
  const isSocket = (id: string): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${id}`).startsWith("socket:")
    } catch {
      // Closed meanwhile.
      return false
    }
  }
  try {
    return readdirSync(`/proc/${pid}/fd`).filter(isSocket).length
  } catch {
    return 0
  }
}

/** CPU seconds so far, user and system, of all its threads, also of those that have ended. `undefined` once it has ended itself. */
export const cpuSeconds = (pid: number): number | undefined => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

/** Bytes that programs of this machine can still have. */
export const availableMemory = (): number => {
  const meminfo = readFileSync("/proc/meminfo", "utf8")
  return bytesOf(meminfo, "MemAvailable")
}

/** CPU seconds of all programs so far: user, nice, system, and interrupts. */
const busySeconds = (): number => {
  const fields = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.trim().split(/\s+/).slice(1).map(Number)
  return [0, 1, 2, 5, 6].reduce((sum, i) => sum + fields[i]!, 0) / 100
}

/** Of this process, and of its children that have ended and been waited for. */
const familySeconds = (): number => {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ")
  return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) / 100
}

/**
 * Starts watching; the result tells how many cores other programs of this machine used since, about: all children that ran meanwhile must
 * have ended.
 */
export const watchOthers = (): (() => number) => {
  const [busy, family, since] = [busySeconds(), familySeconds(), performance.now()]
  return () => {
    const used = busySeconds() - busy - (familySeconds() - family)
    return Math.max(0, Math.round((100 * used) / ((performance.now() - since) / 1000)) / 100)
  }
}
