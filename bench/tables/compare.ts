/** COMPARISON.md, the whole of it, from what was measured. */
import type { PartId, Results } from "../compare/contract.ts"
import { pointsText, toleranceText } from "../compare/figures.ts"
import { targetsOf } from "../compare/targets.ts"
import type { CostResult } from "../metricstream/cost.ts"
import { table } from "../support/markdown.ts"
import { connectionsSection, hundredSection } from "./compareConnections.ts"
import { ingestSection } from "./compareIngest.ts"
import { shortSection } from "./compareShort.ts"
import { slowlorisSection } from "./compareSlowloris.ts"
import { throughputSection } from "./compareThroughput.ts"
import { timelineSection, waitingSection } from "./compareWaits.ts"

const opening = `# Why servers freeze: six architectures, measured

A server freezes when the thing that a client holds while it waits is scarce. Here are six servers with the same routes and the same handlers
(\`packages/examples/src/architectures\`); only who holds what, and when, differs. Seven comparisons attack them, and say what it cost.

| server | a client that waits holds | so it freezes when |
|---|---|---|
| \`sequential\` | the server | one client is slow |
| \`thread-per-request\` | a thread, made for it | threads cost more than there is |
| \`thread-pool\` | a thread of a fixed number | as many clients are slow as there are threads |
| \`event-driven\` | some memory | one handler computes |
| \`hybrid\` | some memory; what computes holds a worker thread | not by one client; what it cannot carry is refused |
| \`multi-loop\` | the same, on one of several loops | the same; one loop's crash is nobody else's |

Node.js cannot hand a socket to a thread: in the two that hold a thread, the main thread carries bytes between the socket and the worker, which
is where the request is read, handled and answered. That makes them slower than such servers are in C or Java, where a thread has the socket
itself and costs a stack and not a JavaScript engine. The two and \`sequential\` serve one request a connection and close it, since the thread, or
the turn, belongs to the connection from accept to close.

"Claimed" is what the documents say that this project was started with. A measured figure agrees with it if it is at most ${toleranceText} away, a share
in per cent if it is at most ${pointsText} away; for all others a sentence says what is known of the difference.

\`npm run compare\` measures the seven comparisons again (about 20 minutes; \`npm run compare -- quick\` about 3, with some servers left out, into
\`.data/compare/\`; \`npm run compare -- 1 6\` only some). Where the CPU time of one request goes, at the end of comparison 7, is measured by
\`npm run bench -- metricstream-cost\`, and taken over by \`npm run compare -- write\`. A line in italics says of each part which command measured it, when
that ended, and of which commit the code was, where that was written down (a \`+\`: with changes since). Figures are the median of the rounds, with
the lowest and the highest; every measurement starts a new server in a process of its own, and load comes from another one on the same machine.
Raw results: [bench/results/compare.json](bench/results/compare.json),
[bench/results/metricstream-cost.json](bench/results/metricstream-cost.json).`

const verdict = (met: boolean | undefined): string => (met === undefined ? "-" : met ? "met" : "**missed**")

const targets = (results: Results): ReadonlyArray<string> => {
  const lines = targetsOf(results)
  if (lines.length === 0) return []
  const rows = lines.map(({ measured, met, target }) => [target, measured, verdict(met)])
  return ["## What was aimed at", table(["target", "measured", ""], rows)]
}

type Sections = { readonly [K in PartId]: (part: NonNullable<Results[K]>, cost: CostResult | undefined) => string }

const sections: Sections = {
  "1": throughputSection,
  "2": waitingSection,
  "3": timelineSection,
  "4": connectionsSection,
  "5": hundredSection,
  "6": slowlorisSection,
  "7": ingestSection
}

const sectionOf = <K extends PartId>(results: Results, id: K, cost: CostResult | undefined): string => {
  const part = results[id]
  return part === undefined ? `## ${id}. Not measured yet` : sections[id](part, cost)
}

const machineOf = (results: Results): string => {
  const machines = new Set(Object.values(results).map(({ machine }) => `${machine.cpu}, ${machine.cores} cores`))
  return `Machine: ${[...machines].join("; ")}, shared; load and server have it together. Trust orders of magnitude and ratios; the rest is weather.`
}

/** So that nobody takes its figures for those of the other mode. */
const quickNote = (results: Results): ReadonlyArray<string> =>
  Object.values(results).some(({ mode }) => mode === "quick")
    ? [
        "**Quick mode: one round, shorter measurements, some servers left out. For a look; COMPARISON.md has the figures.**"
      ]
    : []

/** `cost`: what a request of MetricStream costs, if that was measured. */
export const comparison = (results: Results, cost: CostResult | undefined): string =>
  [
    opening,
    ...quickNote(results),
    machineOf(results),
    ...shortSection(results),
    ...targets(results),
    ...(["1", "2", "3", "4", "5", "6", "7"] as const).map((id) => sectionOf(results, id, cost))
  ].join("\n\n") + "\n"
