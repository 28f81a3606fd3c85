/** What the command line asks for, and the bounds of a run. */
import { parseArgs } from "node:util"
import type { Mode, PartId } from "./contract.ts"

export const partIds: ReadonlyArray<PartId> = ["1", "2", "3", "4", "5", "6", "7"]

/** A server that has more resident memory than so many bytes is ended: it fell over. */
export const memoryBound = 8 * 2 ** 30

/** Above this share of stolen CPU time a measurement is disturbed, and made again. */
export const maxStealPercent = 10
/** So it is above so many cores that other programs used: it had not the machine for itself. */
export const maxOtherCores = 0.3
/** How often a measurement is made at most. */
export const maxTries = 3
/** Before a further try: how many seconds at most it waits for the machine to be quiet for one. */
export const settleSeconds = 5
/** Of the time that a run is expected to take: so much more it may take for further tries, so that it ends on a machine that is never quiet. */
export const retryShare = 0.5

export interface Arguments {
  readonly mode: Mode
  readonly parts: ReadonlyArray<PartId>
  /** The folder for results, charts and text; their own places by default. */
  readonly out: string | undefined
  /** Only looks whether sentences and charts come out as they should, and are those of the results. */
  readonly check: boolean
  /** Only writes charts and text again, from the results that there are. */
  readonly write: boolean
  /** Only says what it takes. */
  readonly help: boolean
}

/** What `--help` prints. */
export const usage = `npm run compare -- [full|quick] [1 … 7] [--out <folder>]

  full     as published, about 20 minutes; the default
  quick    one round of shorter measurements, some servers left out, about 3 minutes
  1 … 7    only these comparisons; all by default
  --out    where results, charts and text go (quick: .data/compare/ by default)

npm run compare -- write    charts and text again, from the results that there are
npm run compare -- check    whether what makes them works, and whether those published are those of the results`

const isPart = (arg: string): arg is PartId => partIds.includes(arg as PartId)

/** Throws for what it does not know. */
export const parseArguments = (args: ReadonlyArray<string>): Arguments => {
  const { positionals, values } = parseArgs({
    args: [...args],
    options: { out: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
    allowPositionals: true
  })
  const words = ["quick", "full", "check", "write"]
  const unknown = positionals.filter((arg) => !isPart(arg) && !words.includes(arg))
  if (unknown.length > 0) {
    throw new Error(`${unknown.join(", ")} is none of ${words.join(", ")}, ${partIds.join(", ")}`)
  }
  const parts = partIds.filter((id) => positionals.includes(id))
  return {
    mode: positionals.includes("quick") ? "quick" : "full",
    parts: parts.length > 0 ? parts : partIds,
    out: values.out,
    check: positionals.includes("check"),
    write: positionals.includes("write"),
    help: values.help
  }
}
