/** What a machine can tell about itself: plain readings, and the events that two of them make. */
import { readFileSync, statfsSync } from "node:fs"
import { cpus, freemem, hostname, loadavg, totalmem } from "node:os"
import type { Event } from "../events.ts"

/** Counters that only ever grow, by series name. The rate of their growth is what is of interest. */
type Counters = ReadonlyMap<string, number>

/** What a machine says at one moment. */
export interface Reading {
  /** Milliseconds since 1970. */
  readonly time: number
  /** Milliseconds that each core was busy, and that have passed for it. */
  readonly cores: ReadonlyArray<{ readonly busy: number; readonly total: number }>
  /** Bytes that disks and networks have moved. */
  readonly bytes: Counters
  /** Values as they are, by series name. */
  readonly gauges: ReadonlyMap<string, number>
}

/** The text of a file of /proc, and nothing where there is none. */
const readProc = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

const fieldsOf = (text: string) => text.split("\n").map((line) => line.trim().split(/[\s:]+/))

/** Devices are named by the machine; a series is named by letters, digits and `_ . - / :`. */
const clean = (device: string) => device.replaceAll(/[^A-Za-z0-9_.-]/g, "_")

/** Linux counts in sectors of this many bytes, whatever those of the disk. */
const sectorBytes = 512

/**
 * The bytes that whole disks have read and written, from /proc/diskstats. Partitions, which would count everything twice, and loop and
 * memory devices are left out.
 */
export const parseDiskBytes = (diskstats: string): Counters => {
  const counters = new Map<string, number>()
  for (const fields of fieldsOf(diskstats)) {
    const device = fields[2]
    if (device === undefined || !/^(?:[shv]d[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/.test(device)) continue
    counters.set(`machine.disk.${clean(device)}.read_bytes_per_second`, Number(fields[5]) * sectorBytes)
    counters.set(`machine.disk.${clean(device)}.written_bytes_per_second`, Number(fields[9]) * sectorBytes)
  }
  return counters
}

/** The bytes that network interfaces in use, other than loopback, have received and sent, from /proc/net/dev. */
export const parseNetworkBytes = (netDev: string): Counters => {
  const counters = new Map<string, number>()
  for (const fields of fieldsOf(netDev)) {
    const [device, received] = fields
    if (device === undefined || device === "lo" || !(Number(received) > 0)) continue
    counters.set(`machine.network.${clean(device)}.received_bytes_per_second`, Number(received))
    counters.set(`machine.network.${clean(device)}.sent_bytes_per_second`, Number(fields[9]))
  }
  return counters
}

const diskSpace = (): ReadonlyArray<readonly [string, number]> => {
  try {
    const { bavail, blocks, bsize } = statfsSync(".")
    return [
      ["machine.disk.free_bytes", bavail * bsize],
      ["machine.disk.size_bytes", blocks * bsize]
    ]
  } catch {
    return []
  }
}

/** Reads this machine. */
export const readMachine = (time: number): Reading => {
  const [load1, load5, load15] = loadavg() as [number, number, number]
  return {
    time,
    cores: cpus().map(({ times }) => {
      const total = times.user + times.nice + times.sys + times.idle + times.irq
      return { busy: total - times.idle, total }
    }),
    bytes: new Map([...parseDiskBytes(readProc("/proc/diskstats")), ...parseNetworkBytes(readProc("/proc/net/dev"))]),
    gauges: new Map([
      ["machine.load.1m", load1],
      ["machine.load.5m", load5],
      ["machine.load.15m", load15],
      ["machine.memory.used_bytes", totalmem() - freemem()],
      ["machine.memory.available_bytes", freemem()],
      ...diskSpace()
    ])
  }
}

/** The events that a reading makes, given the one before it. A counter that went back, as after a reset, makes none. */
export const toEvents = (before: Reading, now: Reading): ReadonlyArray<Event> => {
  const events: Array<Event> = []
  const tags = { host: hostname() }
  const add = (name: string, value: number) => events.push({ name, value, timestamp: now.time, tags })
  now.cores.forEach(({ busy, total }, index) => {
    const earlier = before.cores[index]
    if (earlier === undefined || total <= earlier.total) return
    add(`machine.cpu.${index}.busy_percent`, (100 * Math.max(0, busy - earlier.busy)) / (total - earlier.total))
  })
  const seconds = (now.time - before.time) / 1000
  for (const [name, value] of now.bytes) {
    const earlier = before.bytes.get(name)
    if (earlier !== undefined && value >= earlier && seconds > 0) add(name, (value - earlier) / seconds)
  }
  for (const [name, value] of now.gauges) add(name, value)
  return events
}
