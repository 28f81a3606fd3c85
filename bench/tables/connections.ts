import { conditions, median, number, table } from "../support/markdown.ts"
import type { Machine } from "../support/machine.ts"
import type { Spread } from "../support/statistics.ts"

type PerServer = Readonly<Record<"spillway" | "node" | "stock", Spread>>

interface Report {
  readonly rounds: number
  readonly connections: number
  readonly slowReaders: number
  readonly responseBytes: number
  readonly machine: Machine
  readonly stealPercent: number | undefined
  readonly held: ReadonlyArray<{
    readonly name: string
    readonly rss: PerServer
    readonly heapAndExternal: PerServer
    readonly ratio: Spread
    readonly heapRatio: Spread
  }>
  readonly unread: ReadonlyArray<{
    readonly name: string
    readonly early: PerServer
    readonly late: PerServer
    readonly left: PerServer
    readonly download: PerServer
  }>
}

const order = ["spillway", "node", "stock"] as const
const names = { spillway: "spillway", node: "node:http", stock: "@effect/platform-node" }
const kilobytes = (bytes: number) => number(bytes / 1000, 1)
const kibibytes = (bytes: number) => number(bytes / 1024)

const heldTable = ({ held }: Report): string =>
  table(
    [
      "each connection has sent",
      ...order.map((server) => names[server]),
      "ours over node:http",
      "the same, heap and external only"
    ],
    held.map(({ heapRatio, name, ratio, rss }) => [
      name,
      ...order.map((server) => median(rss[server], kilobytes, " kB")),
      median(ratio, (value) => number(value, 2)),
      median(heapRatio, (value) => number(value, 2))
    ])
  )

const unreadTable = ({ unread }: Report): string =>
  table(
    [
      "response, server",
      "RSS a client after 0.3 s",
      "after 3 s",
      "clients left after 10 s",
      "a fast client's download meanwhile"
    ],
    unread.flatMap(({ download, early, late, left, name }) =>
      order.map((server) => [
        `${name}, ${names[server]}`,
        median(early[server], kibibytes, " KiB"),
        median(late[server], kibibytes, " KiB"),
        median(left[server], number),
        median(download[server], number, " ms")
      ])
    )
  )

export const connectionsTables = (report: Report): string => {
  const { connections, machine, responseBytes, rounds, slowReaders, stealPercent } = report
  return `Resident memory for each of ${number(connections)} connections, after forced collections:

${heldTable(report)}

${number(slowReaders)} clients that read nothing of a response of ${number(responseBytes / 2 ** 20)} MiB:

${unreadTable(report)}

${rounds} rounds; ${conditions(machine, stealPercent)}.`
}
