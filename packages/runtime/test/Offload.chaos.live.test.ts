/**
 * Thousands of tasks that compute, wait, stream, fail, hang, exit and fill their memory, with callers that leave at any time, on pools
 * of any shape that close at any time. `CHAOS_SECONDS` says for how long, `CHAOS_SEED` what happens; `CHAOS_ROUND` plays one round.
 */
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Offload } from "@spillway/runtime"
import { leftBehind, memoryInUse, takeLevel } from "./fixtures/chaosLevel.ts"
import { now } from "./fixtures/chaosMemory.ts"
import { makePlan } from "./fixtures/chaosPlan.ts"
import { playRound } from "./fixtures/chaosRound.ts"
import type { RoundHistory } from "./fixtures/chaosRound.ts"
import { judge } from "./fixtures/chaosVerdict.ts"
import type { Complaint } from "./fixtures/chaosVerdict.ts"

const seconds = Number(process.env["CHAOS_SECONDS"] ?? 10)
const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const onlyRound = process.env["CHAOS_ROUND"]

/** Rounds before the memory is measured for the first time: by then all code has run and is compiled. */
const warmUp = 4

const name = (round: number | string) => `CHAOS_SEED=${seed} CHAOS_ROUND=${round}`

/** A round that went wrong, with all that is known of the calls in question. */
const describeRound = (history: RoundHistory, complaints: ReadonlyArray<Complaint>): string => {
  const { memory, plan } = history
  const { calls: _, ...round } = plan
  const ofCall = ({ call, what }: Complaint) => {
    if (call === undefined) return what
    const { id } = call.plan
    const cells = {
      begun: memory.begun[id],
      ended: memory.ended[id],
      thread: memory.thread[id],
      begunAt: memory.begunAt[id],
      seenAt: memory.seenAt[id]
    }
    return inspect({ what, ...call, bytes: undefined, ...cells }, { depth: 4, maxArrayLength: 20 })
  }
  const { closedAt, closed, closingAt, idle, startedAt } = history
  const numbers = (stats: Offload.Stats | undefined) => ({ ...stats, wait: undefined, run: undefined })
  const facts = inspect({ ...round, startedAt, closingAt, closedAt, idle: numbers(idle), closed: numbers(closed) })
  return [name(plan.round), facts, ...complaints.slice(0, 10).map(ofCall)].join("\n")
}

const playAndJudge = Effect.fnUntraced(function* (round: number) {
  const before = yield* takeLevel
  const history = yield* playRound(makePlan(seed, round))
  const left = (yield* leftBehind(before)).map((what): Complaint => ({ what }))
  const complaints = [...judge(history), ...left]
  if (complaints.length > 0) assert.fail(describeRound(history, complaints))
  return history.calls.length
})

describe("Offload.layerThreads in chaos", () => {
  it.live(
    "answers each call once and rightly, runs no task twice, keeps its bounds and leaves nothing behind",
    Effect.fnUntraced(function* () {
      console.log(`${name(onlyRound ?? "all")} for ${seconds} s`)
      if (onlyRound !== undefined) return yield* playAndJudge(Number(onlyRound))
      const end = now() + seconds * 1000
      let [calls, round] = [0, 0]
      for (; round < warmUp; round++) calls += yield* playAndJudge(round)
      const before = memoryInUse()
      for (; now() < end; round++) {
        calls += yield* playAndJudge(round)
      }
      const after = memoryInUse()
      console.log(`${round} rounds, ${calls} calls`, before, after)
      assert.isAtMost(after.heap, before.heap + 8)
      assert.isAtMost(after.resident, before.resident + 256)
    }),
    seconds * 1000 + 120_000
  )
})
