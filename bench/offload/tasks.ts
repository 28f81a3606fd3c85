/** What the worker threads of every candidate do: plain functions, so that the pools differ and the work does not. */
import { threadId } from "node:worker_threads"

export type Bytes = Uint8Array<ArrayBuffer>
/** Cells of shared memory, by which tasks and the caller tell each other how far they are. */
export type Flags = Int32Array<SharedArrayBuffer>

export const makeFlags = (): Flags => new Int32Array(new SharedArrayBuffer(8))

/** How long a task waits for another one at most; a pool that needs longer counts as never recovered. */
export const patienceMillis = 10_000

export const nothing = (): void => {}

export const echo = ({ bytes }: { readonly bytes: Bytes }): Bytes => bytes

/** Raises its flag and never ends. */
export const spin = ({ flags }: { readonly flags: Flags }): void => {
  Atomics.store(flags, 0, 1)
  Atomics.notify(flags, 0)
  for (;;);
}

/** Waits until `count` of these run at the same time, each on a thread of its own; says whether they did. */
export const meet = ({ count, flags }: { readonly count: number; readonly flags: Flags }): boolean => {
  const deadline = performance.now() + patienceMillis
  Atomics.add(flags, 0, 1)
  Atomics.notify(flags, 0)
  for (;;) {
    const present = Atomics.load(flags, 0)
    if (present >= count) return true
    if (Atomics.wait(flags, 0, present, Math.max(0, deadline - performance.now())) === "timed-out") return false
  }
}

const nobody = new Int32Array(new SharedArrayBuffer(4))

/** Holds the thread and leaves the core free. Returns how long it took, in milliseconds, by the clock of its thread. */
export const sleep = ({ millis }: { readonly millis: number }): number => {
  const start = performance.now()
  Atomics.wait(nobody, 0, 0, millis)
  return performance.now() - start
}

/** Holds the thread and a core, by the monotonic clock. */
export const burn = ({ millis }: { readonly millis: number }): number => {
  const end = performance.now() + millis
  while (performance.now() < end);
  return threadId
}

/** The tasks by name. `move` is `echo` with the bytes transferred both ways; how is each worker file's own. */
export const plain = { nothing, echo, spin, meet, sleep, burn }
export type Task = keyof typeof plain | "move"
