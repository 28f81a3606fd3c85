/** The thread that watches an event loop. It runs when the loop does not, and imports nothing of Effect so that it starts soon and stays small. */
import { writeSync } from "node:fs"
import { parentPort, workerData } from "node:worker_threads"
import { Inspector } from "./inspect.ts"
import { Cell, culpritOf, formatFrame } from "./shared.ts"
import type { Boot, FromWatch, Sight, ToWatch } from "./shared.ts"

const { cells, isMain, logInterval, period, stack, stuckAfter, threadId, threshold } = workerData as Boot

/** Culprits of which it is remembered when they were last written of. */
const maxRemembered = 256

const labels = new Map<number, string>([[0, ""]])
const writtenAt = new Map<string, number>()
let seen = Atomics.load(cells, Cell.Beat)
let lookedAt = performance.now()
/** How long the loop has been silent while this thread ran, and while it did not run either, in milliseconds. */
let silent = 0
let away = 0
let looked = false
let written = false
let sight: Sight | undefined = undefined

const send = (message: FromWatch): void => parentPort!.postMessage(message)

const inspector = stack ? new Inspector({ isMain, threadId }, () => send({ type: "watching" })) : undefined
if (inspector === undefined) send({ type: "watching" })

/** Straight to the descriptor: `process.stderr` of a thread goes through the loop that is blocked. */
const write = (line: string): void => {
  try {
    writeSync(2, line)
  } catch {
    // Nobody reads standard error. What is blocked is blocked, and there is nobody else to tell.
  }
}

const warn = (now: number): void => {
  const label = sight?.route ?? labels.get(Atomics.load(cells, Cell.Label)) ?? ""
  const before = writtenAt.get(label)
  if (before !== undefined && now - before < logInterval) return
  if (writtenAt.size >= maxRemembered) writtenAt.clear()
  writtenAt.set(label, now)
  const where = sight === undefined ? undefined : culpritOf(sight.frames)
  const what = [
    `spillway: the event loop of ${isMain ? "the main thread" : `worker thread ${threadId}`} is blocked`,
    ` since ${(silent / 1000).toFixed(1)} s, nothing else runs on it`,
    label === "" ? "" : `; it runs ${label}`,
    sight?.span === undefined ? "" : `; span ${sight.span}`,
    where === undefined ? "" : `; in ${formatFrame(where)}`
  ]
  write(`${what.join("")}\n`)
}

const takeSight = (): void =>
  inspector?.look((frames, who) => {
    // The loop turned before it could be stopped: this is somebody else.
    if (Atomics.load(cells, Cell.Beat) !== seen) return
    sight = { beat: seen, frames, ...who }
    send({ type: "sight", ...sight })
  })

const look = (): void => {
  const now = performance.now()
  const elapsed = now - lookedAt
  lookedAt = now
  if (Atomics.load(cells, Cell.Stop) !== 0) return stop()
  const beat = Atomics.load(cells, Cell.Beat)
  if (beat !== seen) {
    seen = beat
    silent = away = 0
    Atomics.store(cells, Cell.Silent, 0)
    looked = written = false
    sight = undefined
    return
  }
  // This thread was late itself: the process, or the machine, stood still, and that was nobody's handler.
  const counted = elapsed > 3 * period ? period : elapsed
  silent += counted
  away += elapsed - counted
  Atomics.store(cells, Cell.Away, Math.round(away))
  Atomics.store(cells, Cell.Silent, Math.ceil(silent))
  if (silent >= threshold / 2) Atomics.store(cells, Cell.Armed, 1)
  if (silent >= threshold && !looked) {
    looked = true
    takeSight()
  }
  if (silent >= stuckAfter && !written) {
    written = true
    warn(now)
  }
}

const timer = setInterval(look, period)

function stop(): void {
  clearInterval(timer)
  inspector?.close()
  parentPort!.close()
  Atomics.store(cells, Cell.Stopped, 1)
  Atomics.notify(cells, Cell.Stopped)
}

parentPort!.on("message", (message: ToWatch) => {
  if (message === "stop") stop()
  else labels.set(message[0], message[1])
})
