/** Comparisons 4 and 5 as sections, and what 10,000 connections cost as a chart. */
import { dotChart } from "../compare/charts/dots.ts"
import { entrantsOf, samplesOf } from "../compare/contract.ts"
import type { Parts } from "../compare/contract.ts"
import { mebibyte, megabytes, middle, millis, plainMegabytes, plainMillis, shown } from "../compare/figures.ts"
import { withDefaults } from "../compare/architectures.ts"
import { addressCount } from "../compare/clients/addresses.ts"
import type { Connections } from "../compare/parts/connections.ts"
import { memoryBound } from "../compare/settings.ts"
import { number, table } from "../support/markdown.ts"
import { conditionsOf, fallen, section, svg } from "./compareSection.ts"

const reasonNames: Readonly<Record<string, string>> = {
  patience: "waited in vain",
  closed: "closed without an answer",
  ECONNRESET: "reset",
  ECONNREFUSED: "refused to connect"
}

/** The reasons of the round that had most of them. */
const failures = (samples: ReadonlyArray<Connections>): string => {
  const total = ({ failed }: Connections) => Object.values(failed).reduce((sum, count) => sum + count, 0)
  const worst = samples.toSorted((a, b) => total(b) - total(a))[0]
  if (worst === undefined || total(worst) === 0) return "0"
  return Object.entries(worst.failed)
    .map(([reason, count]) => `${number(count)} ${reasonNames[reason] ?? reason}`)
    .join(", ")
}

const connectionRows = (part: Parts["4"]): ReadonlyArray<ReadonlyArray<string>> =>
  entrantsOf(part).map((name) => {
    const samples = samplesOf(part, name)
    const count = (value: (sample: Connections) => number) => shown(samples.map(value), "", number)
    return [
      name,
      count(({ succeeded }) => succeeded),
      count(({ refused }) => refused),
      failures(samples),
      millis(samples.map(({ lastAnswerMillis }) => lastAnswerMillis)),
      millis(samples.map(({ totalMillis }) => totalMillis)),
      count(({ peak }) => peak.threads),
      megabytes(samples.map(({ peak }) => peak.peakRss))
    ]
  })

/** A loop with one connection more: its memory over what it had before. */
const perConnection = (part: Parts["4"]): ReadonlyArray<string> =>
  ["event-driven", "hybrid", "2 loops"].flatMap((name) => {
    const grown = middle(
      samplesOf(part, name).map(({ idle, peak, succeeded }) => (peak.peakRss - idle.rss) / Math.max(1, succeeded))
    )
    return grown === null ? [] : [`${name} ${number(grown / 1024)} kB`]
  })

const connectionHead = [
  "server",
  "answered 200",
  "answered 503",
  "failed",
  "last answer 200",
  "all over",
  "threads at most",
  "memory at most"
]

/** What the loops were told, and what the one does that was told nothing. */
const limits = (part: Parts["4"]): string => {
  const variables = Object.entries(part.plan.raised).map(([name, value]) => `\`${name}=${value}\``)
  const told = `were told to take all (${variables.join(", ")}).`
  return entrantsOf(part).includes(withDefaults)
    ? `"${withDefaults}" is what the server does unless it is told otherwise: its door lets at most 1,024 requests run and 1,024 more wait for a second, starts them no faster than the loop has time for, by what a request has cost it lately, and refuses the rest at once with \`Retry-After\`, because a server that accepts what it cannot carry serves nobody. The other three loops ${told}`
    : `The loops ${told}`
}

export const connectionsSection = (part: Parts["4"]): string => {
  const { connections, patienceMillis, waitMillis } = part.plan
  return section("4. Ten thousand connections at once", [
    `${number(connections)} clients connect in the same moment, each asks for \`/sleep?ms=${waitMillis}\`, and waits ${plainMillis(patienceMillis)} for its answer. A thread for each of them is the answer of a textbook; the documents say that it falls over, and that an event loop pays with memory only.`,
    svg("connections", "Threads and memory of each server with 10,000 connections"),
    table(connectionHead, connectionRows(part)),
    ...fallen(part),
    `Memory that the loops took for each answered connection, at the worst moment: ${perConnection(part).join(", ")}. ${limits(part)}`,
    `How: all connections from one process, begun without waiting for any other, from ${addressCount} addresses; times count from that moment and contain what that process needs itself to open ${number(connections)} connections. A server is ended when it has more than ${plainMegabytes(memoryBound)} of memory, and then counts as fallen over.`,
    conditionsOf("4", part)
  ])
}

export const connectionsChart = (part: Parts["4"]): string => {
  const names = entrantsOf(part)
  const of = (name: string, value: (sample: Connections) => number) => middle(samplesOf(part, name).map(value))
  return dotChart({
    title: `${number(part.plan.connections)} connections at once`,
    kinds: ["measured"],
    rows: names,
    panels: [
      { name: "answered 200", rows: names.map((name) => [of(name, ({ succeeded }) => succeeded)]) },
      { name: "threads", rows: names.map((name) => [of(name, ({ peak }) => peak.threads)]) },
      { name: "memory, MB", rows: names.map((name) => [of(name, ({ peak }) => peak.peakRss / mebibyte)]) }
    ]
  })
}

const hundredRows = (part: Parts["5"]): ReadonlyArray<ReadonlyArray<string>> =>
  entrantsOf(part).map((name) => {
    const samples = samplesOf(part, name)
    return [
      name,
      ...(["fast", "sleep"] as const).flatMap((which) => [
        shown(
          samples.map((sample) => sample[which].succeeded),
          "",
          number
        ),
        millis(samples.map((sample) => sample[which].meanMillis)),
        shown(samples.map((sample) => sample[which].perSecond))
      ])
    ]
  })

/** Who could not do even that. */
const incomplete = (part: Parts["5"]): string => {
  const { patienceMillis, requests } = part.plan
  const names = entrantsOf(part).filter((name) =>
    samplesOf(part, name).some(({ fast, sleep }) => Math.min(fast.succeeded, sleep.succeeded) < requests)
  )
  return names.length === 0
    ? "All of them answer."
    : `All of them answer but ${names.join(", ")}, within the ${plainMillis(patienceMillis)} for which these clients wait.`
}

export const hundredSection = (part: Parts["5"]): string => {
  const { requests, waitMillis } = part.plan
  const sleep = `\`/sleep?ms=${waitMillis}\``
  const head = ["`/fast`: answered", "mean", "requests/s", `${sleep}: answered`, "mean", "requests/s"]
  return section("5. A hundred requests", [
    `${requests} clients at once ask each server for \`/fast\`, and then for ${sleep}. ${incomplete(part)}`,
    table(["server", ...head], hundredRows(part)),
    ...fallen(part),
    `How: ${requests} connections, one request each, from a process of its own; the mean is that of answers 200 from when the clients came, requests/s are those answers over the time until the last of them. With so few requests the times of \`/fast\` are as much those of the client, which opens ${requests} connections, as of the server.`,
    conditionsOf("5", part)
  ])
}
