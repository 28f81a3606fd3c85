import type { Ending, Outcome, Report, Spread } from "../Attack.ts"

/** What became of one connection. */
export interface One {
  readonly ending: Ending
  readonly statuses: ReadonlyArray<number>
  readonly afterMillis: number
  readonly connectMillis: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly received: string
  /** The code of the system if it was refused. */
  readonly code: string | undefined
}

/** Microseconds are enough, and easier to read. */
export const round = (millis: number): number => Math.round(millis * 1000) / 1000

export const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = values.map(round).toSorted((a, b) => a - b)
  return { min: sorted[0]!, median: sorted[(sorted.length - 1) >> 1]!, max: sorted.at(-1)! }
}

const spreadOfSome = (values: ReadonlyArray<number>): Spread | undefined =>
  values.length === 0 ? undefined : spread(values)

export const countBy = (keys: ReadonlyArray<string | number>): Readonly<Record<string, number>> => {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(String(key), (counts.get(String(key)) ?? 0) + 1)
  return Object.fromEntries(counts)
}

/** `3 closed, 2 open`, without those that are 0. */
export const formatCounts = (counts: Readonly<Record<string, number>>): string => {
  const some = Object.entries(counts).filter(([, count]) => count > 0)
  return some.length === 0 ? "none" : some.map(([key, count]) => `${count} ${key}`).join(", ")
}

const outcomeOf = (group: ReadonlyArray<One>): Outcome => ({
  ending: group[0]!.ending,
  statuses: group[0]!.statuses,
  count: group.length,
  afterMillis: spread(group.map((one) => one.afterMillis)),
  sentBytes: spread(group.map((one) => one.sentBytes)),
  receivedBytes: spread(group.map((one) => one.receivedBytes)),
  received: group[0]!.received
})

export const reportOf = (all: ReadonlyArray<One>): Report => {
  const groups = Map.groupBy(all, ({ ending, statuses }) => `${ending} ${statuses.join(" ")}`)
  const opened = all.filter(({ ending }) => ending !== "refused")
  const ended = opened.filter(({ ending }) => ending !== "open")
  return {
    connections: all.length,
    endings: { refused: 0, closed: 0, reset: 0, open: 0, ...countBy(all.map(({ ending }) => ending)) },
    statuses: countBy(all.flatMap(({ statuses }) => statuses)),
    errors: countBy(all.flatMap(({ code }) => code ?? [])),
    connectMillis: spreadOfSome(opened.map((one) => one.connectMillis)),
    endedAfterMillis: spreadOfSome(ended.map((one) => one.afterMillis)),
    outcomes: [...groups.values()].map(outcomeOf).toSorted((a, b) => b.count - a.count)
  }
}
