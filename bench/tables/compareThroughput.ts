/** Comparison 1 as a section and as a chart. */
import { dotChart } from "../compare/charts/dots.ts"
import { atATime, throughputClaims } from "../compare/claims.ts"
import { entrantsOf, othersBeside, samplesOf } from "../compare/contract.ts"
import type { Parts } from "../compare/contract.ts"
import { mebibyte, megabytes, middle, shown, toleranceText } from "../compare/figures.ts"
import { memoryReason, throughputReason } from "../compare/reasons.ts"
import { number, table } from "../support/markdown.ts"
import { conditionsOf, disagreements, fallen, section, svg } from "./compareSection.ts"

type Throughput = Parts["1"]

const claimOf = (name: string) => throughputClaims[name] ?? { perSecond: null, megabytes: null }

const rows = (part: Throughput): ReadonlyArray<ReadonlyArray<string>> =>
  entrantsOf(part).map((name) => {
    const samples = samplesOf(part, name)
    const claim = claimOf(name)
    const failed = samples.reduce((sum, { refused }) => sum + refused, 0)
    return [
      name,
      claim.perSecond === null ? "-" : number(claim.perSecond),
      shown(samples.map(({ perSecond }) => perSecond)),
      number(failed),
      shown(
        samples.map(({ cores }) => cores),
        "",
        (value) => number(value, 2)
      ),
      shown(
        samples.map(({ peak }) => peak.threads),
        "",
        number
      ),
      claim.megabytes === null ? "-" : `${claim.megabytes} MB`,
      megabytes(samples.map(({ idle }) => idle.rss)),
      megabytes(samples.map(({ peak }) => peak.peakRss))
    ]
  })

const rateReasons = (part: Throughput): ReadonlyArray<string | undefined> =>
  entrantsOf(part).map((name) => {
    const samples = samplesOf(part, name)
    const claimed = claimOf(name).perSecond
    if (claimed === null) return undefined
    const { clients, waitMillis } = part.plan
    return throughputReason({
      name,
      claimed,
      measured: middle(samples.map(({ perSecond }) => perSecond)) ?? 0,
      ceiling: (1000 * (atATime[name] ?? clients)) / waitMillis,
      clients,
      waitMillis,
      atATime: atATime[name],
      cores: middle(samples.map(({ cores }) => cores)) ?? 0,
      machineCores: part.machine.cores,
      otherCores: othersBeside(part, name)
    })
  })

const idleOf = (part: Throughput, name: string): number | null =>
  middle(samplesOf(part, name).map(({ idle }) => idle.rss))

/** What one more worker takes: two sizes of the same server, before their first request. */
const perWorker = (part: Throughput, small: readonly [string, number], large: readonly [string, number]) => {
  const [less, more] = [idleOf(part, small[0]), idleOf(part, large[0])]
  return less === null || more === null ? undefined : (more - less) / (large[1] - small[1])
}

const memoryReasons = (part: Throughput): ReadonlyArray<string | undefined> => {
  const inPool = perWorker(part, ["pool of 8", 8], ["pool of 32", 32])
  const inLoops = perWorker(part, ["2 loops", 2], ["8 loops", 8])
  return entrantsOf(part).map((name) => {
    const claimed = claimOf(name).megabytes
    const samples = samplesOf(part, name)
    if (claimed === null || samples.length === 0) return undefined
    return memoryReason({
      name,
      claimed,
      peak: middle(samples.map(({ peak }) => peak.peakRss))!,
      idle: middle(samples.map(({ idle }) => idle.rss))!,
      clients: part.plan.clients,
      each: name.startsWith("pool") ? inPool : name.endsWith("loops") ? inLoops : undefined,
      workers: Number(/\d+/.exec(name)?.[0] ?? 1)
    })
  })
}

const head = [
  "server",
  "answers/s claimed",
  "measured",
  "refused",
  "cores used",
  "threads",
  "memory claimed",
  "before the first request",
  "at most"
]

export const throughputSection = (part: Throughput): string => {
  const { clients, seconds, waitMillis, warmUpSeconds } = part.plan
  return section("1. A thousand clients who wait", [
    `${number(clients)} clients ask for \`/sleep?ms=${waitMillis}\`, a handler that waits as for a database, and ask again when they have their answer. Arithmetic allows ${number((1000 * clients) / waitMillis)} answers a second. A server that gives each request a thread, or its one turn, gives ${1000 / waitMillis} a second for each thread; an event loop has nothing to give away while a handler waits.`,
    svg("throughput", "Answers a second and memory of each server, claimed and measured"),
    table(head, rows(part)),
    ...fallen(part),
    ...disagreements(toleranceText, [...rateReasons(part), ...memoryReasons(part)]),
    `How: wrk in a process of its own, ${number(clients)} keep-alive connections for ${seconds} s on a server started for it, the event loops after ${warmUpSeconds} s of the same, while their code is compiled, and with the backlog of the others (\`SPILLWAY_HTTP_BACKLOG=4096\`), since of 1,000 clients at once the default of 511 sends half away for a second; the first three servers close after each answer, so that wrk connects anew. It is a closed loop, which measures how many answers so many clients get; its latencies would leave out the requests that nobody sent meanwhile (coordinated omission) and are not used. Threads are the entries of \`/proc/<pid>/task\`, memory is \`VmRSS\` and \`VmHWM\` of \`/proc/<pid>/status\`, CPU is that of the whole process: all at most or in all, read from outside.`,
    conditionsOf("1", part)
  ])
}

export const throughputChart = (part: Throughput): string => {
  const names = entrantsOf(part)
  const of = (name: string) => samplesOf(part, name)
  return dotChart({
    title: `${number(part.plan.clients)} clients, each request waits ${part.plan.waitMillis} ms`,
    kinds: ["measured", "claimed"],
    rows: names,
    panels: [
      {
        name: "answers a second",
        rows: names.map((name) => [middle(of(name).map(({ perSecond }) => perSecond)), claimOf(name).perSecond])
      },
      {
        name: "memory at most, MB",
        rows: names.map((name) => [
          (middle(of(name).map(({ peak }) => peak.peakRss)) ?? 0) / mebibyte,
          claimOf(name).megabytes
        ])
      }
    ]
  })
}
