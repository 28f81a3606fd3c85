/**
 * What the settings of the servers are worth: `npm run bench -- overload tune [quick] [server …]` offers 2 and 5 times capacity to each setting of a
 * grid. The best is the one with the most useful answers at the worse of the two steps, in per cent of what the best of all has there; of those within
 * `tie` of it, the one with the lowest p99. It is what `servers/` starts them with.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { machine, watchSteal } from "../support/machine.ts"
import { number, rounded, table } from "../support/markdown.ts"
import { capacityLoadSeconds, loadSeconds, warmedSeconds } from "./estimate.ts"
import { latencyOf } from "./report.ts"
import { kinds } from "./scenarios/kinds.ts"
import type { Kind } from "./scenarios/kinds.ts"
import { describe, measureCapacity, measureStep } from "./scenarios/steps.ts"
import type { Step } from "./scenarios/steps.ts"
import { quick, servers, warmUp } from "./settings.ts"
import type { ServerName } from "./settings.ts"
import { maxStealPercent } from "./steal.ts"

type Setting = Readonly<Record<string, unknown>>

interface Grid {
  readonly kind: Kind
  readonly seconds: number
  readonly settings: ReadonlyArray<Setting>
}

interface Tried {
  readonly setting: Setting
  readonly steps: ReadonlyArray<Step>
}

const folder = new URL("../results/", import.meta.url)
const multiples = [2, 5]
const [usualSeconds, quickSeconds] = [4, 3]
/** Useful answers that are so few per cent apart are the same. */
const tie = 0.03

const cross = <A, B>(as: ReadonlyArray<A>, bs: ReadonlyArray<B>): ReadonlyArray<A & B> =>
  as.flatMap((a) => bs.map((b) => ({ ...a, ...b })))

const sampled = [100, 250, 1000].map((sampleInterval) => ({ sampleInterval }))
const delays = [50, 100, 200, 500].map((maxEventLoopDelay) => ({ maxEventLoopDelay }))
const utilizations = [0.9, 0.98].map((maxEventLoopUtilization) => ({ maxEventLoopUtilization }))
const interval = { eventLoopUtilizationMode: "interval" }

const codels = [20, 40].map((target) => ({ codel: { target, interval: 10 * target } }))
const offloads: ReadonlyArray<Setting> = [
  ...cross([{ order: "fifo" }], [{ maxQueued: 50 }, { maxQueued: 256 }]),
  { order: "adaptive" },
  { codel: {} },
  ...cross([{ order: "fifo" }, { order: "adaptive" }], codels)
]

/**
 * The delay alone, with all intervals at which it may be compared; the utilization, which knows busy but not how late, alone and with delays
 * around the middle.
 */
const grids: Readonly<Partial<Record<ServerName, Grid>>> = {
  "under-pressure": {
    kind: kinds.cpu,
    seconds: usualSeconds,
    settings: [
      ...cross(delays, sampled),
      ...cross(cross(utilizations, [{ sampleInterval: 100 }, { sampleInterval: 1000 }]), [interval]),
      ...cross(cross(delays.slice(0, 2), utilizations), [{ ...interval, sampleInterval: 100 }])
    ]
  },
  piscina: {
    kind: kinds.offloaded,
    seconds: usualSeconds,
    settings: [8, 25, 50, 256].map((maxQueue) => ({ maxQueue }))
  },
  ours: {
    kind: kinds.offloaded,
    seconds: usualSeconds,
    settings: offloads.map((offload) => ({ offload }))
  }
}

const goodput = ({ main }: Step): number => main?.goodput ?? 0
const worst = <A>(of: ReadonlyArray<A>, value: (a: A) => number) => Math.max(...of.map(value))

/** By goodput, and by p99 among those that are as good as the best. */
export const bestOf = (tried: ReadonlyArray<Tried>): Tried => {
  const most = multiples.map((_, i) => worst(tried, ({ steps }) => goodput(steps[i]!)))
  const share = ({ steps }: Tried) => Math.min(...steps.map((step, i) => goodput(step) / most[i]!))
  const p99 = ({ steps }: Tried) => worst(steps, ({ main }) => latencyOf(main, "p99"))
  const least = (1 - tie) * worst(tried, share)
  return tried.filter((one) => share(one) >= least).toSorted((a, b) => p99(a) - p99(b))[0]!
}

const used = (grid: Grid): Grid => (quick ? { ...grid, seconds: quickSeconds } : grid)

/** How long it takes. */
export const tuneSeconds = (): number =>
  servers
    .flatMap((name) => grids[name] ?? [])
    .map(used)
    .map(({ kind, seconds, settings }) => {
      const step = warmedSeconds + loadSeconds(seconds, kind.patienceMillis)
      return capacityLoadSeconds + settings.length * multiples.length * step
    })
    .reduce((sum, seconds) => sum + seconds, 0)

const tuneServer = async (name: ServerName, { kind, seconds, settings }: Grid) => {
  const steal = watchSteal()
  const capacity = await measureCapacity({ name, server: name }, kind)
  console.log(`${name}, ${kind.path}: capacity ${capacity.toFixed(1)}/s`)
  const tried: Array<Tried> = []
  for (const setting of settings) {
    const steps: Array<Step> = []
    console.log(JSON.stringify(setting))
    for (const multiple of multiples) {
      // The same arrivals for all settings.
      const offer = { capacity, multiple, seconds, warmUp, seed: 1 }
      const step = await measureStep({ name, server: name, options: setting }, kind, offer)
      console.log(describe(step))
      steps.push(step)
    }
    tried.push({ setting, steps })
  }
  return { name, path: kind.path, capacity, seconds, stealPercent: steal(), best: bestOf(tried).setting, tried }
}

const report = ({ best, capacity, name, path, stealPercent, tried }: Awaited<ReturnType<typeof tuneServer>>) => {
  const cells = (step: Step) => [rounded(goodput(step)), number(latencyOf(step.main, "p99"))]
  const rows = tried.map(({ setting, steps }) => [
    `\`${JSON.stringify(setting)}\`${setting === best ? " **best**" : ""}`,
    ...steps.flatMap(cells)
  ])
  const head = multiples.flatMap((multiple) => [`${multiple} times: useful/s`, "p99, ms"])
  const title = `**${name}**, \`${path}\`, capacity ${rounded(capacity)}/s, CPU time stolen meanwhile: ${stealPercent ?? "unknown"} %.`
  return `${title}\n\n${table(["setting", ...head], rows)}`
}

/** Measures the grids of the servers that have one. Unless it is quick, writes `results/overload-tune-<server>.json` and `.md`. */
export const runTune = async (): Promise<void> => {
  mkdirSync(folder, { recursive: true })
  for (const name of servers) {
    const grid = grids[name]
    if (grid === undefined) continue
    const result = await tuneServer(name, used(grid))
    console.log(`\n${report(result)}\n`)
    if (quick) continue
    if ((result.stealPercent ?? 0) > maxStealPercent) {
      console.log(`Not written: more than ${maxStealPercent} % of the CPU time was stolen. Measure again.`)
      continue
    }
    const file = new URL(`overload-tune-${name}`, folder)
    writeFileSync(`${file.pathname}.json`, `${JSON.stringify({ machine: machine(), ...result }, undefined, 2)}\n`)
    writeFileSync(`${file.pathname}.md`, `${report(result)}\n`)
  }
}
