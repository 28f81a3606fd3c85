/** What all sections of COMPARISON.md have in common. */
import { entrantsOf, samplesOf } from "../compare/contract.ts"
import type { Part, PartId } from "../compare/contract.ts"
import { disturbanceOf, disturbanceText } from "../compare/disturbance.ts"
import { maxOtherCores, maxStealPercent } from "../compare/settings.ts"
import { number, table } from "../support/markdown.ts"

type AnyPart = Part<unknown, unknown>

export const svg = (name: string, what: string): string => `![${what}](bench/results/compare-${name}.svg)`

/** Measurements that the host or other programs disturbed, and that no further try made better: whose they are, and how it was at worst. */
const disturbed = ({ measurements }: AnyPart): ReadonlyArray<string> => {
  const worst = new Map<string, AnyPart["measurements"][number]>()
  for (const each of measurements) {
    const other = worst.get(each.entrant)
    if (disturbanceOf(each) <= 1 || (other !== undefined && disturbanceOf(other) >= disturbanceOf(each))) continue
    worst.set(each.entrant, each)
  }
  return [...worst].map(([name, each]) => `${name} (${disturbanceText(each)}, ${times(each.tries)})`)
}

const times = (tries: number): string => (tries === 1 ? "measured once" : `measured ${tries} times`)

/** Who has fewer rounds than the others. */
const once = (part: AnyPart): string => {
  const names = entrantsOf(part).filter((name) => samplesOf(part, name).length < part.rounds)
  return names.length === 0 ? "" : ` (1 of ${names.join("; ")})`
}

/** `2026-11-22 03:19 UTC, code of 1a2b3c4`, as far as that was written down. */
export const whenOf = (measuredAt: string | undefined, version: string | undefined): string =>
  [
    measuredAt === undefined ? "when is not known" : `${measuredAt.slice(0, 16).replace("T", " ")} UTC`,
    ...(version === undefined ? [] : [`code of ${version}`])
  ].join(", ")

/** By what command, when, how often and on what it was measured, and what the host took away meanwhile. */
export const conditionsOf = (id: PartId, part: AnyPart): string => {
  const { failures, machine, measuredAt, measurements, mode, rounds, version } = part
  const steal = Math.max(0, ...measurements.map(({ stealPercent }) => stealPercent ?? 0))
  const again = measurements.filter(({ tries }) => tries > 1).length
  const bad = disturbed(part)
  const missing = failures.map(({ entrant, round }) => `${entrant} in round ${round + 1}`)
  const marks = [
    ...(missing.length > 0 ? [`**could not be measured: ${missing.join(", ")}**`] : []),
    ...(again > 0
      ? [
          `${again} of ${measurements.length} measurements were made again, since the host took more than ${maxStealPercent} % of the CPU time or other programs more than ${maxOtherCores} cores`
        ]
      : []),
    ...(bad.length > 0 ? [`**still disturbed: ${bad.join("; ")}; measure again**`] : [])
  ]
  const often = rounds === 1 ? "1 round" : `${rounds} rounds, servers in turning order${once(part)}`
  const host = `at most ${number(steal, steal > 0 && steal < 10 ? 1 : 0)} % of the CPU time stolen by the host`
  const command = `\`npm run compare -- ${mode === "quick" ? `quick ${id}` : id}\``
  return `*${command}, ${whenOf(measuredAt, version)}, ${mode} mode, ${often}, Node ${machine.node.slice(1)}, ${machine.cores} cores; ${[host, ...marks].join("; ")}.*`
}

/** The sentences for what disagrees, by more than `tolerance`. */
export const disagreements = (tolerance: string, reasons: ReadonlyArray<string | undefined>): ReadonlyArray<string> => {
  const sentences = reasons.filter((reason) => reason !== undefined)
  if (sentences.length === 0) return [`Measured and claimed figures agree within ${tolerance}.`]
  return [
    `Where measured and claimed figures are more than ${tolerance} apart:`,
    sentences.map((sentence) => `- ${sentence}`).join("\n")
  ]
}

/** Who came to an end before its clients did, and how. */
export const fallen = (part: Part<unknown, { readonly fell: string | null }>): ReadonlyArray<string> => {
  const sentences = entrantsOf(part).flatMap((name) => {
    const reasons = new Set(samplesOf(part, name).flatMap(({ fell }) => (fell === null ? [] : [fell])))
    return reasons.size === 0 ? [] : [`**${name}** fell over: ${[...reasons].join("; ")}.`]
  })
  return sentences.length === 0 ? [] : [sentences.join(" ")]
}

/** A table of words: all columns to the left. */
export const textTable = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  table(head, rows).replaceAll("---:|", "---|")

export const section = (title: string, paragraphs: ReadonlyArray<string>): string =>
  [`## ${title}`, ...paragraphs].join("\n\n")
