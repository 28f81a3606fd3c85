/** What is simulated. */
import { defaults } from "@spillway/http/ServerOptions"
import * as Duration from "effect/Duration"
import type { Dependency } from "./dependency.ts"
import type { Random } from "./random.ts"
import type { DoorOptions } from "./server.ts"
import type { Phase, Scenario } from "./world.ts"

/** 20 at once for 100 ms each: 200 a second, and a knee of 20. */
const slots = 20
const serviceMillis = 100
const capacity = (slots * 1000) / serviceMillis
const exponential = (mean: number) => (random: Random) => random.exponential(mean)
const work = exponential(serviceMillis)

const millis = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))
const maxWait = millis(defaults.maxQueueWait)

/** That of `Server`, if nothing else is said. */
const door: DoorOptions = {
  maxQueued: defaults.maxQueued,
  maxWait,
  codel: { target: millis(defaults.queueTarget), interval: millis(defaults.queueInterval), maxTarget: maxWait / 10 }
}

const single = {
  servers: 1,
  balance: "random",
  slots,
  service: work,
  patience: 1000,
  door,
  known: 24
} as const

/** `1`, `0.5` … times the capacity. */
const load = (times: number, seconds: number, of: number = capacity, more: Partial<Phase> = {}): Phase => ({
  name: `${times} x`,
  seconds,
  offered: times * of,
  capacity: of,
  ...more
})

const steps = (of: number, seconds: number) => [0.5, 1, 2, 5, 10, 0.5].map((times) => load(times, seconds, of))

const set = (values: Partial<Pick<Dependency, "slots" | "slowness" | "failing">>) => (dependency: Dependency) => {
  Object.assign(dependency, values)
}

const stepScenario: Scenario = { ...single, name: "steps of load", phases: steps(capacity, 20) }

const slowDependency: Scenario = {
  ...single,
  name: "slow dependency",
  phases: [
    load(0.8, 20, capacity, { name: "normal" }),
    load(0.8, 40, capacity, { name: "5 times slower", capacity: capacity / 5, change: set({ slowness: 5 }) }),
    load(0.8, 30, capacity, { name: "fast again", change: set({ slowness: 1 }) })
  ]
}

const halved: Scenario = {
  ...single,
  name: "capacity halves",
  phases: [
    load(0.9, 20, capacity, { name: "normal" }),
    load(0.9, 40, capacity, { name: "half", capacity: capacity / 2, change: set({ slots: slots / 2 }) }),
    load(0.9, 30, capacity, { name: "whole again", change: set({ slots }) })
  ]
}

const grows: Scenario = {
  ...single,
  name: "capacity grows",
  known: 110,
  phases: [
    load(2, 40, capacity, { name: "20 slots" }),
    load(2, 40, 5 * capacity, { name: "100 slots", change: set({ slots: 5 * slots }) })
  ]
}

const failures: Scenario = {
  ...single,
  name: "one in a hundred fails",
  phases: [
    load(0.8, 30, capacity, { name: "0.8 x", change: set({ failing: 0.01 }) }),
    load(2, 40, capacity, { name: "2 x" })
  ]
}

const saturated: Scenario = {
  ...single,
  name: "ten minutes at 2 x",
  phases: [load(2, 300), { ...load(2, 300), name: "2 x, later" }]
}

const fleet = (balance: Scenario["balance"], shared = false): Scenario => ({
  ...single,
  name: shared ? "100 servers, one dependency" : `100 servers, ${balance === "random" ? "random" : "least loaded"}`,
  servers: 100,
  balance,
  shared,
  slots: shared ? 400 : 4,
  known: shared ? 4 : 5,
  phases: [load(0.5, 6, 4000), load(2, 16, 4000), load(0.5, 8, 4000)]
})

/** All servers of the phase before the storm are well below their capacity; then nothing works for five seconds. */
const storm = (name: string, budget: boolean, retryAfter: boolean): Scenario => ({
  ...single,
  name,
  retrying: { attempts: 4, budget, retryAfter },
  phases: [
    load(0.8, 20, capacity, { name: "normal" }),
    load(0.8, 5, capacity, { name: "outage", capacity: 0.01, change: set({ failing: 1 }) }),
    load(0.8, 30, capacity, { name: "after", change: set({ failing: 0 }) })
  ]
})

/** Nothing is saturated here: any number may sleep. `fast` of 1 ms, the rest of 5 s. */
const mixture = (fast: number) => (random: Random) => (random.next() < fast ? 1 : 5000)

const mixed = (name: string, more: Partial<Scenario>): Scenario => ({
  ...single,
  name,
  slots: Infinity,
  service: mixture(0.9),
  patience: 10_000,
  known: 1024,
  phases: [
    { name: "one tenth slow", seconds: 40, offered: 400, capacity: Infinity },
    { name: "four tenths slow", seconds: 40, offered: 400, capacity: Infinity, service: mixture(0.6) },
    { name: "one tenth again", seconds: 40, offered: 400, capacity: Infinity }
  ],
  ...more
})

/** Nothing is saturated but what hangs: the others are fast, and what is in flight stays far below 1024. */
const hanging: Scenario = mixed("a tenth hangs", {
  initial: 1024,
  slots: Infinity,
  service: () => 20,
  patience: 5000,
  phases: [
    { name: "normal", seconds: 20, offered: 400, capacity: Infinity },
    { name: "a tenth hangs", seconds: 60, offered: 400, capacity: 360, service: (r) => (r.next() < 0.9 ? 20 : 1e9) },
    { name: "normal again", seconds: 20, offered: 400, capacity: Infinity }
  ]
})

/** Nothing is overloaded: what fails, fails for a reason of its own, as fast as the rest succeeds. */
const failing: Scenario = mixed("three in five fail", {
  initial: 1024,
  slots: Infinity,
  service: () => 20,
  phases: [
    { name: "normal", seconds: 20, offered: 400, capacity: Infinity },
    { name: "three in five fail", seconds: 40, offered: 400, capacity: 160, change: set({ failing: 0.6 }) },
    { name: "normal again", seconds: 20, offered: 400, capacity: Infinity, change: set({ failing: 0 }) }
  ]
})

const herd: Scenario = {
  ...single,
  name: "a million clients at once",
  seeds: [1],
  servers: 100,
  slots: 40,
  known: 44,
  patience: 10_000,
  retrying: { attempts: 4, budget: false, retryAfter: true },
  phases: [
    { name: "30 s", seconds: 30, offered: 1_000_000, arriving: 1, capacity: 40_000, possible: 1_000_000 },
    { name: "30 s more", seconds: 30, offered: 0, capacity: 40_000, possible: 1_000_000 }
  ]
}

export const scenarios: ReadonlyArray<Scenario> = [
  stepScenario,
  slowDependency,
  halved,
  grows,
  failures,
  saturated,
  fleet("random"),
  fleet("leastLoaded"),
  fleet("random", true),
  storm("retry storm, no budget", false, false),
  storm("retry storm, Retry-After", false, true),
  storm("retry storm, budget", true, false),
  mixed("mixed routes, limit at 1024", { initial: 1024 }),
  mixed("mixed routes, limit at 50", { initial: 50 }),
  hanging,
  failing,
  herd
]
