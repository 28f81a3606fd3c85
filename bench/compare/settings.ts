/** What the command line asks for, and the bounds of a run. */
import type { Mode, PartId } from "./contract.ts"

export const partIds: ReadonlyArray<PartId> = ["1", "2", "3", "4", "5", "6", "7"]

/** A server that has more resident memory than so many bytes is ended: it fell over. */
export const memoryBound = 8 * 2 ** 30

/** Above this share of stolen CPU time a measurement is made again. */
export const maxStealPercent = 10
/** Above so many cores that other programs use a measurement says so: it had not the machine for itself. */
export const maxOtherCores = 0.3
/** How often a measurement is made at most. */
export const maxTries = 3

export interface Arguments {
  readonly mode: Mode
  readonly parts: ReadonlyArray<PartId>
  /** Only looks whether sentences and charts come out as they should. */
  readonly check: boolean
  /** Only writes charts and text again, from the results that there are. */
  readonly write: boolean
}

const isPart = (arg: string): arg is PartId => partIds.includes(arg as PartId)

/** Throws for what it does not know. */
export const parseArguments = (args: ReadonlyArray<string>): Arguments => {
  const words = ["quick", "full", "check", "write"]
  const unknown = args.filter((arg) => !isPart(arg) && !words.includes(arg))
  if (unknown.length > 0) {
    throw new Error(`compare: ${unknown.join(", ")} is none of ${words.join(", ")}, ${partIds.join(", ")}`)
  }
  const parts = partIds.filter((id) => args.includes(id))
  return {
    mode: args.includes("quick") ? "quick" : "full",
    parts: parts.length > 0 ? parts : partIds,
    check: args.includes("check"),
    write: args.includes("write")
  }
}
