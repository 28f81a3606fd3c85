/** What each architecture must show by the project's documents, and whether it did: the whole comparison on half a page. */
import { slowlorisTarget } from "../compare/claims.ts"
import { samplesOf } from "../compare/contract.ts"
import type { Results } from "../compare/contract.ts"
import { middle, plainMegabytes, plainMillis } from "../compare/figures.ts"
import { costRate, entrantName } from "../compare/parts/metricstream.ts"
import type { Slowloris } from "../compare/parts/slowloris.ts"
import { slowdown } from "../compare/targets.ts"
import { number, rounded } from "../support/markdown.ts"
import { textTable } from "./compareSection.ts"

/** Measured as a text, and whether it is as claimed; `undefined` where it was not measured. */
type Finding = readonly [measured: string, holds: boolean] | undefined

/** How long the last client of comparison 3 waited, in milliseconds. */
const lastWaited = (results: Results, entrant: string, which: "alone" | "sleep" | "cpu"): number | null => {
  const part = results["3"]
  if (part === undefined) return null
  return middle(
    samplesOf(part, entrant).map((sample) => {
      const last = sample[which].at(-1)
      return last === undefined || last.status !== 200 ? null : last.ended - last.at
    })
  )
}

/** Held up by the slow one for more than half of its time, or not. */
const blocked = (results: Results, entrant: string, which: "sleep" | "cpu", expected: boolean): Finding => {
  const [waited, alone] = [lastWaited(results, entrant, which), lastWaited(results, entrant, "alone")]
  const plan = results["3"]?.plan
  if (waited === null || alone === null || plan === undefined) return undefined
  const slow = which === "sleep" ? plan.sleepMillis : plan.cpuMillis
  const verb = which === "sleep" ? "waited" : "computed"
  return [
    `\`/fast\` had its answer after ${plainMillis(waited)}, while another ${verb} for ${plainMillis(slow)}; alone, after ${plainMillis(alone)}`,
    expected ? waited - alone > slow / 2 : waited - alone < slow / 2
  ]
}

const attackOf = (results: Results, entrant: string): ReadonlyArray<Slowloris> =>
  results["6"] === undefined ? [] : samplesOf(results["6"], entrant)

const stopped = (results: Results, entrant: string): Finding => {
  const attacks = attackOf(results, entrant)
  if (attacks.length === 0) return undefined
  const sum = (value: (sample: Slowloris) => number) => attacks.reduce((all, sample) => all + value(sample), 0)
  const answered = sum(({ attacked }) => attacked.answered)
  return [
    `under 10,000 slow connections ${number(answered)} of ${number(sum(({ attacked }) => attacked.offered))} honest clients were answered`,
    answered === 0
  ]
}

const survived = (results: Results, entrant: string): Finding => {
  const attacks = attackOf(results, entrant)
  const [times, tail] = (["p50", "p99"] as const).map((of) => middle(attacks.map((sample) => slowdown(sample, of))))
  const grown = middle(attacks.map(({ before, during }) => during.rss - before.rss))
  if (times === null || times === undefined || tail === null || tail === undefined || grown === null) return undefined
  const all = attacks.every(({ attacked }) => attacked.answered === attacked.offered)
  const what = all ? "all honest clients were answered" : "not all honest clients were answered"
  return [
    `10,000 slow connections took ${plainMegabytes(grown)}; ${what}, in ${rounded(times)} times the median latency of an idle server and ${rounded(tail)} times its p99`,
    all && Math.max(times, tail) <= slowlorisTarget
  ]
}

const perSecond = (results: Results, entrant: string): number | null => {
  const part = results["1"]
  return part === undefined ? null : middle(samplesOf(part, entrant).map(({ perSecond }) => perSecond))
}

/** What part of N times the answers N threads have to give. */
const severalTimes = 0.75

const multiple = (results: Results, entrant: string, workers: number): Finding => {
  const [one, many] = [perSecond(results, "sequential"), perSecond(results, entrant)]
  if (one === null || many === null) return undefined
  return [`${entrant}: ${rounded(many / one)} times the answers of one at a time`, many / one > severalTimes * workers]
}

const fallsOver = (results: Results): Finding => {
  const part = results["7"]
  if (part === undefined) return undefined
  const share = (rate: number) =>
    middle(
      samplesOf(part, entrantName("thread-per-request", rate)).map(
        ({ answered, offered }) => (100 * answered) / offered
      )
    )
  const [few, many] = [share(costRate), share(500)]
  if (few === null || many === null) return undefined
  return [`${number(few)} % answered at ${costRate} requests a second, ${number(many)} % at 500`, many < few / 2]
}

const claims: ReadonlyArray<readonly [server: string, claim: string, finding: (results: Results) => Finding]> = [
  ["sequential", "one who is slow holds up everybody", (results) => blocked(results, "sequential", "sleep", true)],
  ["sequential", "silent clients freeze it", (results) => stopped(results, "sequential")],
  [
    "thread-per-request",
    "nobody waits for another",
    (results) => blocked(results, "thread-per-request", "sleep", false)
  ],
  ["thread-per-request", "falls over as the rate grows", fallsOver],
  ["thread-pool", "N threads, N times the answers", (results) => multiple(results, "pool of 8", 8)],
  ["thread-pool", "N slow connections stop it", (results) => stopped(results, "pool of 4")],
  ["event-driven", "slow connections cost memory only", (results) => survived(results, "event-driven")],
  ["event-driven", "one who computes freezes it", (results) => blocked(results, "event-driven", "cpu", true)],
  ["hybrid", "slow connections cost memory only", (results) => survived(results, "hybrid")],
  ["hybrid", "who computes freezes nobody", (results) => blocked(results, "hybrid", "cpu", false)],
  ["multi-loop", "the same on several loops", (results) => survived(results, "2 loops")]
]

/** Nothing where nothing of it was measured. */
export const shortSection = (results: Results): ReadonlyArray<string> => {
  const rows = claims.flatMap(([server, claim, find]) => {
    const finding = find(results)
    return finding === undefined ? [] : [[server, claim, finding[0], finding[1] ? "yes" : "**no**"]]
  })
  if (rows.length === 0) return []
  return [
    "## In short",
    textTable(["server", "claimed", "measured", "so it is"], rows),
    `What counts as so: held up, or frozen, is who waits, beyond what it takes alone, for more than half of the time of the slow one; stopped is a server that answers no honest client; N times are more than ${number(100 * severalTimes)} % of them; falling over is to answer less than half of the share; memory only is that all honest clients are answered, in at most ${slowlorisTarget} times their idle latency, median and p99.`
  ]
}
