import { MultiLoop } from "@spillway/http"
import { RawClient } from "@spillway/http/testing"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { request } from "node:http"
import type { Agent } from "node:http"
import { getRequest, soon } from "../fixture.ts"

export type Supervisor = Effect.Success<ReturnType<typeof start>>

/** What the loops of a test read: options of their server, and what goes wrong. */
export type Parameters = Readonly<Record<string, number | string>>

export const toVariable = (parameters: Parameters): string =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${value}`)
    .join("&")

/** Starts two loops that end with the scope. Threads get the environment of their start, so one test must not overlap another. */
export const start = (parameters: Parameters = {}, options: Partial<MultiLoop.Options> = {}) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    process.env["MULTILOOP_TEST"] = toVariable(parameters)
    const layer = MultiLoop.layer({ entry: new URL("./loop.ts", import.meta.url), loops: 2, ...options })
    const service = Context.get(yield* Layer.buildWithScope(layer, scope), MultiLoop.MultiLoop)
    const { addresses } = yield* service.status
    const { port } = addresses[0]!
    return {
      ...service,
      port,
      url: (path: string) => `http://127.0.0.1:${port}${path}`,
      stop: Scope.close(scope, Exit.void)
    }
  })

export interface Who {
  readonly loop: number
  readonly loops: number
  readonly generation: number
  readonly threadId: number
}

export interface Answer {
  readonly status: number
  readonly body: Buffer
}

/** One request, on a connection of its own unless an agent keeps some. */
export const ask = (port: number, path: string, agent: Agent | false = false): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const sent = request({ host: "127.0.0.1", port, path, agent }, (response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, body: Buffer.concat(parts) })))
    })
    sent.on("error", (error) => resume(Effect.fail(error)))
    sent.end()
    return Effect.sync(() => sent.destroy())
  })

export const who = (port: number, agent: Agent | false = false): Effect.Effect<Who, Error> =>
  Effect.map(ask(port, "/", agent), ({ body }) => JSON.parse(body.toString()) as Who)

/** A connection to one loop, on which requests can be sent one after the other. */
export const connectTo = (supervisor: { readonly port: number }, loop: number) =>
  soon(
    Effect.gen(function* () {
      for (;;) {
        const client = yield* RawClient.connect(supervisor)
        yield* client.write(getRequest("/"))
        if ((yield* client.receivedUntil("}")).includes(`"loop":${loop},`)) return client
      }
    })
  )

/** Waits until the loops are in a state: polled, since nobody tells. */
export const untilStatus = (
  { status }: { readonly status: Effect.Effect<MultiLoop.Status> },
  reached: (status: MultiLoop.Status) => boolean
): Effect.Effect<MultiLoop.Status> =>
  soon(
    Effect.repeat(
      Effect.tap(status, () => Effect.sleep(5)),
      { until: reached }
    )
  )

/** The values of a metric, by loop. */
export const valuesOf = (text: string, metric: string): Readonly<Record<string, number>> => {
  const samples = text.matchAll(/^([\w:]+)\{loop="([^"]+)"[^}]*\} (\S+)$/gm)
  return Object.fromEntries(
    [...samples].filter(([, name]) => name === metric).map(([, , loop, value]) => [loop, Number(value)])
  )
}
