/** Servers, their dependencies and their clients, put together and run. */
import type { Candidate } from "./candidates.ts"
import { Clients, noRetries } from "./clients.ts"
import type { Retrying } from "./clients.ts"
import { makeDependency } from "./dependency.ts"
import type { Dependency } from "./dependency.ts"
import { Events } from "./events.ts"
import { Random } from "./random.ts"
import { bucketMillis, Recorder } from "./recorder.ts"
import type { PhaseResult } from "./recorder.ts"
import { Server } from "./server.ts"
import type { DoorOptions } from "./server.ts"

export interface Phase {
  readonly name: string
  readonly seconds: number
  /** Clients that come in a second. */
  readonly offered: number
  /** They only come in the first so many seconds of the phase. */
  readonly arriving?: number
  /** What could be served in a second. */
  readonly capacity: number
  /** How many could be answered in all, if not the lesser of what comes and what could be served in this time. */
  readonly possible?: number
  /** The change of each dependency with which the phase begins. */
  readonly change?: (dependency: Dependency) => void
  /** The work of a request in milliseconds; that of the scenario if left away. */
  readonly service?: (random: Random) => number
}

export interface Scenario {
  readonly name: string
  readonly servers: number
  readonly balance: "random" | "leastLoaded"
  /** One dependency for all servers, or one for each. */
  readonly shared?: boolean
  readonly slots: number
  readonly service: (random: Random) => number
  /** How long in milliseconds a client waits. */
  readonly patience: number
  readonly retrying?: Retrying
  readonly door: DoorOptions
  /** What somebody who knows the dependency would set. */
  readonly known: number
  /** Where the limits start, if not where the algorithms do. */
  readonly initial?: number
  /** Each is another course of the same things. Three if left away. */
  readonly seeds?: ReadonlyArray<number>
  readonly phases: ReadonlyArray<Phase>
}

export interface Run {
  readonly candidate: string
  readonly phases: ReadonlyArray<PhaseResult>
  readonly limits: ReadonlyArray<readonly [second: number, limit: number]>
  readonly goodput: ReadonlyArray<readonly [second: number, goodput: number]>
  readonly events: number
}

const balancer = (scenario: Scenario, servers: ReadonlyArray<Server>, random: Random) => {
  if (servers.length === 1) return () => servers[0]!
  if (scenario.balance === "random") return () => servers[Math.floor(random.next() * servers.length)]!
  return () => {
    // Ties are broken at random, or the first server would get all that comes while most are idle.
    let best = Math.floor(random.next() * servers.length)
    for (let i = 0; i < servers.length; i++) if (servers[i]!.load < servers[best]!.load) best = i
    return servers[best]!
  }
}

/** A Poisson process whose rate is that of the phases. */
const arrivals = (events: Events, random: Random, scenario: Scenario, clients: Clients) => {
  let from = 0
  for (const { offered, seconds, arriving = seconds, service = scenario.service } of scenario.phases) {
    const [start, end] = [from, from + arriving * 1000]
    from += seconds * 1000
    if (offered === 0) continue
    const next = () => {
      const time = events.now + random.exponential(1000 / offered)
      if (time >= end) return
      events.at(time, () => {
        clients.come(service(random))
        next()
      })
    }
    events.at(start, next)
  }
}

export const simulate = (scenario: Scenario, candidate: Candidate, seed: number): Run => {
  const [events, random, recorder] = [new Events(), new Random(seed), new Recorder()]
  const one = makeDependency(events, random, scenario.slots)
  const dependencies =
    scenario.shared === true
      ? [one]
      : Array.from({ length: scenario.servers }, (_, i) =>
          i === 0 ? one : makeDependency(events, random, scenario.slots)
        )
  const servers = Array.from({ length: scenario.servers }, (_, i) => {
    const own = seed * 1000 + i
    const limit = candidate.make(scenario.known, own, scenario.initial)
    return new Server(events, new Random(own), limit, dependencies[i % dependencies.length]!, scenario.door)
  })
  const pick = balancer(scenario, servers, random)
  const clients = new Clients(events, random, recorder, pick, scenario.patience, scenario.retrying ?? noRetries)
  const boundaries: Array<readonly [from: number, to: number, phase: Phase]> = []
  let end = 0
  for (const phase of scenario.phases) {
    boundaries.push([end, end + phase.seconds * 1000, phase])
    if (phase.change !== undefined) events.at(end, () => dependencies.forEach(phase.change!))
    end += phase.seconds * 1000
  }
  for (let time = bucketMillis; time <= end; time += bucketMillis) {
    events.at(time - 1e-6, () =>
      recorder.limits(
        events.now,
        servers.map((server) => server.limit)
      )
    )
  }
  arrivals(events, random, scenario, clients)
  events.run(end)
  return {
    candidate: candidate.name,
    phases: boundaries.map(([from, to, phase]) => recorder.phase(phase, from, to)),
    limits: recorder.limitSeries(),
    goodput: recorder.goodputSeries(),
    events: events.ran
  }
}
