/** Comparison 6 as a section and as a chart. */
import { dotChart } from "../compare/charts/dots.ts"
import { slowlorisTarget } from "../compare/claims.ts"
import { entrantsOf, samplesOf } from "../compare/contract.ts"
import type { Parts } from "../compare/contract.ts"
import { megabytes, middle, millis, plainMillis, shown } from "../compare/figures.ts"
import { withDefaults } from "../compare/architectures.ts"
import type { Slowloris } from "../compare/parts/slowloris.ts"
import { slowdown } from "../compare/targets.ts"
import { number, rounded, table } from "../support/markdown.ts"
import { conditionsOf, fallen, section, svg } from "./compareSection.ts"

/** Honest clients of all rounds: how many were answered, and what became of the others. */
const honest = (samples: ReadonlyArray<Slowloris>): string => {
  const sum = (value: (sample: Slowloris) => number | undefined) =>
    samples.reduce((all, sample) => all + (value(sample) ?? 0), 0)
  const others = [
    [sum(({ attacked }) => attacked.statuses["503"]), "refused with 503"],
    [sum(({ attacked }) => attacked.failures.broken), "hung up on"],
    [sum(({ attacked }) => attacked.failures.refused), "not connected"],
    [sum(({ attacked }) => attacked.failures.timedOut + attacked.failures.notSent), "waited in vain"]
  ] as const
  const counts = others.filter(([count]) => count > 0).map(([count, what]) => `${number(count)} ${what}`)
  const offered = sum(({ attacked }) => attacked.offered)
  return [`${number(sum(({ attacked }) => attacked.answered))} of ${number(offered)}`, ...counts].join(", ")
}

/** Bytes that an accepted connection took; not of a server that a thread each costs far more. */
const perConnection = ({ accepted, before, during, fell }: Slowloris): number | null =>
  accepted < 100 || fell !== null ? null : (during.rss - before.rss) / accepted

const rows = (part: Parts["6"]): ReadonlyArray<ReadonlyArray<string>> =>
  entrantsOf(part).map((name) => {
    const samples = samplesOf(part, name)
    const count = (value: (sample: Slowloris) => number) => shown(samples.map(value), "", number)
    return [
      name,
      count(({ begun }) => begun.opened),
      count(({ accepted }) => accepted),
      honest(samples),
      ...(["p50", "p99"] as const).flatMap((of) => [
        millis(samples.map(({ idle }) => idle.latencyMillis?.[of])),
        millis(samples.map(({ attacked }) => attacked.latencyMillis?.[of])),
        shown(samples.map((sample) => slowdown(sample, of)))
      ]),
      count(({ peak }) => peak.threads),
      megabytes(samples.map(({ peak }) => peak.peakRss)),
      shown(
        samples.map((sample) => {
          const bytes = perConnection(sample)
          return bytes === null ? null : bytes / 1024
        }),
        " kB"
      )
    ]
  })

const head = [
  "server",
  "slow connections opened",
  "held by the server",
  "honest clients answered",
  "p50 idle",
  "p50 attacked",
  "times",
  "p99 idle",
  "p99 attacked",
  "times",
  "threads at most",
  "memory at most",
  "a connection"
]

/** What the server does to such clients unless it is told to let them be. */
const defaults = (part: Parts["6"]): ReadonlyArray<string> => {
  const [sample] = samplesOf(part, withDefaults)
  if (sample === undefined) return []
  const { attacked, over } = sample
  const statuses = Object.entries(over.ended).map(([status, count]) =>
    status === "none"
      ? `${number(count)} were closed without an answer`
      : `${number(count)} were answered ${status} and closed`
  )
  return [
    `With its defaults (\`${withDefaults}\`) the server does not hold them at all: ${statuses.join(", ")}, since headers have to be complete within 10 s, and ${number(over.held)} were open still when the honest clients were done, 12 s after the attack began; ${number(attacked.answered)} of ${number(attacked.offered)} honest clients were answered.`
  ]
}

/** Whose slowest clients waited longer than was aimed at: it is said in words, since a table of medians would hide it. */
const tails = (part: Parts["6"]): ReadonlyArray<string> => {
  const sentences = entrantsOf(part).flatMap((name) => {
    const samples = samplesOf(part, name)
    const [half, tail] = (["p50", "p99"] as const).map((of) => middle(samples.map((each) => slowdown(each, of))) ?? 0)
    if (tail! <= slowlorisTarget) return []
    const waited = (which: "idle" | "attacked") => millis(samples.map((each) => each[which].latencyMillis?.p99))
    return [
      `**${name}**: one in a hundred honest clients waited at least ${waited("attacked")} in the attack, and ${waited("idle")} before it: ${rounded(tail!)} times, where ${slowlorisTarget} are aimed at; the median of all is ${rounded(half!)} times what it was.`
    ]
  })
  return sentences.length === 0 ? [] : [sentences.map((sentence) => `- ${sentence}`).join("\n")]
}

const lateness = (part: Parts["6"]): string => {
  const lags = part.measurements.flatMap(({ sample: { attacked, idle } }) => [
    attacked.lagMillis.p50,
    idle.lagMillis.p50
  ])
  return plainMillis(middle(lags) ?? 0)
}

export const slowlorisSection = (part: Parts["6"]): string => {
  const { connections, intervalMillis, openMillis, patienceMillis, raised, rate, seconds, threadRate } = part.plan
  const variables = Object.entries(raised).map(([name, value]) => `\`${name}=${value}\``)
  return section("6. Slowloris: ten thousand connections that never end their request", [
    `${number(connections)} connections send the beginning of a request and then a byte every ${plainMillis(intervalMillis)}. It costs the attacker nothing. To a server that holds a thread for a connection from accept to close, each of them is a thread gone, or waiting behind those that are; to an event loop it is some memory. Meanwhile honest clients ask for \`/fast\`.`,
    svg("slowloris", "Latency of honest clients before the attack and in it"),
    table(head, rows(part)),
    ...fallen(part),
    ...tails(part),
    ...defaults(part),
    `How: the slow connections come from one process, at most 400 being opened at a time and for at most ${plainMillis(openMillis)}, each with its own moment in the interval, so that ${number((1000 * connections) / intervalMillis)} bytes a second arrive from the first moment on. Honest clients come from another one, ${rate} a second (${threadRate} for thread-per-request, which more would bring down without any attack) for ${seconds} s before the attack and ${seconds} s in it, at fixed times, each on a new connection (open loop: latency counts from when a client was due; of ${number(rate * seconds)} clients ${number(Math.floor(0.01 * rate * seconds))} wait longer than the p99), and wait ${plainMillis(patienceMillis)}. The load's own lateness, ${lateness(part)} in the median, is in both columns. "Opened" is what the system opened for the attacker, which may stand in the backlog of the kernel; "held by the server" are its open sockets above those before. Memory for a connection is the growth of \`VmRSS\` over those. The event loops, but for one with its defaults in full mode, have their limits raised (${variables.join(", ")}).`,
    conditionsOf("6", part)
  ])
}

export const slowlorisChart = (part: Parts["6"]): string => {
  const names = entrantsOf(part)
  const of = (name: string, value: (sample: Slowloris) => number | null | undefined) =>
    middle(samplesOf(part, name).map(value))
  return dotChart({
    title: `${number(part.plan.connections)} slow connections, and honest clients who ask for /fast`,
    kinds: ["in the attack", "before it"],
    rows: names,
    panels: [
      ...(["p50", "p99"] as const).map((quantile) => ({
        name: `latency, ${quantile}, ms (-: no answer)`,
        rows: names.map((name) => [
          of(name, ({ attacked }) => attacked.latencyMillis?.[quantile]),
          of(name, ({ idle }) => idle.latencyMillis?.[quantile])
        ])
      })),
      {
        name: "threads",
        rows: names.map((name) => [of(name, ({ peak }) => peak.threads), of(name, ({ before }) => before.threads)])
      }
    ]
  })
}
