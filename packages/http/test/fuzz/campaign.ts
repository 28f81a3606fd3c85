import { fork } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import type * as Scope from "effect/Scope"
import { judge } from "./judge.ts"
import { escape, minimize } from "./minimize.ts"
import { makeInput } from "./mutate.ts"
import type { Input } from "./mutate.ts"
import { Player } from "./play.ts"
import { readRequests } from "./strictRequest.ts"
import type { Held, Told } from "./subject.ts"

/** A server in a process of its own. */
export interface Subject {
  readonly port: number
  /** Collects garbage there and says what is held. */
  readonly held: Effect.Effect<Held>
}

const nextMessage = <T extends Told["_tag"]>(child: ChildProcess, tag: T): Effect.Effect<Extract<Told, { _tag: T }>> =>
  Effect.callback((resume) => {
    const onMessage = (told: Told): void => {
      if (told._tag !== tag) return
      leave()
      resume(Effect.succeed(told as Extract<Told, { _tag: T }>))
    }
    const onExit = (code: number | null, signal: string | null): void => {
      leave()
      resume(Effect.die(new Error(`the server's process has ended: ${code ?? signal}`)))
    }
    const leave = (): void => void child.off("message", onMessage).off("exit", onExit)
    child.on("message", onMessage).on("exit", onExit)
    if (child.exitCode !== null) onExit(child.exitCode, null)
    return Effect.sync(leave)
  })

/** Starts a server that ends with the scope. */
export const startSubject = (kind: "spillway" | "lenient"): Effect.Effect<Subject, never, Scope.Scope> =>
  Effect.gen(function* () {
    const path = fileURLToPath(new URL("subject.ts", import.meta.url))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(path, [kind], { execArgv: [] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const { port } = yield* Effect.timeout(nextMessage(child, "Listens"), "30 seconds").pipe(Effect.orDie)
    const held = Effect.andThen(
      Effect.sync(() => child.send("held")),
      Effect.timeout(nextMessage(child, "Holds"), "30 seconds").pipe(Effect.orDie)
    )
    return { port, held }
  })

/** An input that was not answered as it must be. */
export interface Finding {
  readonly index: number
  readonly input: Input
  readonly complaint: string
}

/** The part of a complaint that stays the same while its input is made shorter. */
const kindOf = (complaint: string): string => complaint.slice(0, complaint.indexOf(":"))

/** The longest that an input may take, many times what any needs; and the same while a finding is made shorter. */
const patience = { millis: 10_000, impatientMillis: 1500 }

/** What a campaign plays with, for as long as its scope is open. */
export const makePlayer = (port: number, patienceMillis = patience.millis): Effect.Effect<Player, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Player(port, patienceMillis)),
    (player) => Effect.sync(() => player.close())
  )

/** Plays one input and says what is wrong with the answers to it. */
export const playInput = async (player: Player, input: Input): Promise<string | undefined> => {
  const reading = readRequests(input.bytes)
  return judge(input, reading, await player.play(input, reading))
}

/** How many findings of one kind are kept, and how many in all before a campaign gives up. */
const maxOfKind = 2
const maxFindings = 200

export interface Range {
  readonly seed: number
  readonly from: number
  readonly to: number
  /** Connections at once. */
  readonly connections: number
}

/** Plays the inputs of a range on several connections at a time. Stops early when nearly everything goes wrong. */
export const playRange = (player: Player, range: Range): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.promise(async (signal) => {
    const findings: Array<Finding> = []
    let next = range.from
    const client = async (): Promise<void> => {
      while (next < range.to && findings.length < maxFindings && !signal.aborted) {
        const index = next++
        const input = makeInput(range.seed, index)
        const complaint = await playInput(player, input)
        if (complaint !== undefined) findings.push({ index, input, complaint })
      }
    }
    await Promise.all(Array.from({ length: range.connections }, client))
    return findings
  })

/** How long the findings of one kind may be made shorter. */
const minimizeMillis = 10_000

/** The shortest findings of each kind, made shorter still, as text that says how to play them again. */
export const report = (port: number, seed: number, findings: ReadonlyArray<Finding>): Effect.Effect<string> =>
  Effect.gen(function* () {
    const player = yield* makePlayer(port, patience.impatientMillis)
    const lines = [`${findings.length} inputs were not answered rightly`]
    for (const [kind, all] of Map.groupBy(findings, ({ complaint }) => kindOf(complaint))) {
      lines.push(`${kind}: ${all.length}`)
      const giveUpAt = performance.now() + minimizeMillis
      for (const { complaint, index, input } of all.toSorted(byLength).slice(0, maxOfKind)) {
        const fails = async (candidate: Input): Promise<boolean> =>
          performance.now() < giveUpAt && kindOf((await playInput(player, candidate)) ?? ":") === kind
        const shortest = yield* Effect.promise(() => minimize(input, fails))
        lines.push(
          `  FUZZ_SEED=${seed} FUZZ_INDEX=${index}: ${complaint}`,
          `    ${describeInput(input)}`,
          `    shortest: ${describeInput(shortest)}`
        )
      }
    }
    return lines.join("\n")
  }).pipe(Effect.scoped)

const byLength = (a: Finding, b: Finding): number => a.input.bytes.length - b.input.bytes.length

const describeInput = ({ bytes, cuts, ending }: Input): string =>
  `${ending}${cuts.length === 0 ? "" : `, cut at ${cuts.join(", ")}`}: ${escape(bytes.subarray(0, 2000))}`
