/** Comparison 7 as a section and as a chart. */
import { rateChart } from "../compare/charts/rates.ts"
import { costClaims, ingestClaims, workClaim } from "../compare/claims.ts"
import { othersBeside, samplesOf } from "../compare/contract.ts"
import type { Parts } from "../compare/contract.ts"
import { middle, millis, shown } from "../compare/figures.ts"
import { costRate, entrantName, servers } from "../compare/parts/metricstream.ts"
import type { Ingest, ServerName } from "../compare/parts/metricstream.ts"
import { ingestReasons } from "../compare/reasons.ts"
import { stages } from "../metricstream/cost.ts"
import type { CostResult } from "../metricstream/cost.ts"
import { number, table } from "../support/markdown.ts"
import { conditionsOf, disagreements, section, svg, textTable } from "./compareSection.ts"

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

/** The claims are about a thread and a queue; what was measured is a whole request. */
const costReasons = (part: Part): ReadonlyArray<string> => {
  const [thread, pooled, ours] = servers.map((server) => lowestCost(part, server)?.micros)
  if (thread === undefined || pooled === undefined || ours === undefined) return []
  return [
    `**thread-per-request**: ${costClaims["thread-per-request"]} us claimed, ${number(thread)} us measured. The same request costs ${number(pooled)} us in the pool, whose threads exist; the other ${number(thread - pooled)} us are the making and ending of a thread, which in Node is an engine with a heap of its own that loads its modules anew.`,
    `**pool of 16**: ${costClaims["pool of 16"]} us claimed, ${number(pooled)} us measured. It contains a connection for each request, made, accepted and closed, and its bytes carried between two threads. MetricStream, which has neither but stores the event, takes ${number(ours)} us at the same rate.`
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

/** Where the time of one request goes, if that was measured. */
const costParagraphs = (cost: CostResult | undefined): ReadonlyArray<string> => {
  if (cost === undefined) return []
  const { claimed, machine, rate, rounds, stages: measured, sum, whole } = cost
  const micros = (value: number) => `${number(value, 1)} us`
  const rows = (Object.keys(stages) as ReadonlyArray<keyof typeof stages>).map((stage) => [
    stage,
    micros(measured[stage]),
    stages[stage]
  ])
  const alike = sum.median - measured.server - measured.store
  return [
    "Where the CPU time of one request of MetricStream goes:",
    svg("cost", "Cost of a request of MetricStream, stage by stage, beside what is claimed"),
    textTable(["stage", "CPU", "how it is measured"], rows),
    `The stages come to ${micros(sum.median)}, the whole server takes ${micros(whole.median)} (${number(rate)} events a second, ${rounds} rounds, Node ${machine.node.slice(1)}). The documents' ${claimed.work} us are for reading, parsing, the rate limit, JSON, validation and the answer; these stages take ${micros(alike)} here, ${micros(measured.read + measured.write)} of it for the bytes, through the kernel and a socket of Node, and ${micros(measured.parse)} in \`node:http\`. What the documents do not have comes on top: ${micros(measured.server)} for limits, deadline, fiber and router, and ${micros(measured.store)} for the event on the disk.`
  ]
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
    ...disagreements([...reasons(part), ...costReasons(part)]),
    ...costParagraphs(cost),
    `How: an open loop from a process of its own, ${clients} connections at most, requests due at equal distances for ${seconds} s after ${warmUpSeconds} s of warm-up; the other two get a new connection for each request. A request that finds all clients waiting waits for one of them, and its patience runs (no coordinated omission). Load and server share the machine. MetricStream has a new database on a disk, its sampler off, and a rate limit out of the way, since all clients have one address.`,
    conditionsOf(part)
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
