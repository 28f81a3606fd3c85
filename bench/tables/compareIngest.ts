/** Comparison 7 as a section and as a chart. */
import { rateChart } from "../compare/charts/rates.ts"
import { costClaims, ingestClaims, workClaim } from "../compare/claims.ts"
import { othersBeside, samplesOf } from "../compare/contract.ts"
import type { Parts } from "../compare/contract.ts"
import { agrees, middle, millis, pointsText, shown, toleranceText } from "../compare/figures.ts"
import { costRate, entrantName, servers } from "../compare/parts/metricstream.ts"
import type { Ingest, ServerName } from "../compare/parts/metricstream.ts"
import { ingestReasons, spreadReason } from "../compare/reasons.ts"
import { stages } from "../metricstream/cost.ts"
import type { CostResult, Stage } from "../metricstream/cost.ts"
import { number, table } from "../support/markdown.ts"
import { conditionsOf, disagreements, section, svg, textTable, whenOf } from "./compareSection.ts"

type Part = Parts["7"]

const at = (part: Part, server: ServerName, rate: number): ReadonlyArray<Ingest> =>
  samplesOf(part, entrantName(server, rate))

const share = ({ answered, offered }: Ingest): number => (100 * answered) / offered
const ratesOf = ({ plan }: Part) => plan.rates.filter((rate) => rate !== costRate)
const percent = (value: number) => `${number(value, 1)} %`

const cell = (part: Part, server: ServerName, rate: number): string =>
  shown(at(part, server, rate).map(share), " %", (value) => number(value, value < 100 && value > 99 ? 2 : 1))

const claimed = (server: ServerName, rate: number): string => {
  const claim = ingestClaims[server]?.[rate]
  return claim === undefined ? "-" : percent(claim)
}

const answersTable = (part: Part): string =>
  table(
    [
      "offered",
      "thread-per-request claimed",
      "measured",
      "pool of 16 claimed",
      "measured",
      "MetricStream (hybrid, stored)",
      "its p50",
      "its p99"
    ],
    ratesOf(part).map((rate) => [
      `${number(rate)}/s`,
      claimed("thread-per-request", rate),
      cell(part, "thread-per-request", rate),
      claimed("pool of 16", rate),
      cell(part, "pool of 16", rate),
      cell(part, "MetricStream", rate),
      millis(at(part, "MetricStream", rate).map(({ latencyMillis }) => latencyMillis?.p50)),
      millis(at(part, "MetricStream", rate).map(({ latencyMillis }) => latencyMillis?.p99))
    ])
  )

const microsAt = (part: Part, server: ServerName, rate: number): string =>
  shown(
    at(part, server, rate).map(({ cpuMicros }) => cpuMicros),
    " us",
    number
  )

const costTable = (part: Part): string =>
  table(
    ["CPU of the server for an answer", "claimed", ...part.plan.rates.map((rate) => `${number(rate)}/s`)],
    servers.map((server) => [
      server,
      costClaims[server] === undefined ? `${workClaim} us of work` : `${costClaims[server]} us`,
      ...part.plan.rates.map((rate) => microsAt(part, server, rate))
    ])
  )

const reasons = (part: Part): ReadonlyArray<string> =>
  (["thread-per-request", "pool of 16"] as const).flatMap((server) => {
    const facts = ratesOf(part).flatMap((rate) => {
      const samples = at(part, server, rate)
      const claim = ingestClaims[server]?.[rate]
      if (samples.length === 0 || claim === undefined) return []
      const of = (value: (sample: Ingest) => number | null) => middle(samples.map(value))
      return [
        {
          rate,
          claimed: claim,
          measured: of(share) ?? 0,
          lowest: Math.min(...samples.map(share)),
          serverCores: of(({ serverCores }) => serverCores) ?? 0,
          loadCores: of(({ loadCores }) => loadCores) ?? 0,
          machineCores: part.machine.cores,
          otherCores: othersBeside(part, entrantName(server, rate)),
          cpuMicros: of(({ cpuMicros }) => cpuMicros),
          fell: samples.find(({ fell }) => fell !== null)?.fell ?? null
        }
      ]
    })
    return ingestReasons(server, facts, beside(part, server))
  })

/** Of MetricStream, which answers everything, but not always as soon. */
const spreads = (part: Part): ReadonlyArray<string> =>
  ratesOf(part).flatMap((rate) => {
    const samples = at(part, "MetricStream", rate)
    const reason = spreadReason("MetricStream", {
      rate,
      medians: samples.flatMap(({ latencyMillis }) => (latencyMillis === null ? [] : [latencyMillis.p50])),
      serverCores: samples.map(({ serverCores }) => serverCores),
      loadCores: samples.map(({ loadCores }) => loadCores),
      machineCores: part.machine.cores
    })
    return reason === undefined ? [] : [reason]
  })

/** What a request costs at the lowest rate that the server was offered: what comes on top later is overload. */
const lowestCost = (part: Part, server: ServerName): { readonly rate: number; readonly micros: number } | undefined => {
  const rate = part.plan.rates.find((rate) => at(part, server, rate).length > 0)
  if (rate === undefined) return undefined
  const micros = middle(at(part, server, rate).map(({ cpuMicros }) => cpuMicros))
  return micros === null ? undefined : { rate, micros }
}

const lowest = (part: Part, server: ServerName): string | undefined => {
  const cost = lowestCost(part, server)
  return cost === undefined ? undefined : `${number(cost.micros)} us at ${number(cost.rate)}/s`
}

/** The claims are about a thread and a queue; what was measured is a whole request, at the lowest rate. */
const costReasons = (part: Part): ReadonlyArray<string | undefined> => {
  const [thread, pooled, ours] = servers.map((server) => lowestCost(part, server)?.micros)
  if (thread === undefined || pooled === undefined || ours === undefined) return []
  return [
    agrees(thread, costClaims["thread-per-request"]!)
      ? undefined
      : `**thread-per-request**: ${costClaims["thread-per-request"]} us claimed, ${number(thread)} us measured. The same request costs ${number(pooled)} us in the pool, whose threads exist. What comes on top is to make and to end a thread, which in Node is an engine with a heap of its own that loads its modules anew, and a larger part of what a process does anyhow, since so few are offered; the two were not measured apart.`,
    agrees(pooled, costClaims["pool of 16"]!)
      ? undefined
      : `**pool of 16**: ${costClaims["pool of 16"]} us claimed, ${number(pooled)} us measured. It contains a connection for each request, made, accepted and closed, and its bytes carried between two threads. MetricStream, which has neither but stores the event, takes ${number(ours)} us at the same rate.`
  ]
}

const besides: Readonly<Record<string, readonly [other: ServerName, what: string]>> = {
  "thread-per-request": ["pool of 16", "in the pool, which starts no thread for it"],
  "pool of 16": [
    "MetricStream",
    "in MetricStream, which keeps its connections, hands them to nobody, and stores the event"
  ]
}

/** What the cost of an answer is compared with: the same request elsewhere. */
const beside = (part: Part, server: ServerName): string => {
  const [other, what] = besides[server]!
  const [own, others] = [lowest(part, server), lowest(part, other)]
  return own === undefined || others === undefined ? "" : `; it costs ${own}, and ${what}, ${others}`
}

/** What the documents count as work, and what of it is for the bytes. */
const [claimedStages, byteStages] = [
  ["read", "parse", "rateLimit", "json", "validate", "write"],
  ["read", "write"]
] as const

/** Where the time of one request goes, if that was measured. Sums are of the figures shown: medians do not add up to the median of the sums. */
export const costParagraphs = (cost: CostResult | undefined): ReadonlyArray<string> => {
  if (cost === undefined) return []
  const { claimed, machine, measuredAt, rate, rounds, stages: measured, version, whole, wholeThreads } = cost
  const all = Object.keys(stages) as ReadonlyArray<Stage>
  const sum = (some: ReadonlyArray<Stage>) => some.reduce((total, stage) => total + tenths(measured[stage]), 0)
  const [alike, bytes, total] = [sum(claimedStages), sum(byteStages), sum(all)]
  return [
    "Where the CPU time of one request of MetricStream goes:",
    svg("cost", "Cost of a request of MetricStream, stage by stage, beside what is claimed"),
    textTable(
      ["stage", "CPU", "how it is measured"],
      [...all.map((stage) => [stage, micros(measured[stage]), stages[stage]]), ["**together**", micros(total), ""]]
    ),
    `The documents' ${claimed.work} us are for reading, parsing, the rate limit, JSON, validation and the answer. These stages take ${micros(alike)} here: ${micros(bytes)} for the bytes, through the kernel and a socket of Node, ${micros(measured.parse)} in \`node:http\`, and ${micros(alike - bytes - tenths(measured.parse))} for the other three. What the documents do not have comes on top: ${micros(measured.server)} for limits, deadline, fiber and router, and ${micros(measured.store)} for the event on the disk.`,
    wholeParagraph(total, tenths(whole.median), tenths(wholeThreads.eventLoop), tenths(wholeThreads.storage)),
    `*\`npm run bench -- metricstream-cost\`, ${whenOf(measuredAt, version)}, ${number(rate)} events a second, medians of ${rounds} rounds, Node ${machine.node.slice(1)}, ${machine.cores} cores.*`
  ]
}

const micros = (value: number): string => `${number(value, 1)} us`

/** As it is shown. */
const tenths = (value: number): number => Math.round(10 * value) / 10

/** What the whole server takes beyond its stages, and which threads that can be. */
const wholeParagraph = (stages: number, whole: number, eventLoop: number, storage: number): string => {
  const [engine, rest] = [whole - eventLoop - storage, whole - stages]
  const threads = `The whole server takes ${micros(whole)}: ${micros(eventLoop)} on the thread of its event loop, ${micros(storage)} on that of its storage, and ${micros(engine)} on those of the engine, its compiler and garbage collector.`
  if (rest <= 0) return `${threads} That is no more than the stages.`
  const least = Math.max(0, rest - engine)
  return `${threads} That is ${micros(rest)} more than its stages, each of which was measured in a process that does not do all of the others. The engine's threads can have no more than ${micros(engine)} of that, so that at least ${micros(least)} are of the other two; what they went to was not looked into.`
}

export const ingestSection = (part: Part, cost: CostResult | undefined): string => {
  const { clients, patienceMillis, seconds, warmUpSeconds } = part.plan
  return section("7. MetricStream: events at a fixed rate", [
    `${clients} clients post events, together so many a second, whatever the server does. A request counts as answered when its 202 is there within ${patienceMillis} ms of the moment at which it was due.`,
    "The comparison is unfair, and to ours: MetricStream answers once the event is on the disk, with its rate limit, deadlines and metrics on; the other two parse, validate and answer, and store nothing. The other way round, they hold a thread from accept to close and so cannot keep a connection for the next request, which MetricStream does.",
    svg("rates", "Per cent of requests answered by the rate offered, claimed and measured"),
    answersTable(part),
    `The documents count ${workClaim} us of work for a request, ${costClaims["thread-per-request"]} with a thread for each, ${costClaims["pool of 16"]} with a pool. Measured is the CPU time of the whole process over good answers, with the system's share of connecting, reading and writing. At low rates what a process does anyhow is a larger part of it, and one that is out of CPU spends some on requests that it does not answer in time.`,
    costTable(part),
    ...disagreements(`${pointsText} (costs: ${toleranceText})`, [...reasons(part), ...costReasons(part)]),
    ...spreads(part),
    ...costParagraphs(cost),
    `How: an open loop from a process of its own, ${clients} connections at most, requests due at equal distances for ${seconds} s after ${warmUpSeconds} s of warm-up; the other two get a new connection for each request. A request that finds all clients waiting waits for one of them, and its patience runs (no coordinated omission). Load and server share the machine. MetricStream has a new database on a disk, its sampler off, and a rate limit out of the way, since all clients have one address.`,
    conditionsOf("7", part)
  ])
}

export const ingestChart = (part: Part): string => {
  const rates = ratesOf(part)
  return rateChart({
    title: "Answered within a second, by requests offered",
    rates,
    lines: servers.map((server) => ({
      name: server === "MetricStream" ? "MetricStream (hybrid, stored on disk)" : server,
      measured: rates.map((rate) => middle(at(part, server, rate).map(share))),
      claimed: ingestClaims[server] === undefined ? null : rates.map((rate) => ingestClaims[server]![rate] ?? 0)
    }))
  })
}
