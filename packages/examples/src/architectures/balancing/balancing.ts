/**
 * Which worker a task waits for, as values of one interface.
 *
 * What matters is what a short task waits for while a long one runs. With queues of their own, workers can be idle while tasks wait behind a
 * long one elsewhere, and how long a queue is says nothing of how long its tasks are. One queue for all has neither fault: a task waits only
 * while every worker is busy, and starts in the order of arrival. Work stealing comes to the same by a detour, and pays where a shared
 * queue is contended by many threads; here one thread hands out all tasks, and the queue is never contended. So the shared queue is the
 * default. `npm run bench -- balancing` measures it.
 */

/** What a choice may be made by: how many tasks each worker has, the one that it runs included. */
export interface Loads {
  readonly workers: number
  readonly of: (worker: number) => number
}

/** A way to balance. */
export interface Balancing {
  /** Whether all workers take from one queue. Then there is nothing to choose. */
  readonly shared: boolean
  /** Whether a worker that has nothing to do takes the oldest task of the longest queue. */
  readonly steals: boolean
  /** Makes a function that tells for each task which worker it waits for. */
  readonly chooser: () => (loads: Loads) => number
}

/** Each in turn, whatever it is doing. */
const inTurn = () => {
  let next = 0
  return ({ workers }: Loads) => {
    const worker = next
    next = (next + 1) % workers
    return worker
  }
}

/** The one with the fewest tasks, of equals the first. */
const fewest = () => (loads: Loads) => {
  let best = 0
  for (let worker = 1; worker < loads.workers; worker++) if (loads.of(worker) < loads.of(best)) best = worker
  return best
}

/**
 * The one with fewer tasks, of two that are drawn: nearly as good as looking at all, with far less to look at. Mitzenmacher, "The Power of
 * Two Choices in Randomized Load Balancing", IEEE Transactions on Parallel and Distributed Systems 12 (2001).
 */
const fewerOfTwo = () => (loads: Loads) => {
  const [one, other] = [draw(loads.workers), draw(loads.workers)]
  return loads.of(other) < loads.of(one) ? other : one
}

const draw = (count: number): number => Math.floor(Math.random() * count)

/** The ways to balance, by name. */
export const all = {
  "shared-queue": { shared: true, steals: false, chooser: () => () => 0 },
  "round-robin": { shared: false, steals: false, chooser: inTurn },
  "least-busy": { shared: false, steals: false, chooser: fewest },
  "two-choices": { shared: false, steals: false, chooser: fewerOfTwo },
  "work-stealing": { shared: false, steals: true, chooser: inTurn }
} as const satisfies Record<string, Balancing>

export type Name = keyof typeof all

export const balancings = Object.keys(all) as Array<Name>
