/** The server's side of a measurement: it answers what the process that started it asks about its memory. */
import { setTimeout as delay } from "node:timers/promises"

export interface Memory {
  readonly rss: number
  /** Objects of JavaScript, and what they own outside the heap: buffers and node's own structures. */
  readonly heapAndExternal: number
  readonly connections: number
}

type Question = "memory" | "settled memory"

/** Collections end before all their pages are given back. */
const collect = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await delay(50)
  }
}

const memory = (connections: number): Memory => {
  const { external, heapUsed, rss } = process.memoryUsage()
  return { rss, heapAndExternal: heapUsed + external, connections }
}

/** Answers `memory` at once, and `settled memory` after forced collections. */
export const answerQuestions = (countConnections: () => Promise<number>): void => {
  const answer = async (question: Question): Promise<void> => {
    if (question === "settled memory") await collect()
    process.send!(memory(await countConnections()))
  }
  process.on("message", (question: Question) => void answer(question))
}
