import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../../../src/metricstream/main.ts", import.meta.url))

/** MetricStream as a process, started as `npm start` does, on a free port. It ends with the scope. */
export const start = Effect.fnUntraced(function* (
  database: string,
  environment: Record<string, string> = {},
  flags: ReadonlyArray<string> = []
) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [script, ...flags], {
        env: {
          ...process.env,
          PORT: "0",
          METRICSTREAM_DB: database,
          METRICSTREAM_SAMPLER: "off",
          // Tests may store events of any time.
          METRICSTREAM_RETENTION: "Infinity",
          ...environment
        },
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
  const exited = once(child, "exit")
  const url = yield* Effect.promise(async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const found = /^MetricStream is listening on (\S+)$/.exec(line)
      if (found !== null) return found[1]!
    }
    throw new Error(`MetricStream did not start: ${errors}`)
  }).pipe(Effect.timeout("10 seconds"))
  child.stdout.resume()

  const end = (signal: NodeJS.Signals) =>
    Effect.promise(async () => {
      child.kill(signal)
      return ((await exited) as [number | null])[0]
    }).pipe(Effect.timeout("15 seconds"))
  return { url, port: Number(new URL(url).port), pid: child.pid!, end }
})

/** Runs MetricStream where it cannot start, or only prints something: what it says and its exit code. */
export const failToStart = (environment: Record<string, string>, flags: ReadonlyArray<string> = []) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, [script, ...flags], {
      env: { ...process.env, PORT: "0", METRICSTREAM_SAMPLER: "off", ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let [output, errors] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
    const [code] = (await once(child, "close")) as [number | null]
    return { code, output, errors }
  }).pipe(Effect.timeout("10 seconds"))

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export const request = (url: string, init?: RequestInit): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { ...init, signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

export const getJson = (url: string) => Effect.map(request(url), ({ text }) => JSON.parse(text))

/** Posts events: an object or an array as JSON, a string as it is. */
export const post = (url: string, body: unknown, type: string = "application/json") =>
  request(`${url}/events`, {
    method: "POST",
    headers: { "content-type": type },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

/** Asserts that an answer is a problem of a status, and returns the problem. */
export const problemOf = ({ headers, status, text }: Answer, expected: number) => {
  assert.strictEqual(status, expected, text)
  assert.strictEqual(headers.get("content-type"), "application/problem+json")
  assert.notInclude(text, "    at ")
  const problem = JSON.parse(text)
  assert.strictEqual(problem.status, expected)
  return problem
}

/** Whole seconds, at least one. */
export const retryAfterOf = ({ headers }: Answer): number => {
  const header = headers.get("retry-after") ?? ""
  assert.match(header, /^[1-9]\d*$/)
  return Number(header)
}
