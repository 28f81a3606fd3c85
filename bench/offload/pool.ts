/** What the rows need of a pool, and how callers use it: promises in loops of `await`, effects in fibers. */
import { Effect } from "effect"
import type { ManagedRuntime } from "effect"
import type { Task } from "./tasks.ts"

export interface Request {
  readonly task: Task
  readonly payload?: unknown
  /** Only ours heeds it, and only where a row says so. */
  readonly priority?: "high"
}

/** A caller asks for its next task when it has the answer of the one before, and ends when there is none. */
export interface Caller {
  readonly next: (answer: unknown) => Request | undefined
}

export interface Pool {
  /** One task. The signal cancels it in the way of this pool. */
  readonly call: (request: Request, signal?: AbortSignal) => Promise<unknown>
  /** Runs the callers at the same time, until all have ended. */
  readonly run: (callers: ReadonlyArray<Caller>) => Promise<void>
  readonly close: () => Promise<void>
}

export interface Candidate {
  readonly name: string
  readonly make: (workers: number) => Promise<Pool>
}

export const promisePool = (pool: Omit<Pool, "run">): Pool => {
  const loop = async ({ next }: Caller) => {
    let request = next(undefined)
    while (request !== undefined) request = next(await pool.call(request))
  }
  return { ...pool, run: async (callers) => void (await Promise.all(callers.map(loop))) }
}

/** A pool whose calls are effects. All callers are fibers of one run. */
export const effectPool = <R>(
  runtime: ManagedRuntime.ManagedRuntime<R, unknown>,
  call: (request: Request) => Effect.Effect<unknown, unknown, R>,
  close: () => Promise<void>
): Pool => {
  const loop = ({ next }: Caller) =>
    Effect.suspend(() => {
      let request = next(undefined)
      return Effect.whileLoop({
        while: () => request !== undefined,
        body: () => call(request!),
        step: (answer) => {
          request = next(answer)
        }
      })
    })
  return {
    call: (request, signal) => runtime.runPromise(call(request), signal === undefined ? undefined : { signal }),
    run: (callers) => runtime.runPromise(Effect.forEach(callers, loop, { concurrency: "unbounded", discard: true })),
    close
  }
}

/** Whether it settled in time, one way or the other. What a pool promises may never come. */
export const settlesWithin = async (promise: Promise<unknown>, millis: number): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined
  const bound = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), millis)
  })
  const settled = promise.then(
    () => true,
    () => true
  )
  const inTime = await Promise.race([settled, bound])
  clearTimeout(timer)
  return inTime
}
