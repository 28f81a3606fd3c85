/** What the servers wait for: a database, an upstream, a processor. */
import type { Events } from "./events.ts"
import type { Random } from "./random.ts"

/** One call. Its owner may give it up: then it is skipped if it has not begun, and runs to its end for nothing if it has. */
export interface Call {
  readonly service: number
  abandoned: boolean
  readonly done: (ok: boolean) => void
}

export interface Dependency {
  /** How many calls it serves at once. `Infinity` for one that only takes its time. */
  slots: number
  /** What every service time is multiplied with. */
  slowness: number
  /** The share of calls that fail, after their time. */
  failing: number
  readonly call: (call: Call) => void
}

export const makeDependency = (events: Events, random: Random, slots: number): Dependency => {
  const waiting: Array<Call> = []
  let head = 0
  let busy = 0

  const begin = (call: Call) => {
    busy++
    events.after(call.service * dependency.slowness, () => {
      busy--
      if (!call.abandoned) call.done(dependency.failing === 0 || random.next() >= dependency.failing)
      next()
    })
  }

  const next = () => {
    while (busy < dependency.slots && head < waiting.length) {
      const call = waiting[head++]!
      if (!call.abandoned) begin(call)
    }
    if (head > 1024 && head * 2 > waiting.length) {
      waiting.splice(0, head)
      head = 0
    }
  }

  const dependency: Dependency = {
    slots,
    slowness: 1,
    failing: 0,
    call(call) {
      waiting.push(call)
      next()
    }
  }
  return dependency
}
