/**
 * Hundreds of thousands of connections that send valid requests with some bytes changed. `FUZZ_COUNT` says how many, `FUZZ_SEED` which;
 * `FUZZ_INDEX` plays one of them.
 */
import { HttpAnswer, RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { getRequest } from "../fixture.ts"
import { makePlayer, playInput, playRange, report, startSubject } from "./campaign.ts"
import type { Subject } from "./campaign.ts"
import { corpus } from "./corpus.ts"
import { judge } from "./judge.ts"
import { makeInput } from "./mutate.ts"
import { readRequests } from "./strictRequest.ts"
import type { Held } from "./subject.ts"

const count = Number(process.env["FUZZ_COUNT"] ?? 200_000)
const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const onlyIndex = process.env["FUZZ_INDEX"]

const connections = 64
/** Inputs before the memory is measured for the first time: by then all code has run and is compiled. */
const warmUp = Math.min(20_000, Math.floor(count / 4))
/**
 * MiB that may be held after a run and were not before: of the heap, 45 bytes for each of 180,000 inputs. Resident memory stays within
 * 10 MiB on an idle machine, and was 93 MiB more on one with a load of 10, where the heap grows further between two collections.
 */
const margin = { heap: 8, resident: 160 }

interface Probes {
  count: number
  slowestMillis: number
}

/** Asks for the health route until interrupted; dies when it is not answered with 200 in time. */
const probe = ({ port }: Subject, probes: Probes): Effect.Effect<never> =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    // Not kept alive, so that it does not count among the connections that are left.
    const request = getRequest("/livez", "Connection: close\r\n")
    const { received } = yield* RawClient.exchange({ port }, request, { timeoutMillis: 10_000 })
    assert.include(received, '{"status":"alive"}')
    probes.count++
    probes.slowestMillis = Math.max(probes.slowestMillis, performance.now() - startedAt)
    yield* Effect.sleep("20 millis")
  }).pipe(Effect.forever, Effect.orDie)

/** What is held once connections and requests are gone, which takes a moment. */
const heldAtRest = (subject: Subject): Effect.Effect<Held> =>
  Effect.repeat(subject.held, {
    until: (held) => held.connections === 0 && held.requests === 0,
    times: 100,
    schedule: Schedule.spaced("50 millis")
  })

const rounded = ({ connections, heap, requests, resident }: Held) =>
  `heap ${heap.toFixed(1)} MiB, resident ${resident.toFixed(0)} MiB, ${connections} connections, ${requests} requests`

describe("Server, fuzzed,", () => {
  it.live(
    "answers each input rightly or closes, answers its health route, and holds nothing afterwards",
    Effect.fnUntraced(function* () {
      console.log(`FUZZ_SEED=${seed} FUZZ_COUNT=${count}`)
      const subject = yield* startSubject("spillway")
      const player = yield* makePlayer(subject.port)
      if (onlyIndex !== undefined) {
        const input = makeInput(seed, Number(onlyIndex))
        const complaint = yield* Effect.promise(() => playInput(player, input))
        if (complaint === undefined) return
        assert.fail(yield* report(subject.port, seed, [{ index: Number(onlyIndex), input, complaint }]))
      }

      const probes: Probes = { count: 0, slowestMillis: 0 }
      const startedAt = performance.now()
      const first = yield* playRange(player, { seed, from: 0, to: warmUp, connections })
      const before = yield* heldAtRest(subject)
      const range = { seed, from: warmUp, to: count, connections }
      const rest = yield* Effect.raceFirst(playRange(player, range), probe(subject, probes))
      const after = yield* heldAtRest(subject)
      const seconds = (performance.now() - startedAt) / 1000
      console.log(`${count} inputs in ${seconds.toFixed(1)} s`)
      console.log(`${probes.count} probes, the slowest ${probes.slowestMillis.toFixed(0)} ms`)
      console.log(`before: ${rounded(before)}\nafter: ${rounded(after)}`)

      const findings = [...first, ...rest]
      if (findings.length > 0) assert.fail(yield* report(subject.port, seed, findings))
      assert.deepStrictEqual([after.connections, after.requests], [0, 0])
      assert.isAtMost(after.heap, before.heap + margin.heap)
      assert.isAtMost(after.resident, before.resident + margin.resident)
      assert.isAbove(probes.count, 0)
    }),
    // 45 s on two idle cores.
    120_000 + count * 2
  )

  it.live("takes each seed as it is", () =>
    Effect.gen(function* () {
      const subject = yield* startSubject("spillway")
      const player = yield* makePlayer(subject.port)
      for (const bytes of corpus) {
        // One that closes its side before is told that there is no WebSocket for it.
        const input = { bytes, cuts: [], ending: "endAnswered" } as const
        const reading = readRequests(bytes)
        const outcome = yield* Effect.promise(() => player.play(input, reading))
        const name = JSON.stringify(bytes.toString("latin1").slice(0, 200))
        assert.deepStrictEqual([reading.tail._tag, judge(input, reading, outcome)], ["Nothing", undefined], name)
        const methods = reading.requests.map(({ method }) => method)
        const { answers } = HttpAnswer.parse(outcome.received, { methods, ended: true })
        for (const [i, { method, target }] of reading.requests.entries()) {
          const refused = method === "CONNECT" || target === "/locked"
          assert.strictEqual((answers[i]?.status ?? 0) < 400, !refused, name)
        }
      }
    })
  )

  // Otherwise nothing found would mean nothing.
  it.live("finds what is wrong with a forgiving parser", () =>
    Effect.gen(function* () {
      const subject = yield* startSubject("lenient")
      const player = yield* makePlayer(subject.port)
      const findings = yield* playRange(player, { seed: 1, from: 0, to: 10_000, connections })
      const kinds = new Set(findings.map(({ complaint }) => complaint.slice(0, complaint.indexOf(":"))))
      assert.includeMembers([...kinds], ["success", "unanswered"])
    })
  )
})
