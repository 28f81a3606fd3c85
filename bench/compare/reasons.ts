/**
 * Why a measured figure is not the claimed one, in a sentence made of figures that were measured beside it. Where these do not explain it,
 * the sentence says so: no reason is better than a guess.
 */
import { number, rounded } from "../support/markdown.ts"
import { agrees, mebibyte, tolerancePoints } from "./figures.ts"
import { maxOtherCores } from "./settings.ts"

/** A server or its load are out of CPU when they use so much of the machine. */
const usedUp = 0.85

export interface ThroughputFacts {
  readonly name: string
  readonly claimed: number
  readonly measured: number
  /** What so many clients, or so many workers, allow by arithmetic. */
  readonly ceiling: number
  readonly clients: number
  readonly waitMillis: number
  /** Requests at a time, if the architecture limits them. */
  readonly atATime: number | undefined
  /** CPU of the server, and cores of the machine. */
  readonly cores: number
  readonly machineCores: number
  /** Cores that other programs used. */
  readonly otherCores: number
}

/** Who had the CPU that was not there for a measurement. */
const disturbance = (otherCores: number): string =>
  otherCores > maxOtherCores
    ? ` Other programs of this machine used ${rounded(otherCores)} cores meanwhile: measure again.`
    : ""

/** `undefined`: they agree. */
export const throughputReason = (facts: ThroughputFacts): string | undefined => {
  const { atATime, ceiling, claimed, clients, cores, machineCores, measured, name, otherCores, waitMillis } = facts
  if (agrees(measured, claimed)) return undefined
  const both = `**${name}**: ${number(claimed)}/s claimed, ${number(measured)}/s measured`
  const used = `The server used ${rounded(cores)} of ${machineCores} cores`
  const others = disturbance(otherCores)
  if (measured < claimed && atATime !== undefined) {
    const held = (1000 * atATime) / measured
    return `${both}. By arithmetic a worker had each request for ${rounded(held)} ms (workers over answers a second), ${rounded(held - waitMillis)} more than the handler waits; what they went to was not looked into. ${used}.${others}`
  }
  if (measured >= usedUp * ceiling) {
    const share = (figure: number) => `${number((100 * figure) / ceiling)} %`
    const who = atATime === undefined ? `${number(clients)} clients` : `${atATime} at a time`
    return `${both}. ${who} that each wait ${waitMillis} ms can have ${number(ceiling)} answers a second and no more: ${share(claimed)} of that are claimed, ${share(measured)} measured. ${used}.${others}`
  }
  if (cores >= usedUp * machineCores) return `${both}. ${used}, and the load had the rest: there was no CPU left.`
  if (others !== "") return `${both}. ${used}.${others}`
  return `${both}. ${used}, so CPU was not short; these figures do not say what was.`
}

export interface MemoryFacts {
  readonly name: string
  /** Megabytes. */
  readonly claimed: number
  /** Bytes: at most, and before the first request. */
  readonly peak: number
  readonly idle: number
  readonly clients: number
  /** Bytes that a worker of the pool takes, if it is one, or a loop. */
  readonly each: number | undefined
  readonly workers: number
}

/** `undefined`: they agree. */
export const memoryReason = (facts: MemoryFacts): string | undefined => {
  const { claimed, clients, each, idle, name, peak, workers } = facts
  if (agrees(peak / mebibyte, claimed)) return undefined
  const both = `**${name}**: ${number(claimed)} MB claimed, ${number(peak / mebibyte)} MB measured`
  const before = `${number(idle / mebibyte)} MB are there before the first request`
  const grown = `${number(clients)} clients added ${number((peak - idle) / mebibyte)}`
  if (each === undefined) return `${both}. ${before}: Node, its compiled code and Effect; ${grown}.`
  const share = `${workers} threads with ${number(each / mebibyte)} MB each, since each has a JavaScript engine and heap of its own`
  return `${both}. ${before}, among them ${share}; ${grown}.`
}

export interface WaitingFacts {
  readonly name: string
  /** Milliseconds, the claim divided by the factor of the plan. */
  readonly claimed: number
  readonly measured: number
  /** When the first client had its answer. */
  readonly first: number
  readonly waitMillis: number
}

/** `undefined`: they agree. */
export const waitingReason = ({ claimed, first, measured, name, waitMillis }: WaitingFacts): string | undefined => {
  if (agrees(measured, claimed)) return undefined
  const turns = `${rounded(measured / waitMillis)} times the wait of ${number(waitMillis)} ms`
  return `**${name}**: ${number(claimed)} ms claimed, ${number(measured)} ms measured, ${turns}; the first client had its answer after ${number(first)} ms.`
}

export interface IngestFacts {
  readonly rate: number
  /** Per cent. */
  readonly claimed: number
  readonly measured: number
  /** The round with the fewest. */
  readonly lowest: number
  readonly serverCores: number
  readonly loadCores: number
  readonly machineCores: number
  readonly otherCores: number
  /** Microseconds of the server's CPU for an answer. */
  readonly cpuMicros: number | null
  readonly fell: string | null
}

export type IngestCause = "agrees" | "more" | "edge" | "cpu" | "fell over" | "unknown"

/** Which of the causes it is, by what was measured beside. */
export const ingestCause = (facts: IngestFacts): IngestCause => {
  const { claimed, fell, loadCores, lowest, machineCores, measured, otherCores, serverCores } = facts
  if (fell !== null) return "fell over"
  if (measured >= claimed - tolerancePoints && lowest < claimed - tolerancePoints) return "edge"
  if (Math.abs(measured - claimed) <= tolerancePoints) return "agrees"
  if (measured > claimed) return "more"
  return serverCores + loadCores + otherCores >= usedUp * machineCores ? "cpu" : "unknown"
}

const list = (parts: ReadonlyArray<string>): string =>
  parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)!}`

const ratesOf = (facts: ReadonlyArray<IngestFacts>) => `at ${list(facts.map(({ rate }) => number(rate)))}/s`

const range = (values: ReadonlyArray<number>, format: (value: number) => string): string => {
  const [low, high] = [format(Math.min(...values)), format(Math.max(...values))]
  return low === high ? low : `${low} to ${high}`
}

const percent = (value: number) => number(value, Number.isInteger(Math.round(value * 10) / 10) ? 0 : 1)

const ingestSentence = (
  name: string,
  cause: IngestCause,
  facts: ReadonlyArray<IngestFacts>,
  beside: string
): string => {
  const both = `**${name}** ${ratesOf(facts)}: ${list(facts.map(({ claimed }) => percent(claimed)))} % claimed, ${list(facts.map(({ measured }) => percent(measured)))} % measured`
  const cores = range(
    facts.map(({ serverCores }) => serverCores),
    (value) => number(value, 1)
  )
  const loads = range(
    facts.map(({ loadCores }) => loadCores),
    (value) => number(value, 1)
  )
  const used = `The server used ${cores} cores and the load ${loads}, of ${facts[0]!.machineCores}`
  switch (cause) {
    case "agrees":
      return `${both}: they agree.`
    case "more":
      return `${both}: more than is claimed. ${used}; why the documents have less was not looked into.`
    case "edge":
      return `${both}, but in the worst round ${list(facts.map(({ lowest }) => percent(lowest)))} %: that is the edge of what it carries. ${used}.${disturbance(Math.max(...facts.map(({ otherCores }) => otherCores)))}`
    case "cpu": {
      const micros = facts.flatMap(({ cpuMicros }) => (cpuMicros === null ? [] : [cpuMicros]))
      const each =
        micros.length === 0
          ? "No request was answered"
          : `An answer cost ${range(micros, number)} us of the server's CPU`
      return `${both}. ${used}: no CPU was left. ${each}${beside}.${disturbance(Math.max(...facts.map(({ otherCores }) => otherCores)))}`
    }
    case "fell over":
      return `${both}. It fell over: ${list([...new Set(facts.map(({ fell }) => fell ?? ""))])}.`
    case "unknown":
      return `${both}. ${used}, so CPU was not short; these figures do not say what was.`
  }
}

/** Above this ratio the medians of two rounds are not of one state of a server. */
const farApart = 5

export interface WaitsFacts {
  readonly rate: number
  /** The median latency of each round, in milliseconds. */
  readonly medians: ReadonlyArray<number>
  /** Of each round. */
  readonly serverCores: ReadonlyArray<number>
  readonly loadCores: ReadonlyArray<number>
  readonly machineCores: number
}

/** Of rounds that have little in common. `undefined`: they have enough. */
export const spreadReason = (name: string, facts: WaitsFacts): string | undefined => {
  const { loadCores, machineCores, medians, rate, serverCores } = facts
  if (medians.length === 0 || Math.max(...medians) <= farApart * Math.min(...medians)) return undefined
  const waits = medians.toSorted((a, b) => a - b).map((median) => `${rounded(median)} ms`)
  const used = `The server used ${range(serverCores, rounded)} cores and the load ${range(loadCores, rounded)}, of ${machineCores}`
  return `**${name}** at ${number(rate)}/s: the median wait was ${list(waits)} in the rounds, so that one median of them says little. ${used}; which thread was full was not measured.`
}

/** A sentence for each cause, with the rates that it explains; `beside` is what a cost is compared with. */
export const ingestReasons = (
  name: string,
  facts: ReadonlyArray<IngestFacts>,
  beside: string
): ReadonlyArray<string> => {
  const causes = [...new Set(facts.map(ingestCause))].filter((cause) => cause !== "agrees")
  return causes.map((cause) =>
    ingestSentence(
      name,
      cause,
      facts.filter((each) => ingestCause(each) === cause),
      beside
    )
  )
}
