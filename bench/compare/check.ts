/**
 * Assertions on what makes the text: figures, the choice of sentences, targets and charts, from results that are made up here. They take
 * some milliseconds and run before every measurement, since it would be a pity to find out after twenty minutes.
 */
import assert from "node:assert/strict"
import type { CostResult } from "../metricstream/cost.ts"
import { comparison } from "../tables/compare.ts"
import { costParagraphs } from "../tables/compareIngest.ts"
import { dotChart } from "./charts/dots.ts"
import { rateChart } from "./charts/rates.ts"
import { waitChart } from "./charts/waits.ts"
import { agrees, middle, millis, shown } from "./figures.ts"
import { ingestCause, ingestReasons, memoryReason, spreadReason, throughputReason, waitingReason } from "./reasons.ts"
import type { IngestFacts, ThroughputFacts } from "./reasons.ts"
import type { RateReport } from "./clients/openLoop.ts"
import type { Mode, PartId, Parts } from "./contract.ts"
import { slowloris } from "./parts/slowloris.ts"
import type { Slowloris } from "./parts/slowloris.ts"
import { placeOf } from "./place.ts"
import { problemsOf, remarksOf } from "./preflight.ts"
import type { Surroundings } from "./preflight.ts"
import { measure } from "./runner.ts"
import type { Retries } from "./runner.ts"
import { version } from "../support/version.ts"
import { parseArguments, partIds } from "./settings.ts"
import { targetsOf } from "./targets.ts"
import { partsIn } from "./write.ts"

/** Every element is closed by itself or by its end in order, and nothing is not a number. */
export const assertWellFormed = (svg: string): void => {
  const open: Array<string> = []
  const tags = /<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g
  assert.ok(!/[<>]/.test(svg.replaceAll(tags, "")), "a text has a sign that begins or ends an element")
  for (const [, close, name, self] of svg.matchAll(tags)) {
    if (close === "/") assert.equal(open.pop(), name, "an element ends that is not the last one that began")
    else if (self !== "/") open.push(name!)
  }
  assert.deepEqual(open, [], "elements do not end")
  assert.ok(!/NaN|undefined|Infinity/.test(svg), "a coordinate is no number")
  assert.ok(!/&(?!amp;|lt;|gt;)/.test(svg), "an ampersand is not escaped")
}

const checkArguments = (): void => {
  assert.equal(parseArguments([]).mode, "full")
  assert.equal(parseArguments([]).parts.length, 7)
  assert.deepEqual(parseArguments(["quick", "6", "1"]).parts, ["1", "6"])
  assert.equal(parseArguments(["quick", "6", "--out", "/there"]).out, "/there")
  assert.throws(() => parseArguments(["8"]), /8 is none of/)
  assert.ok(parseArguments(["-h"]).help && parseArguments(["--help"]).help && !parseArguments([]).help)
  assert.throws(() => parseArguments(["--in", "/there"]), /--in/)
}

/** Nothing of quick mode ever comes to where full mode writes, nor into a table with it. */
const checkPlaces = (): void => {
  for (const out of [undefined, "/there"]) {
    const [full, quick] = [placeOf("full", out), placeOf("quick", out)].map((place) => [
      place.results,
      place.text,
      place.chart("x")
    ])
    assert.equal(new Set([...full!, ...quick!]).size, 6)
  }
  const part = throughputPart([9500])
  assert.deepEqual(partsIn("full", { "1": part }), { "1": part })
  assert.deepEqual(partsIn("quick", { "1": part }), {})
}

const surroundings: Surroundings = {
  hasProc: true,
  hasWrk: true,
  openFiles: 65_536,
  ports: 28_232,
  hasAddresses: true,
  backlog: 4096,
  memory: 16 * 2 ** 30
}

const checkPreflight = (): void => {
  const problems = (parts: ReadonlyArray<PartId>, found: Partial<Surroundings>) =>
    problemsOf(parts, { ...surroundings, ...found }).join("\n")
  assert.equal(problems(partIds, {}), "")
  assert.match(problems(["1"], { hasWrk: false }), /^wrk is missing.*apt-get install wrk/)
  assert.equal(problems(["2", "7"], { hasWrk: false, openFiles: 4096 }), "")
  assert.match(problems(["6"], { openFiles: 4096 }), /may open 4,096 files here, and 12,000 are needed/)
  assert.match(problems(["7"], { ports: 1000 }), /1,000 local ports/)
  assert.match(problems(["4"], { hasAddresses: false, hasProc: false }), /no \/proc.*\n.*127\.0\.0\.201,/)
  assert.deepEqual(remarksOf(surroundings), [])
  assert.equal(remarksOf({ ...surroundings, backlog: 128, memory: 2 ** 30 }).length, 2)
}

/** Which try counts, and how many there were, when other programs used so many cores in each of them. */
const tried = async (
  others: ReadonlyArray<number>,
  retries: Retries
): Promise<readonly [sample: number, tries: number]> => {
  let count = 0
  const step = { entrant: "one", seconds: 5, measure: () => Promise.resolve(++count) }
  const watch = () => () => ({ stealPercent: null, otherCores: others[count - 1]! })
  const { sample, tries } = await measure(step, 0, retries, { watch, settle: () => Promise.resolve() })
  return [sample, tries]
}

const checkRetries = async (): Promise<void> => {
  assert.deepEqual(await tried([0.1], { seconds: 60 }), [1, 1])
  assert.deepEqual(await tried([0.9, 0.1], { seconds: 60 }), [2, 2])
  assert.deepEqual(await tried([0.9, 0.4, 0.5], { seconds: 60 }), [2, 3])
  assert.deepEqual(await tried([0.9], { seconds: 4 }), [1, 1])
}

const checkFigures = (): void => {
  assert.equal(middle([3, 1, 2]), 2)
  assert.equal(middle([null, Number.NaN, undefined]), null)
  assert.equal(shown([1, 3, 2], " x", String), "2 x (1 to 3)")
  assert.equal(shown([2, 2], " x", String), "2 x")
  assert.equal(shown([null]), "-")
  assert.equal(millis([2500]), "2.50 s")
  assert.ok(agrees(96, 100) && !agrees(94, 100) && !agrees(106, 100))
}

const throughputFacts: ThroughputFacts = {
  name: "one",
  claimed: 1000,
  measured: 9700,
  ceiling: 10_000,
  clients: 1000,
  waitMillis: 100,
  atATime: undefined,
  cores: 0.5,
  machineCores: 2,
  otherCores: 0
}

const checkThroughput = (): void => {
  const reason = (facts: Partial<ThroughputFacts>) => throughputReason({ ...throughputFacts, ...facts })
  assert.equal(reason({ claimed: 9300 }), undefined)
  assert.match(reason({})!, /10,000 answers a second and no more: 10 % of that are claimed, 97 % measured/)
  assert.match(
    reason({ claimed: 80, measured: 40, ceiling: 80, atATime: 8 })!,
    /a worker had each request for 200 ms .* 100 more than the handler waits/
  )
  assert.match(reason({ measured: 400, cores: 1.9 })!, /there was no CPU left/)
  assert.match(reason({ measured: 400 })!, /do not say what was/)
  assert.match(reason({ measured: 400, otherCores: 1.2 })!, /used 1.2 cores meanwhile: measure again/)
  assert.match(
    reason({ claimed: 40, measured: 79, ceiling: 80, atATime: 8 })!,
    /8 at a time .* 50 % of that are claimed, 99 % measured/
  )
  const memory = { name: "one", claimed: 8, peak: 90e6, idle: 80e6, clients: 1000, each: undefined, workers: 1 }
  assert.equal(memoryReason({ ...memory, claimed: 90 }), undefined)
  assert.match(memoryReason(memory)!, /before the first request: Node/)
  assert.match(memoryReason({ ...memory, each: 1e7, workers: 8 })!, /8 threads with 10 MB each/)
  const waits = { name: "one", claimed: 600, measured: 620, first: 200, waitMillis: 200 }
  assert.equal(waitingReason(waits), undefined)
  assert.match(waitingReason({ ...waits, measured: 2000 })!, /10.0 times the wait/)
}

const ingestFacts: IngestFacts = {
  rate: 500,
  claimed: 98.5,
  measured: 20,
  lowest: 20,
  serverCores: 1.5,
  loadCores: 0.4,
  machineCores: 2,
  otherCores: 0,
  cpuMicros: 20_000,
  fell: null
}

const checkIngest = (): void => {
  const cause = (facts: Partial<IngestFacts>) => ingestCause({ ...ingestFacts, ...facts })
  assert.equal(cause({ measured: 98, lowest: 98 }), "agrees")
  assert.equal(cause({ measured: 97, lowest: 97 }), "cpu")
  assert.equal(cause({}), "cpu")
  assert.equal(cause({ serverCores: 0.2 }), "unknown")
  assert.equal(cause({ serverCores: 0.2, otherCores: 1.3 }), "cpu")
  assert.equal(cause({ claimed: 98, measured: 100, lowest: 99.5, serverCores: 2 }), "more")
  assert.equal(cause({ claimed: 98, measured: 100, lowest: 33 }), "edge")
  assert.equal(cause({ claimed: 98, measured: 98, lowest: 33 }), "edge")
  assert.equal(cause({ fell: "ended by us" }), "fell over")
  const facts = [
    ingestFacts,
    { ...ingestFacts, rate: 1000, claimed: 88 },
    { ...ingestFacts, rate: 2000, measured: 98.5, lowest: 98.5 },
    { ...ingestFacts, rate: 5000, measured: 100, lowest: 33 }
  ]
  const reasons = ingestReasons("one", facts, "")
  assert.equal(reasons.length, 2)
  assert.match(reasons[1]!, /100 % measured, but in the worst round 33 %: that is the edge/)
  const spread = { rate: 500, serverCores: [1, 0.9], loadCores: [0.4], machineCores: 2 }
  assert.equal(spreadReason("one", { ...spread, medians: [2, 10] }), undefined)
  assert.equal(spreadReason("one", { ...spread, medians: [] }), undefined)
  assert.match(
    spreadReason("one", { ...spread, medians: [318, 6.9] })!,
    /was 6\.9 ms and 318 ms .* used 0\.90 to 1\.0 cores/
  )
  assert.match(reasons[0]!, /at 500 and 1,000\/s: 98.5 and 88 % claimed, 20 and 20 % measured/)
  assert.match(reasons[0]!, /20,000 us/)
}

const checkCharts = (): void => {
  const rows = ["a < b", "c"]
  const panels = [
    {
      name: "p & q",
      rows: [
        [1, 1000],
        [null, 5]
      ]
    }
  ]
  assertWellFormed(dotChart({ title: "t", kinds: ["x", "y"], rows, panels }))
  assertWellFormed(dotChart({ title: "t", kinds: ["x"], rows, panels: [{ name: "p", rows: [[null], [0]] }] }))
  const wait = { name: "w", from: 0, to: 1200, status: 200 }
  const waits = [
    [wait, { ...wait, from: 100, to: 103 }],
    [wait, { ...wait, status: 504 }]
  ]
  assertWellFormed(waitChart({ title: "t", rows, panels: [{ name: "p", rows: waits }] }))
  const lines = [
    { name: "x", measured: [100, null], claimed: [99, 50] },
    { name: "y", measured: [1, 2], claimed: null }
  ]
  assertWellFormed(rateChart({ title: "t", rates: [500, 1000], lines }))
  assert.throws(() => assertWellFormed("<svg><g></svg>"))
  assert.throws(() => assertWellFormed('<svg><path d="MNaN"/></svg>'))
}

const footprint = { threads: 7, rss: 100e6, peakRss: 120e6 }

const throughputPart = (perSecond: ReadonlyArray<number>): Parts["1"] => ({
  measuredAt: "2026-01-01T00:00:00.000Z",
  mode: "full",
  rounds: perSecond.length,
  machine: { node: "v24.0.0", cpu: "made up", cores: 2 },
  seconds: 1,
  plan: { clients: 1000, waitMillis: 100, seconds: 1, warmUpSeconds: 1 },
  failures: [],
  measurements: perSecond.map((perSecond, round) => ({
    entrant: "event-driven",
    round,
    stealPercent: 0,
    otherCores: 0,
    tries: 1,
    sample: { perSecond, refused: 0, socketErrors: "", cores: 0.5, idle: footprint, peak: footprint, fell: null }
  }))
})

const slowlorisSample = (p50: number, p99: number, answered: number): Slowloris => {
  const failures = { refused: 0, broken: 0, timedOut: 0, notSent: 0, malformed: 0 }
  const lagMillis = { p50: 0, p99: 0, max: 0, stall: 0 }
  const idle: RateReport = {
    offered: 400,
    answered: 400,
    statuses: { "200": 400 },
    failures,
    latencyMillis: { p50: 2, p99: 5, max: 5 },
    lagMillis,
    late: 0,
    wallSeconds: 4,
    cpuSeconds: 1
  }
  const counts = { opened: 10_000, held: 10_000, ended: {}, bytes: 0, openMillis: 500 }
  return {
    idle,
    attacked: { ...idle, answered, latencyMillis: { p50, p99, max: p99 } },
    begun: counts,
    over: counts,
    accepted: 10_000,
    before: footprint,
    during: footprint,
    peak: footprint,
    fell: null
  }
}

const slowlorisPart = (mode: Mode, sample: Slowloris): Parts["6"] => {
  const { entrant: _, ...measurement } = throughputPart([1]).measurements[0]!
  return {
    ...throughputPart([]),
    mode,
    rounds: 1,
    plan: slowloris(mode).plan,
    measurements: [{ ...measurement, entrant: "hybrid", sample }]
  }
}

/** The median and the p99 are judged each for itself, and what was not measured is neither met nor missed. */
const checkSlowlorisTargets = (): void => {
  const judged = (sample: Slowloris) =>
    targetsOf({ "6": slowlorisPart("quick", sample) }).flatMap(({ met, target }) =>
      target.startsWith("6: hybrid") ? [met] : []
    )
  assert.deepEqual(judged(slowlorisSample(6, 15, 400)), [true, true, true])
  assert.deepEqual(judged(slowlorisSample(6, 16, 400)), [true, true, false])
  assert.deepEqual(judged(slowlorisSample(7, 15, 400)), [true, false, true])
  assert.deepEqual(judged(slowlorisSample(6, 15, 399)), [true, false, false])
  const [quick, full] = (["quick", "full"] as const).map((mode) =>
    targetsOf({ "6": slowlorisPart(mode, slowlorisSample(6, 15, 400)) }).at(-1)
  )
  assert.deepEqual([quick?.met, quick?.measured], [undefined, "not measured (full mode)"])
  assert.deepEqual([full?.met, full?.measured], [undefined, "could not be measured"])
  const failures = [{ entrant: "2 loops", round: 0, message: "made up" }]
  const failed = targetsOf({ "6": { ...slowlorisPart("quick", slowlorisSample(6, 15, 400)), failures } }).at(-1)
  assert.equal(failed?.measured, "could not be measured")
  const text = comparison({ "6": slowlorisPart("quick", slowlorisSample(6, 16, 400)) }, undefined)
  assert.match(text, /Quick mode/)
  assert.match(text, /3\.0 times the median latency of an idle server and 3\.2 times its p99 \| \*\*no\*\* \|/)
  assert.match(text, /\| not measured \(full mode\) \| - \|/)
}

const checkTargets = (): void => {
  const [target] = targetsOf({ "1": throughputPart([9500, 8000, 9100]) })
  assert.deepEqual([target?.met, target?.measured], [true, "9,100/s (8,000 to 9,500)"])
  assert.equal(targetsOf({ "1": throughputPart([8999]) })[0]?.met, false)
  assert.deepEqual(targetsOf({}), [])
  const text = comparison({ "1": throughputPart([9500]) }, undefined)
  assert.match(text, /\*\*event-driven\*\*: 1,000\/s claimed, 9,500\/s measured/)
  assert.match(text, /20 MB claimed, 114 MB measured/)
  assert.match(text, /more than 5 % apart/)
  assert.match(version() ?? "1a2b3c4", /^[0-9a-f]{7,}\+?$/)
  assert.match(text, /\*`npm run compare -- 1`, 2026-01-01 00:00 UTC, full mode/)
  const known = comparison({ "1": { ...throughputPart([9500]), version: "1a2b3c4+" } }, undefined)
  assert.match(known, /00:00 UTC, code of 1a2b3c4\+, full mode/)
  const disturbed = throughputPart([9500])
  const measurements = disturbed.measurements.map((each) => ({ ...each, stealPercent: 20, tries: 3 }))
  assert.match(
    comparison({ "1": { ...disturbed, measurements } }, undefined),
    /still disturbed: event-driven \(20 % of the CPU time stolen, measured 3 times\)/
  )
  const shared = throughputPart([9500]).measurements.map((each) => ({ ...each, otherCores: 0.5 }))
  assert.match(
    comparison({ "1": { ...disturbed, measurements: shared } }, undefined),
    /still disturbed: event-driven \(other programs used 0\.50 cores, measured once\)/
  )
}

/** What is said of the cost adds up, as it is shown: also where what is shown was rounded. */
const checkCost = (): void => {
  const costs = {
    read: 30.04,
    parse: 20.04,
    server: 70,
    rateLimit: 0.04,
    json: 0.04,
    validate: 0.04,
    store: 50,
    write: 10.04
  }
  const spread = { median: 250, min: 240, max: 260 }
  const cost: CostResult = {
    scenario: "metricstream-cost",
    rate: 2000,
    seconds: 1,
    rounds: 3,
    machine: { node: "v24.0.0", cpu: "made up", cores: 2 },
    stealPercent: 0,
    stages: costs,
    sum: { ...spread, median: 190 },
    whole: spread,
    wholeThreads: { eventLoop: 150, storage: 60 },
    group: 7,
    claimed: { work: 34, threadPerRequest: 834, pool: 45 }
  }
  const text = costParagraphs(cost).join("\n")
  assert.match(text, /\*\*together\*\* \| 180\.0 us/)
  assert.match(
    text,
    /take 60\.0 us here: 40\.0 us for the bytes.* 20\.0 us in `node:http`, and 0\.0 us for the other three/
  )
  assert.match(text, /250\.0 us: 150\.0 us on.* 60\.0 us on.* 40\.0 us on .* 70\.0 us more.* at least 30\.0 us/)
  assert.match(text, /metricstream-cost`, when is not known, 2,000/)
  assert.deepEqual(costParagraphs(undefined), [])
}

const checkText = (): void => {
  const text = comparison({}, undefined)
  assert.match(text, /## 7\. Not measured yet/)
  assert.ok(!text.includes("What was aimed at"))
}

export const check = async (): Promise<void> => {
  checkArguments()
  checkPlaces()
  checkPreflight()
  checkFigures()
  checkThroughput()
  checkIngest()
  checkCharts()
  checkTargets()
  checkSlowlorisTargets()
  checkCost()
  checkText()
  await checkRetries()
}
