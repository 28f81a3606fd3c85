/** The side of the watched loop: beats, starts the thread that listens, and measures each silence when it is over. */
import { performance } from "node:perf_hooks"
import { isMainThread, threadId, Worker } from "node:worker_threads"
import { Cell, makeCells } from "./shared.ts"
import type { Boot, Cells, FromWatch, Sight, ToWatch } from "./shared.ts"
import type { Suspect, Witness } from "./witness.ts"

export type HeartOptions = Pick<Boot, "period" | "threshold" | "stuckAfter" | "logInterval" | "stack">

/** A silence that is over. Times are in milliseconds. */
export interface Silence {
  readonly blocked: number
  /** The part of it in which the suspect ran. */
  readonly held: number
  /** Processor time of the thread in it, where node can tell (24). */
  readonly cpu: number | undefined
  readonly suspect: Suspect | undefined
  readonly sight: Sight | undefined
}

export interface HeartEvents {
  readonly ended: (silence: Silence) => void
  /** The thread is there. */
  readonly watching: () => void
  /** The thread could not start, or ended of itself. */
  readonly lost: (error: unknown) => void
}

/** Memory of the watching thread, in MiB: it holds a few labels and one stack. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 }

/** How long the end of the process waits for the inspector to be let go, in milliseconds: a few looks. */
const exitWait = 500

/** The neighbour of this file: both are .ts here and .js in the package. */
const watchFile = new URL(import.meta.url.replace(/heart(?=\.[jt]s$)/, "watch"))

/** Processor time of this thread in milliseconds. Node 22 does not have it. */
const threadCpu = (): number | undefined => {
  if (typeof process.threadCpuUsage !== "function") return undefined
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

export class Heart {
  readonly cells: Cells = makeCells()
  /** Whether the thread watches. */
  watching = false
  readonly #options: HeartOptions
  readonly #events: HeartEvents
  readonly #timer: NodeJS.Timeout
  readonly #thread: Worker
  #witness: Witness | undefined = undefined
  #error: unknown = undefined
  #gone: (() => void) | undefined = undefined
  #beatAt = performance.now()
  #cpu = threadCpu()
  #sight: Sight | undefined = undefined
  /** A silence whose stack may still be under way. */
  #pending: (Silence & { readonly beat: number }) | undefined = undefined

  constructor(options: HeartOptions, events: HeartEvents) {
    this.#options = options
    this.#events = events
    const boot: Boot = { ...options, cells: this.cells, threadId, isMain: isMainThread }
    // Nothing of the process's own flags: a loader or a profiler is not for this thread.
    this.#thread = new Worker(watchFile, { name: "event loop watch", workerData: boot, execArgv: [], resourceLimits })
    this.#thread.on("message", (message: FromWatch) => {
      if (message.type === "sight") this.#sight = message
      else this.#watched()
    })
    this.#thread.on("error", (error) => {
      this.#error = error
    })
    this.#thread.on("exit", (code) => this.#exited(code))
    this.#timer = setInterval(this.#beat, options.period)
    this.#timer.unref()
    if (options.stack) process.on("exit", this.#letGo)
  }

  set witness(witness: Witness) {
    this.#witness = witness
  }

  readonly named = (id: number, label: string): void => this.#tell([id, label])

  /** Tells the thread to end, and calls `gone` when it has. Says `false` if it had before. */
  close(gone: () => void): boolean {
    this.#stopBeating()
    // Other finalizers come after this one, and a process with nothing to do would end before them.
    this.#thread.ref()
    if (this.#thread.threadId === -1) return false
    this.#gone = gone
    this.#tell("stop")
    return true
  }

  /** Does not keep the process alive for it any more. */
  unref(): void {
    this.#thread.unref()
  }

  /** Ends the thread whatever it does. */
  kill(): void {
    void this.#thread.terminate()
  }

  /** What came before is not looked into: to enable the debugger takes longer than a block may. */
  #watched(): void {
    this.#beatAt = performance.now()
    this.#witness?.turned(this.#beatAt)
    this.#cpu = threadCpu()
    this.watching = true
    // Until now it was waited for.
    this.#thread.unref()
    Atomics.store(this.cells, Cell.Armed, 0)
    Atomics.add(this.cells, Cell.Beat, 1)
    this.#events.watching()
  }

  #stopBeating(): void {
    clearInterval(this.#timer)
    process.off("exit", this.#letGo)
  }

  #exited(code: number): void {
    this.#stopBeating()
    this.watching = false
    if (this.#gone !== undefined) this.#gone()
    else this.#events.lost(this.#error ?? new Error(`the thread that watches the event loop exited with ${code}`))
  }

  #tell(message: ToWatch): void {
    this.#thread.postMessage(message)
  }

  /** A process that ends while an inspector session is open would wait for a debugger to disconnect. */
  readonly #letGo = (): void => {
    Atomics.store(this.cells, Cell.Stop, 1)
    Atomics.wait(this.cells, Cell.Stopped, 0, exitWait)
  }

  readonly #beat = (): void => {
    const now = performance.now()
    const beat = Atomics.load(this.cells, Cell.Beat)
    const last = this.#beatAt
    const lastCpu = this.#cpu
    const suspect = this.#witness?.turned(now)
    this.#flush()
    this.#beatAt = now
    this.#cpu = threadCpu()
    const cpu = lastCpu === undefined || this.#cpu === undefined ? undefined : this.#cpu - lastCpu
    const isArmed = Atomics.exchange(this.cells, Cell.Armed, 0) === 1
    if (isArmed || (cpu ?? 0) >= this.#options.threshold) this.#measure(last, cpu, beat, suspect)
    Atomics.add(this.cells, Cell.Beat, 1)
  }

  #measure(last: number, cpu: number | undefined, beat: number, suspect: Suspect | undefined): void {
    // It fell silent at some time between the last beat and the one that did not come: in the middle, to say one.
    const from = last + this.#options.period / 2
    const away = Atomics.exchange(this.cells, Cell.Away, 0)
    // Where all stood still until now, this thread may come to it before the one that watches, which does not know of that yet.
    const seen = Atomics.load(this.cells, Cell.Silent) + 2 * this.#options.period
    // And where only the watch had no time: who computes does not stand still.
    const blocked = Math.min(this.#beatAt - from, Math.max(Math.min(this.#beatAt - from - away, seen), cpu ?? 0))
    if (!this.watching || blocked < this.#options.threshold) return
    const held = suspect === undefined ? blocked : Math.min(blocked, suspect.held)
    this.#pending = { beat, blocked, held, cpu, suspect, sight: undefined }
    if (!this.#options.stack) this.#flush()
  }

  /** Passes a silence on. Where a stack was taken it has come by the next beat: messages are read between two of them. */
  #flush(): void {
    const pending = this.#pending
    if (pending === undefined) return
    this.#pending = undefined
    const sight = this.#sight?.beat === pending.beat ? this.#sight : undefined
    this.#sight = undefined
    this.#events.ended({ ...pending, sight })
  }
}
