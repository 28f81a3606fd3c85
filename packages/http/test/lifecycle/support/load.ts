import { Effect, Fiber } from "effect"
import type { Scope } from "effect"
import { Agent, request } from "node:http"
import type { IncomingMessage } from "node:http"
import { bytes } from "../fixtures/bytes.ts"

/** What went wrong with a request, in the words of whoever noticed. */
export interface Failure {
  readonly what: string
  readonly why: string
}

export interface Report {
  readonly answers: number
  readonly failures: ReadonlyArray<Failure>
}

export interface Load {
  /** Ends the load once every request in flight is answered. */
  readonly end: Effect.Effect<Report>
}

interface Request {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly body?: Uint8Array
  readonly expected: Uint8Array
}

/** A wrong answer, or `undefined`. */
const send = (port: number, agent: Agent | false, { body, expected, method, path }: Request) =>
  Effect.callback<string | undefined>((resume) => {
    const fail = (why: string) => resume(Effect.succeed(why))
    const onResponse = (response: IncomingMessage): void => {
      const parts: Array<Buffer> = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", (error) => fail(`in the answer: ${error.message}`))
      response.on("end", () => {
        const received = Buffer.concat(parts)
        if (response.statusCode !== 200) return fail(`${response.statusCode} ${received.toString().slice(0, 200)}`)
        if (!received.equals(expected)) return fail(`wrong bytes: ${received.length} of ${expected.length}`)
        resume(Effect.succeed(undefined))
      })
    }
    const length = body === undefined ? {} : { "content-length": body.length }
    const outgoing = request({ host: "127.0.0.1", port, agent, method, path, headers: length }, onResponse)
    outgoing.on("error", (error: NodeJS.ErrnoException) => fail(`${error.code ?? ""} ${error.message}`))
    if (body === undefined) return void outgoing.end()
    // In two parts, the second some turns later: a server that stops meets bodies that are half there.
    outgoing.write(body.subarray(0, 1000))
    setTimeout(() => outgoing.end(body.subarray(1000)), 5)
  })

const get = (seed: number): Request => {
  const length = (seed * 7919) % 100_000
  const path = `/bytes?seed=${seed}&length=${length}&millis=${seed % 20}`
  return { method: "GET", path, expected: bytes(seed, length) }
}

const post = (seed: number): Request => {
  const body = bytes(seed, 1001 + ((seed * 7919) % 50_000))
  return { method: "POST", path: "/echo", body, expected: body }
}

/** How many clients there are of each kind: GET and POST, on connections that are kept and on new ones. */
export const clientsOfAKind = 4

/**
 * Constant load until its end: each client sends its next request a moment after it has its answer, of which every byte is compared. Nothing
 * is sent a second time.
 */
export const startLoad = (port: number): Effect.Effect<Load, never, Scope.Scope> =>
  Effect.gen(function* () {
    const keepAlive = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ keepAlive: true })),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const failures: Array<Failure> = []
    let [answers, seed, ends] = [0, 0, false]
    const client = (agent: Agent | false, make: (seed: number) => Request) =>
      Effect.gen(function* () {
        while (!ends) {
          const request = make(++seed)
          const why = yield* send(port, agent, request)
          if (why === undefined) answers++
          else failures.push({ what: `${request.method} ${agent === false ? "new" : "kept"} ${request.path}`, why })
          yield* Effect.sleep(5)
        }
      })
    const clients = [keepAlive, false as const].flatMap((agent) =>
      [get, post].flatMap((make) => Array.from({ length: clientsOfAKind }, () => client(agent, make)))
    )
    const running = yield* Effect.forkScoped(Effect.all(clients, { concurrency: "unbounded", discard: true }))
    return {
      end: Effect.gen(function* () {
        ends = true
        yield* Fiber.join(running)
        return { answers, failures }
      })
    }
  })
