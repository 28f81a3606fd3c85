/** Comparisons 2 and 3 as sections, and the timeline. */
import { waitChart } from "../compare/charts/waits.ts"
import type { Wait } from "../compare/charts/waits.ts"
import { waitingClaims } from "../compare/claims.ts"
import type { Outcome } from "../compare/clients/burst.ts"
import { entrantsOf, samplesOf } from "../compare/contract.ts"
import type { Parts } from "../compare/contract.ts"
import { middle, millis, plainMillis, shown, toleranceText } from "../compare/figures.ts"
import { waitingReason } from "../compare/reasons.ts"
import { number, table } from "../support/markdown.ts"
import { conditionsOf, disagreements, fallen, section, svg } from "./compareSection.ts"

const waitingRows = (part: Parts["2"]): ReadonlyArray<ReadonlyArray<string>> =>
  entrantsOf(part).map((name) => {
    const samples = samplesOf(part, name)
    const claim = waitingClaims[name]
    return [
      name,
      claim === undefined ? "-" : plainMillis((1000 * claim) / part.plan.factor),
      millis(samples.map(({ lastMillis }) => lastMillis)),
      millis(samples.map(({ firstMillis }) => firstMillis)),
      shown(
        samples.map(({ answered }) => answered),
        "",
        number
      ),
      shown(
        samples.map(({ peak }) => peak.threads),
        "",
        number
      )
    ]
  })

const waitingReasons = (part: Parts["2"]): ReadonlyArray<string | undefined> =>
  entrantsOf(part).map((name) => {
    const claim = waitingClaims[name]
    const samples = samplesOf(part, name)
    const measured = middle(samples.map(({ lastMillis }) => lastMillis))
    if (claim === undefined || measured === null) return undefined
    const first = middle(samples.map(({ firstMillis }) => firstMillis)) ?? 0
    const { factor, waitMillis } = part.plan
    return waitingReason({ name, claimed: (1000 * claim) / factor, measured, first, waitMillis })
  })

export const waitingSection = (part: Parts["2"]): string => {
  const { clients, factor, waitMillis } = part.plan
  const scaled = factor === 1 ? "" : ` Times are divided by ${factor}, those of the claims as well.`
  return section("2. Ten clients at once", [
    `${clients} clients come in the same moment and ask for something that waits ${plainMillis(waitMillis)}. Who serves n at a time needs as many turns as ${clients} divided by n.${scaled}`,
    table(["server", "claimed", "last answer", "first answer", "answered", "threads at most"], waitingRows(part)),
    ...fallen(part),
    ...disagreements(toleranceText, waitingReasons(part)),
    `How: ${clients} connections, one request each, from a process of its own; times count from the moment at which the clients were due.`,
    conditionsOf("2", part)
  ])
}

/** How long a client waited, of all rounds. */
const waits = (part: Parts["3"], name: string, which: "alone" | "sleep" | "cpu", index: number): string =>
  millis(
    samplesOf(part, name).map((sample) => {
      const outcome = sample[which][index]
      return outcome === undefined || outcome.status !== 200 ? null : outcome.ended - outcome.at
    })
  )

const timelineRows = (part: Parts["3"]): ReadonlyArray<ReadonlyArray<string>> =>
  entrantsOf(part).map((name) => [
    name,
    waits(part, name, "alone", 0),
    waits(part, name, "sleep", 1),
    waits(part, name, "sleep", 2),
    waits(part, name, "cpu", 1),
    waits(part, name, "cpu", 2)
  ])

/** The longer wait of the two, less what it takes alone: what the slow one adds. */
const heldUp = (part: Parts["3"], name: string, which: "sleep" | "cpu"): number =>
  middle(
    samplesOf(part, name).map((sample) => {
      const wait = ({ at, ended }: Outcome) => ended - at
      return Math.max(...sample[which].slice(1).map(wait)) - Math.max(...sample.alone.map(wait))
    })
  ) ?? Infinity

const named = (names: ReadonlyArray<string>): string => (names.length === 0 ? "none" : names.join(", "))

/** Who froze, from the figures. */
const verdicts = (part: Parts["3"]): string => {
  const frozen = (which: "sleep" | "cpu") =>
    entrantsOf(part).filter((name) => heldUp(part, name, which) > slow(part, which) / 2)
  return `While the first client waits, the others are held up in: ${named(frozen("sleep"))}. While it computes: ${named(frozen("cpu"))}. (By more than half of its time, beyond what \`/fast\` takes alone, which with a new thread for each request is the making of the thread.)`
}

const slow = ({ plan }: Parts["3"], which: "sleep" | "cpu") => (which === "sleep" ? plan.sleepMillis : plan.cpuMillis)

export const timelineSection = (part: Parts["3"]): string => {
  const { cpuMillis, gapMillis, sleepMillis } = part.plan
  return section("3. Three clients: who waits how long", [
    `One client asks for something slow; ${gapMillis} and ${2 * gapMillis} ms later two others ask for \`/fast\`. That is a server freezing in its smallest form: the two did nothing wrong, and what they want is ready. Once the slow one waits (\`/sleep?ms=${sleepMillis}\`), and once it computes (\`/cpu?ms=${cpuMillis}\`, which the documents have no figures for): that is where an event loop freezes, and why \`hybrid\` has worker threads.`,
    svg("timeline", "Three clients on each server: who waits how long"),
    table(
      ["server", "`/fast` alone", "beside `/sleep`: second client", "third", "beside `/cpu`: second client", "third"],
      timelineRows(part)
    ),
    ...fallen(part),
    verdicts(part),
    "How: one connection and one request for each client, from a process of its own, at times fixed before; waits count from then to the whole answer. What asks alone is the first request of such a process, as the slow one is of the other two; the second and the third client are not. The chart shows the first round. Computing on a worker thread has a deadline of 1 s, after which a busy machine answers 504.",
    conditionsOf("3", part)
  ])
}

const names = ["the slow one", "/fast, second", "/fast, third"]

const waitOf = ({ at, ended, status }: Outcome, i: number): Wait => ({
  name: names[i] ?? "",
  from: at,
  to: ended,
  status
})

export const timelineChart = (part: Parts["3"]): string => {
  const entrants = entrantsOf(part)
  const rowsOf = (which: "sleep" | "cpu") => entrants.map((name) => samplesOf(part, name)[0]![which].map(waitOf))
  return waitChart({
    title: "Three clients, 100 ms apart: from asking to having the answer",
    rows: entrants,
    panels: [
      { name: `the first waits ${plainMillis(part.plan.sleepMillis)}`, rows: rowsOf("sleep") },
      { name: `the first computes for ${plainMillis(part.plan.cpuMillis)}`, rows: rowsOf("cpu") }
    ]
  })
}
