/** Row 1: tasks per second, and CPU time per task, for an empty task and for bytes that are echoed, copied or transferred. */
import { interleave, withPool } from "../interleave.ts"
import type { Samples } from "../interleave.ts"
import { meetAll } from "../meet.ts"
import type { Caller, Candidate, Pool, Request } from "../pool.ts"
import { measured, rounds, threads, trial, warmUp } from "../settings.ts"
import type { Bytes } from "../tasks.ts"
import { effectRpc } from "../candidates/effectRpc.ts"
import { ours } from "../candidates/ours.ts"
import { piscina, piscinaMessages } from "../candidates/piscina.ts"
import { poolifier } from "../candidates/poolifier.ts"
import { tinypool } from "../candidates/tinypool.ts"
import { workerpoolDefault } from "../candidates/workerpool.ts"

const candidates: ReadonlyArray<Candidate> = [
  ours,
  piscina,
  piscinaMessages,
  tinypool,
  workerpoolDefault,
  poolifier,
  effectRpc
]

const [kib, mib] = [1024, 1024 * 1024]

/** 64 callers keep both threads busy; one of 64 MiB has the memory bus to itself, so that a crossing can be timed. */
export const shapes = [
  { name: "empty", task: "nothing", bytes: 0, callers: 64 },
  { name: "1 KiB, copied", task: "echo", bytes: kib, callers: 64 },
  { name: "1 KiB, transferred", task: "move", bytes: kib, callers: 64 },
  { name: "64 KiB, copied", task: "echo", bytes: 64 * kib, callers: 64 },
  { name: "64 KiB, transferred", task: "move", bytes: 64 * kib, callers: 64 },
  { name: "1 MiB, copied", task: "echo", bytes: mib, callers: 64 },
  { name: "1 MiB, transferred", task: "move", bytes: mib, callers: 64 },
  { name: "64 MiB, copied", task: "echo", bytes: 64 * mib, callers: 1 },
  { name: "64 MiB, transferred", task: "move", bytes: 64 * mib, callers: 1 }
] as const

/** Answers of a measurement, however long they take. */
const least = 4

type Shape = (typeof shapes)[number]

export interface Throughput {
  readonly tasksPerSecond: number
  /** Of all threads of the process. */
  readonly cpuMicrosPerTask: number
}

export interface TasksReport {
  readonly threads: number
  readonly stealPercent: number | undefined
  readonly shapes: ReadonlyArray<
    Pick<Shape, "name" | "bytes" | "callers"> & { results: ReadonlyArray<Samples<Throughput>> }
  >
}

/** Counts the answers from the first after the warm-up to the first after the time is over, and at least a few. */
class Window {
  readonly #from: number
  readonly #until: number
  #start = 0
  #cpu = process.cpuUsage()
  #done = 0
  #result: Throughput | undefined

  constructor(warmUp: number, millis: number) {
    this.#from = performance.now() + warmUp
    this.#until = this.#from + millis
  }

  /** One more answer has come. Says whether the callers go on. */
  count(): boolean {
    if (this.#result !== undefined) return false
    const now = performance.now()
    if (this.#start > 0) {
      this.#done++
      if (now >= this.#until && this.#done >= least) this.#end(now)
    } else if (now >= this.#from) {
      this.#start = now
      this.#cpu = process.cpuUsage()
    }
    return this.#result === undefined
  }

  get result(): Throughput {
    return this.#result!
  }

  #end(now: number): void {
    const { system, user } = process.cpuUsage(this.#cpu)
    this.#result = {
      tasksPerSecond: (1000 * this.#done) / (now - this.#start),
      cpuMicrosPerTask: (user + system) / this.#done
    }
  }
}

const makeCaller = ({ bytes: size, task }: Shape, window: Window): Caller => {
  if (task === "nothing") {
    const request: Request = { task }
    let asked = false
    return {
      next: () => {
        const goesOn = !asked || window.count()
        asked = true
        return goesOn ? request : undefined
      }
    }
  }
  const own: Bytes = new Uint8Array(size).fill(7)
  let asked = false
  return {
    next: (answer) => {
      const bytes = asked ? (answer as Bytes) : own
      if (bytes.byteLength !== size) throw new Error(`${task}: ${bytes.byteLength} bytes instead of ${size}`)
      const goesOn = !asked || window.count()
      asked = true
      // What was transferred belongs to the worker now, so the next task takes what came back.
      return goesOn ? { task, payload: { bytes: task === "move" ? bytes : own } } : undefined
    }
  }
}

/** The second way to set up Piscina was slower in every trial but for 1 MiB copied, where it is a matter of luck. */
const runs = (candidate: Candidate, { name }: Shape) =>
  candidate !== piscinaMessages || name === "empty" || name === "1 MiB, copied"

const measure = async (pool: Pool, shape: Shape, millis: number): Promise<Throughput> => {
  globalThis.gc?.()
  // Large copies are slow until the allocator has had its memory back from a few collections of garbage.
  const large = shape.task === "echo" && shape.bytes >= 64 * kib
  const window = large ? new Window(10 * warmUp, 2 * millis) : new Window(warmUp, millis)
  await pool.run(Array.from({ length: shape.callers }, () => makeCaller(shape, window)))
  return window.result
}

const measureAll = (candidate: Candidate, millis: number): Promise<ReadonlyArray<Throughput | undefined>> =>
  withPool(candidate, threads, async (pool) => {
    await meetAll(pool, threads)
    const measurements: Array<Throughput | undefined> = []
    for (const shape of shapes)
      measurements.push(runs(candidate, shape) ? await measure(pool, shape, millis) : undefined)
    return measurements
  })

export const tasksRow = async (): Promise<TasksReport> => {
  // The first to use large buffers pays for the process's first pages, so there is a short round that does not count.
  if (!trial) await interleave(candidates, 1, (candidate) => measureAll(candidate, 50))
  const { results, stealPercent } = await interleave(candidates, rounds, (candidate) => measureAll(candidate, measured))
  return {
    threads,
    stealPercent,
    shapes: shapes.map(({ bytes, callers, name }, i) => ({
      name,
      bytes,
      callers,
      results: results.flatMap(({ name, rounds }) => {
        const found = rounds.flatMap((round) => round[i] ?? [])
        return found.length === 0 ? [] : [{ name, rounds: found }]
      })
    }))
  }
}
