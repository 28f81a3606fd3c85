/** The same app with several workers: `node multiloop.ts loops 2`, or `node multiloop.ts cluster 2` on node's own cluster. Prints its URL. */
import cluster from "node:cluster"
import * as MultiLoop from "@spillway/http/MultiLoop"
import * as Main from "@spillway/runtime/Main"
import { Effect } from "effect"

const [, , kind = "loops", workers = "1"] = process.argv

const announce = (port: number) => process.stdout.write(`http://127.0.0.1:${port}\n`)

/** All workers of a cluster get the same port for 0, and take connections from the first process in turn. */
const startCluster = (): void => {
  let listening = 0
  for (let i = 0; i < Number(workers); i++) cluster.fork()
  cluster.on("listening", (_, { port }) => {
    if (++listening === Number(workers)) announce(port)
  })
  let running = Number(workers)
  cluster.on("exit", () => {
    if (--running === 0) process.exit(0)
  })
  process.once("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGTERM")
  })
}

const loops = Effect.gen(function* () {
  const { failed, status } = yield* MultiLoop.make({
    entry: new URL("./multiloopLoop.ts", import.meta.url),
    loops: Number(workers)
  })
  announce((yield* status).addresses[0]!.port)
  return yield* failed
})

if (kind === "loops") Main.run(Effect.scoped(loops))
else if (cluster.isPrimary) startCluster()
else await import("./multiloopLoop.ts")
