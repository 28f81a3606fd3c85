import { Effect } from "effect"
import { createServer } from "node:net"

// Below the ports that the kernel gives to outgoing connections (`net.ipv4.ip_local_port_range`): while a server restarts nobody may
// take its port away.
const [first, last] = [15_000, 32_000]

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/** Ports that stay free although their servers restart. */
export const freePorts = (count: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const ports: Array<number> = []
    while (ports.length < count) {
      const port = first + Math.floor(Math.random() * (last - first))
      if (!ports.includes(port) && (yield* isFree(port))) ports.push(port)
    }
    return ports
  })
