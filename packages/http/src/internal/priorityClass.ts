import type { Priority } from "@spillway/runtime/LoadSignals"

const normal = 1

/** Not an object: what the function of a program says may be any text that a client sent. */
const classes: ReadonlyMap<unknown, number> = new Map<Priority, number>([
  ["critical", 0],
  ["normal", normal],
  ["sheddable", 2]
])

/** The class of a priority in the queue, from 0, the most urgent, to 2. What is none counts as `normal`. */
export const classOf = (priority: Priority): number => classes.get(priority) ?? normal
