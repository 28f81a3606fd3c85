import { sleepLimit, slots, waiting } from "../overload/dependency.ts"
import { bestPeak, latencyOf, peakOf, stepsAt } from "../overload/report.ts"
import type { OverloadReport, Scenarios } from "../overload/report.ts"
import { maxStealPercent } from "../overload/steal.ts"
import type { Step, StepsReport } from "../overload/scenarios/steps.ts"
import { conditions, median, number, rounded, table } from "../support/markdown.ts"
import { spread } from "../support/statistics.ts"
import type { Spread } from "../support/statistics.ts"
import type { StreamReport } from "../overload/streams.ts"
import { targetsTable } from "./overloadTargets.ts"

/** Cores that other programs take. Above this a server had not its core for itself. */
const othersCpu = 0.2

/** Above this the generator's own lateness is a part of the latencies that can be seen. */
const lateMillis = 5

const titles = {
  cpu: "`/cpu?ms=5`, on the loop, kept connections",
  strangers: "`/cpu?ms=5`, on the loop, a connection for each request",
  rendering: "`/cpu?ms=5&after=100`: waits as for a database, then computes, kept connections",
  offloaded: "`/cpu?ms=20&offload`, on one worker, and `/fast` beside it",
  sleep: "`/sleep?ms=100`",
  unbounded: "`/sleep?ms=100`, and the dependency lets everybody wait"
} as const

/** What the machine took away, loud where it was too much to say anything. */
const stolen = (percent: number | undefined): string =>
  `CPU time stolen meanwhile: ${percent ?? "unknown"} %${(percent ?? 0) > maxStealPercent ? " (**measure again**)" : ""}`

/** How what is offered is made, and what it is offered to. */
const notes: Readonly<Record<keyof typeof titles, string>> = {
  cpu:
    "Requests become due at random times, whatever became of those before. Each takes a connection that is idle, or opens one, as the pool of " +
    "a proxy does; a client whose patience is over closes its connection. This is kind to a server that is late: it loses a connection only " +
    "with each request that times out, so that goodput falls over seconds, and not at once.",
  strangers:
    "The same, but each request comes on a connection of its own, as from a new client. Node accepts one connection in a turn of its event " +
    "loop: a server that runs a handler in each turn accepts as slowly as it runs handlers, the kernel's backlog of 511 becomes its queue, and " +
    "whoever gets to its head has hung up. So a server falls at once, and no check inside of it ever sees the queue.",
  rendering:
    "As a page that is rendered from what a database says. What it will compute is not seen when a request is started: a server that starts " +
    "all that come has a second of work before it knows of any, and is late for all of them.",
  offloaded:
    '"codel" is what [offload.md](docs/offload.md) recommends for a pool behind a server, `codel: {}`: the newest task first while the queue is ' +
    'late, and what waited for too long is refused. "Defaults" is for work that must all be done: 256 places, in order of arrival. Piscina has ' +
    "places for 50; stock has no bound.",
  sleep:
    `All handlers wait for the same dependency, which carries ${slots} at once, 200/s, and lets ${waiting} more wait, at most 0.4 s, like a ` +
    "bounded pool of database connections; what it has no place for is answered 503 by every server. With `maxConcurrent` " +
    `${sleepLimit}, what the dependency carries and a quarter, most requests wait at our door instead. With the defaults, as in the others, the ` +
    "dependency refuses: no more than 100 are inside, which is less than the 1024 that the server lets in.",
  unbounded:
    'So `concurrencyLimit: "adaptive"` has to find a limit, from 1024 down to 16, and gets the time for it: the simulation has it after 7 to 32 s. ' +
    "By default the limit is fixed, since an adaptive one for all routes refuses the fast ones with the slow. Whoever knows what the dependency " +
    "carries sets `maxConcurrent`, or gives it a `Bulkhead`. One round."
}

const whole = (value: number) => (Number.isFinite(value) ? number(value) : "-")
const tenths = (value: number) => (Number.isFinite(value) ? number(value, 1) : "-")
const percentOf = (share: Spread) => median(share, (value) => number(100 * value), " %")
const of = (steps: ReadonlyArray<Step>, value: (main: StreamReport) => number) =>
  spread(steps.map(({ main }) => value(main!)))

const share = (steps: ReadonlyArray<Step>, part: "refused" | "timedOut" | "broken") =>
  `${number(100 * of(steps, (main) => main[part] / main.offered).median)} %`

const marks = (steps: ReadonlyArray<Step>): string => {
  const late = spread(steps.map(({ beside, main }) => (main ?? beside)!.lagMillis.p99)).median > lateMillis
  const shared = spread(steps.map(({ otherCpu }) => otherCpu)).median > othersCpu
  return `${late ? " (a)" : ""}${shared ? " (b)" : ""}`
}

const besideCells = (steps: ReadonlyArray<Step>): ReadonlyArray<string> =>
  steps[0]!.beside === undefined
    ? []
    : [
        tenths(spread(steps.map(({ beside }) => latencyOf(beside, "p50"))).median),
        median(spread(steps.map(({ beside }) => latencyOf(beside, "p99"))), tenths, " ms")
      ]

const stepsRows = (report: StepsReport): ReadonlyArray<ReadonlyArray<string>> => {
  const best = bestPeak(report)
  return report.results.flatMap((result) => {
    const peak = peakOf(result, report)
    const idle = stepsAt(result, 0)
    const alone =
      idle.length === 0 ? [] : [[`${result.name}, \`/fast\` alone`, ...Array(8).fill("-"), ...besideCells(idle)]]
    const rows = report.plan.multiples.map((multiple) => {
      const steps = stepsAt(result, multiple)
      const goodput = of(steps, (main) => main.goodput)
      const cpu = spread(steps.map(({ serverCpu }) => serverCpu)).median
      return [
        `${result.name}, ${multiple} times${marks(steps)}`,
        median(goodput, rounded),
        percentOf(of(steps, (main) => main.goodput / peak)),
        `${number((100 * goodput.median) / best)} %`,
        `${tenths(of(steps, (main) => latencyOf(main, "p50")).median)} ms`,
        median(
          of(steps, (main) => latencyOf(main, "p99")),
          whole,
          " ms"
        ),
        share(steps, "refused"),
        share(steps, "timedOut"),
        number(cpu, 2),
        ...besideCells(steps)
      ]
    })
    return [...alone, ...rows]
  })
}

const roundsText = ({ multiples, repeated, rounds }: StepsReport["plan"]): string => {
  if (rounds === 1) return "1 round"
  const once = multiples.length > repeated.length ? ", the others once" : ""
  return `${rounds} rounds of ${repeated.join(", ")} times${once}`
}

const stepsTable = (name: keyof typeof titles, report: StepsReport | undefined): ReadonlyArray<string> => {
  if (report === undefined) return []
  const { patienceMillis, plan, results, stealPercent } = report
  const capacities = results.map((result) => {
    const capacity = spread(result.rounds.map(({ capacity }) => capacity))
    return `${result.name} ${median(capacity, rounded, "/s")}`
  })
  const beside = name === "offloaded" ? ["`/fast` p50, ms", "`/fast` p99"] : []
  const head = ["server, offered", "useful/s", "of its peak", "of the best peak", "p50", "p99", "refused", "timed out"]
  return [
    `**${titles[name]}.** Capacity: ${capacities.join(", ")}. Patience ${patienceMillis / 1000} s, ${roundsText(plan)}, steps of ` +
      `${plan.seconds} s, of which the first ${plan.warmUp} are not counted; ${stolen(stealPercent)}. ${notes[name]}`,
    table([...head, "CPU/s of the server", ...beside], stepsRows(report))
  ]
}

const crowdTable = ({ crowd }: Scenarios): ReadonlyArray<string> => {
  if (crowd === undefined) return []
  const { before, few, many, results, seconds, stealPercent } = crowd
  const rows = results.map(({ name, rounds }) => [
    name,
    percentOf(spread(rounds.map(({ atFirst }) => atFirst))),
    percentOf(spread(rounds.map(({ later }) => later))),
    median(spread(rounds.map(({ crowd }) => latencyOf(crowd, "p99"))), whole, " ms"),
    percentOf(spread(rounds.map(({ few }) => few)))
  ])
  return [
    `**A crowd, all of a sudden.** \`${few.path}\` ${few.rate} times a second, a fifth of the loop; after ${before} s beside it ` +
      `\`${many.path}\` ${number(many.rate)} times a second, for ${seconds} s, kept connections. It takes the loop less than it has, but a server ` +
      "that goes by what the few have cost takes it for a hundred times as much. Useful: answered 200 within the patience of 1 s, of those who " +
      `came; ${stolen(stealPercent)}.`,
    table(["server", "useful in the first second", "later", "p99", "of the few meanwhile"], rows)
  ]
}

const recoveryTable = ({ recovery }: Scenarios): ReadonlyArray<string> => {
  if (recovery === undefined) return []
  const time = (wholeAfter: number | null) => (wholeAfter === null ? "never" : `${number(wholeAfter)} ms`)
  const rows = recovery.results.map(({ name, rounds }) => [
    name,
    rounds.map(({ wholeAfter }) => time(wholeAfter)).join(", "),
    percentOf(spread(rounds.map(({ useful }) => useful)))
  ])
  return [
    `**Recovery.** ${recovery.overloaded} s at ${recovery.multiple} times capacity, then ${recovery.after} s at ${recovery.normal} times. ` +
      `Whole: from then on nine of ten requests of every tenth of a second are answered. "Never": not in those ${recovery.after} s. ` +
      `${stolen(recovery.stealPercent)}.`,
    table(["server", "whole after, each round", `useful in the ${recovery.after} s`], rows)
  ]
}

const fairnessTable = ({ fairness }: Scenarios): ReadonlyArray<string> => {
  if (fairness === undefined) return []
  const rows = fairness.results.map(({ name, rounds }) => [
    name,
    median(spread(rounds.map(({ criticalSuccess }) => criticalSuccess)), (value) => number(100 * value, 2), " %"),
    rounds
      .map(({ critical }) => `${critical.offered - (critical.statuses["200"] ?? 0)} of ${number(critical.offered)}`)
      .join("; "),
    median(spread(rounds.map(({ critical }) => latencyOf(critical, "p99"))), whole, " ms"),
    median(spread(rounds.map(({ sheddable }) => sheddable.goodput)), rounded)
  ])
  const { critical, sheddable } = fairness.offered
  const seconds = Math.max(...fairness.results.flatMap(({ rounds }) => rounds.map(({ seconds }) => seconds)))
  return [
    `**Fairness.** ${sheddable} times capacity of sheddable requests, ${critical} times of critical ones, for up to ${seconds} s a round; ` +
      '"own connections": each kind has its own; "shared": both come at random on the same kept connections, as from a proxy. In time: 200 ' +
      "within the patience of 1 s, of all critical requests from the first on; " +
      `${stolen(fairness.stealPercent)}.`,
    table(["server", "critical answered in time", "failed, each round", "p99 of critical", "sheddable useful/s"], rows)
  ]
}

const sheddingTable = ({ shedding }: Scenarios): ReadonlyArray<string> => {
  if (shedding === undefined) return []
  const micros = (values: ReadonlyArray<number>) => median(spread(values), (value) => number(value, 1), " us")
  const rows = shedding.results.map(({ name, ratio, rounds }) => [
    name,
    micros(rounds.map(({ microsAccepted }) => microsAccepted)),
    micros(rounds.map(({ microsRefused }) => microsRefused)),
    median(ratio, (value) => number(value, 2))
  ])
  return [
    `**What a refusal costs.** CPU of the server for each request, as fast as clients can, ${shedding.connections} connections (wrk), ` +
      `${shedding.results[0]?.rounds.length ?? 0} rounds of ${shedding.seconds} s; ${stolen(shedding.stealPercent)}. The handler reads the body ` +
      "of a POST. Here ours reads whatever is refused (`maxRefusalRate`) and sheds nothing of what it serves (`queueTarget`): as a server is set by " +
      "default, refusals beyond 5,000 a second wait in the kernel. The target is for GET on kept connections.",
    table(["server, request", "accepted", "refused", "refused over accepted"], rows)
  ]
}

export const overloadTables = ({ machine, scenarios }: OverloadReport): string => {
  const names = ["cpu", "strangers", "rendering", "offloaded", "sleep", "unbounded"] as const
  const targets = targetsTable(scenarios)
  return [
    ...(targets === undefined ? [] : [targets]),
    ...names.flatMap((name) => stepsTable(name, scenarios[name])),
    ...crowdTable(scenarios),
    ...recoveryTable(scenarios),
    ...fairnessTable(scenarios),
    ...sheddingTable(scenarios),
    `(a): p99 of the generator's own lateness above ${lateMillis} ms, which is part of the latencies. (b): other programs took more ` +
      `than ${othersCpu} of a core: measure again. ${conditions(machine)}. ` +
      "[Chart](bench/results/overload.svg)."
  ].join("\n\n")
}
