/**
 * What connections cost that do nothing: memory for each of 10,000 that stopped in their heads, in their bodies, or between two requests; and
 * for each of 300 clients that never read a response of 8 MiB. Our server beside plain `node:http` and stock `@effect/platform-node`, each in
 * a process of its own, rounds interleaved.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { measureState, measureUnread, responses, states } from "./connections/measure.ts"
import type { Held, ServerName, Unread } from "./connections/measure.ts"
import { connections, responseBytes, rounds, slowReaders, trial } from "./connections/settings.ts"
import { machine, watchSteal } from "./support/machine.ts"
import { spread } from "./support/statistics.ts"
import type { Spread } from "./support/statistics.ts"

const servers: ReadonlyArray<ServerName> = ["spillway", "node", "stock"]

type Samples<A> = Record<ServerName, Array<A>>

/** Every round measures each server once, in turning order. */
const interleave = async <A>(name: string, measure: (server: ServerName) => Promise<A>): Promise<Samples<A>> => {
  const samples: Samples<A> = { spillway: [], node: [], stock: [] }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < servers.length; i++) {
      const server = servers[(round + i) % servers.length]!
      const sample = await measure(server)
      console.log(`${name}, ${server}: ${JSON.stringify(sample)}`)
      samples[server].push(sample)
    }
  }
  return samples
}

const perServer = <A>(summarize: (server: ServerName) => A): Record<ServerName, A> => ({
  spillway: summarize("spillway"),
  node: summarize("node"),
  stock: summarize("stock")
})

/** Ours over plain `node:http`, round by round. */
const ratio = <A>({ node, spillway }: Samples<A>, value: (sample: A) => number): Spread =>
  spread(spillway.map((ours, round) => value(ours) / value(node[round]!)))

const steal = watchSteal()

const held = []
for (const state of states) {
  const samples = await interleave<Held>(state.name, (server) => measureState(server, state))
  held.push({
    name: state.name,
    rss: perServer((server) => spread(samples[server].map(({ rss }) => rss))),
    heapAndExternal: perServer((server) => spread(samples[server].map(({ heapAndExternal }) => heapAndExternal))),
    ratio: ratio(samples, ({ rss }) => rss),
    heapRatio: ratio(samples, ({ heapAndExternal }) => heapAndExternal),
    samples
  })
}

const unread = []
for (const { name, path } of responses) {
  const samples = await interleave<Unread>(name, (server) => measureUnread(server, path))
  for (const server of servers) {
    if (samples[server].some(({ download }) => download === undefined))
      throw new Error(`${server}: a download was cut off`)
  }
  unread.push({
    name,
    early: perServer((server) => spread(samples[server].map(({ early }) => early))),
    late: perServer((server) => spread(samples[server].map(({ late }) => late))),
    left: perServer((server) => spread(samples[server].map(({ left }) => left))),
    download: perServer((server) => spread(samples[server].map(({ download }) => download!))),
    samples
  })
}

const report = {
  scenario: "connections",
  rounds,
  connections,
  slowReaders,
  responseBytes,
  machine: machine(),
  stealPercent: steal(),
  held,
  unread
}

for (const { heapRatio, name, ratio } of held) {
  console.log(
    `${name}: ours over node:http ${ratio.median.toFixed(2)} (RSS), ${heapRatio.median.toFixed(2)} (heap and external)`
  )
}
if (!trial) {
  const folder = new URL("./results/", import.meta.url)
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL("connections.json", folder), `${JSON.stringify(report, undefined, 2)}\n`)
}
