import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServer } from "effect/http"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { soon, start } from "./fixture.ts"
import { closeCode, closeFrame, echo, frame, isClose, opcodes, openRaw } from "./webSocketFixture.ts"
import type { Frame, RawWebSocket } from "./webSocketFixture.ts"

interface FrameOf {
  readonly op: number
  readonly fin: 0 | 1
  readonly rsv: number
  readonly b64?: string
  readonly repeat_b64?: string
  readonly len?: number
  /** Bytes per write. */
  readonly chop?: number
}

type Step = {
  readonly frame?: FrameOf
  readonly frameHeader?: { readonly op: number; readonly fin: 0 | 1; readonly len: number }
  readonly frameData_b64?: string
  readonly wait?: number
  readonly mark?: string
  readonly closeAfter?: number
  readonly killAfter?: number
}

interface Case {
  readonly id: string
  readonly desc: string
  readonly steps: ReadonlyArray<Step>
  readonly expected: Readonly<Record<string, ReadonlyArray<readonly [string, string | number, boolean?]>>>
  readonly close: { readonly closedByMe: boolean; readonly closeCode: ReadonlyArray<number> }
  readonly informational: boolean
}

const suite = fileURLToPath(new URL("../../../../shared/conformance/ws/autobahn_cases.json", import.meta.url))
const present = existsSync(suite)
const cases: ReadonlyArray<Case> = present ? (JSON.parse(readFileSync(suite, "utf8")) as ReadonlyArray<Case>) : []

const payloadOf = ({ b64, len, repeat_b64 }: FrameOf): Buffer => {
  if (repeat_b64 === undefined) return Buffer.from(b64!, "base64")
  const part = Buffer.from(repeat_b64, "base64")
  return Buffer.alloc(len!, part)
}

const bytesOf = (step: Step): Buffer | undefined => {
  if (step.frame !== undefined) {
    return frame(step.frame.op, payloadOf(step.frame), { fin: step.frame.fin === 1, rsv: step.frame.rsv })
  }
  if (step.frameHeader !== undefined) {
    return frame(step.frameHeader.op, "", { fin: step.frameHeader.fin === 1, length: step.frameHeader.len })
  }
  return step.frameData_b64 === undefined ? undefined : Buffer.from(step.frameData_b64, "base64")
}

/** Long enough to be a step of its own for the server, not for its effect: what must have come is waited for. */
const pause = Effect.sleep(20)

const send = (client: RawWebSocket, step: Step) =>
  Effect.gen(function* () {
    const bytes = bytesOf(step)
    if (bytes === undefined) return
    const chop = step.frame?.chop
    if (chop === undefined) return client.write(bytes)
    for (let at = 0; at < bytes.length; at += chop) {
      client.write(bytes.subarray(at, at + chop))
      yield* Effect.yieldNow
    }
  })

/** A frame in the words of the cases, which name only the length of their longest messages. */
const shown = ({ fin, opcode, payload }: Frame, { id }: Case) => {
  if (opcode === opcodes.pong) return ["pong", payload.toString("base64")]
  const binary = opcode === opcodes.binary
  const message = id.startsWith("9.")
    ? ["messagelen", payload.length, binary]
    : ["message", payload.toString("base64"), binary]
  return fin ? message : [...message, "fragment"]
}

/** What the case wants to see, without its own marks of time. */
const wanted = ({ expected }: Case) =>
  Object.values(expected).map((events) =>
    events
      .filter(([kind]) => kind !== "timeout")
      .map((event) => (event[0] === "pong" ? ["pong", event[1]] : [event[0], event[1], event[2] ?? false]))
  )

const run = (port: number, test: Case) =>
  Effect.gen(function* () {
    const client = yield* openRaw(port)
    for (const step of test.steps) {
      yield* send(client, step)
      if (step.wait !== undefined) yield* pause
    }
    const data = () => client.frames.filter((frame) => !isClose(frame)).map((frame) => shown(frame, test))
    if (test.close.closedByMe && !test.steps.some(({ frame }) => frame?.op === opcodes.close)) {
      const count = Math.max(...wanted(test).map((events) => events.length))
      if (count > 0) yield* client.until(() => client.frames.length >= count)
      client.write(closeFrame(1000))
    }
    const close = yield* client.until(isClose)
    yield* client.ended
    assert.isTrue(
      client.frames.every(({ masked, rsv }) => !masked && rsv === 0),
      "frames of a server"
    )
    return { data: data(), code: close === undefined ? undefined : closeCode(close) }
  }).pipe(Effect.scoped, soon)

describe("WebSocket", () => {
  it.live.skipIf(!present)(
    `agrees with Autobahn's cases${present ? "" : " (skipped: they are not here)"}`,
    () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo), { maxWebSocketMessageSize: "16 MiB" })
        assert.isAbove(cases.length, 250)
        const failures: Array<unknown> = []
        for (const test of cases) {
          const result = yield* run(server.port, test)
          if (test.informational) continue
          const fits = wanted(test).some((events) => JSON.stringify(events) === JSON.stringify(result.data))
          const { closeCode, closedByMe } = test.close
          // A close frame without a code is answered with one.
          const codeFits =
            result.code !== undefined && (closeCode.includes(result.code) || (closedByMe && result.code === 1005))
          if (!fits || !codeFits)
            failures.push([test.id, test.desc, result.code, JSON.stringify(result.data).slice(0, 200)])
        }
        assert.deepStrictEqual(failures, [])
      }),
    120_000
  )
})
