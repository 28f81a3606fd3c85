/** The servers of `packages/examples/src/architectures`, started as `npm run architecture -- <name>` starts them. */
import { fileURLToPath } from "node:url"
import type { Mode } from "./contract.ts"
import type { Command } from "./server.ts"

export type Architecture =
  | "sequential"
  | "thread-per-request"
  | "thread-pool"
  | "event-driven"
  | "hybrid"
  | "multi-loop"

export interface Entrant {
  /** How tables and charts call it. */
  readonly name: string
  readonly architecture: Architecture
  readonly env?: Readonly<Record<string, string>>
}

const main = fileURLToPath(new URL("../../packages/examples/src/architectures/main.ts", import.meta.url))

export const commandOf = ({ architecture, env = {} }: Entrant): Command => ({
  file: main,
  args: [architecture],
  env: { PORT: "0", HOST: "127.0.0.1", ...env }
})

export const pool = (workers: number, env: Readonly<Record<string, string>> = {}): Entrant => ({
  name: `pool of ${workers}`,
  architecture: "thread-pool",
  env: { ARCHITECTURE_WORKERS: String(workers), ...env }
})

export const loops = (count: number, env: Readonly<Record<string, string>> = {}): Entrant => ({
  name: `${count} loops`,
  architecture: "multi-loop",
  env: { ARCHITECTURE_WORKERS: String(count), ...env }
})

export const plain = (architecture: Architecture, env: Readonly<Record<string, string>> = {}): Entrant => ({
  name: architecture,
  architecture,
  env
})

/** The name of the entrant that keeps its limits, where those of the others are raised. */
export const withDefaults = "hybrid, defaults"

/** One of each. */
export const oneOfEach: ReadonlyArray<Entrant> = [
  plain("sequential"),
  plain("thread-per-request"),
  pool(4),
  plain("event-driven"),
  plain("hybrid"),
  loops(2)
]

/** Requests before a measurement: each costs this one a thread. */
export const warmUpOf = ({ architecture }: Entrant): number => (architecture === "thread-per-request" ? 4 : 200)

/** Of a comparison: those that take long to start, and show only more of the same, are left out in quick mode. */
export const entrantsIn = (mode: Mode, all: ReadonlyArray<Entrant>, onlyInFull: ReadonlyArray<string>) =>
  all.filter(({ name }) => mode === "full" || !onlyInFull.includes(name))

/** Where threads are only made until the clients have gone, a further round would show the same, and takes long. */
export const onceIfThreads = ({ architecture }: Entrant): { readonly rounds?: number } =>
  architecture === "thread-per-request" ? { rounds: 1 } : {}

/** About how long it takes to start and to warm up, in seconds: each thread loads its modules. */
export const startSeconds = ({ architecture, env }: Entrant): number => {
  const workers = Number(env?.["ARCHITECTURE_WORKERS"] ?? 1)
  const each = architecture === "thread-pool" || architecture === "multi-loop" ? 0.35 : 0
  return 1 + each * workers + (architecture === "thread-per-request" ? 1 : 0)
}
