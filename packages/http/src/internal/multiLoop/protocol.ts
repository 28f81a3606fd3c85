/** What the supervisor and its loops say to each other, and the memory that they share. */
import type { MessagePort } from "node:worker_threads"

/** Where a thread finds its `Boot` in `workerData`. */
export const workerDataKey = "@spillway/http/MultiLoop"

/** An error of another thread, as data. */
export interface FaultData {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
}

/** Causes of causes beyond that many are left out. */
const maxCauses = 8

/** An error and its causes, the outermost first. */
const chainOf = (error: unknown): ReadonlyArray<unknown> => {
  const chain = [error]
  let last = error
  while (last instanceof Error && last.cause !== undefined && chain.length < maxCauses && !chain.includes(last.cause)) {
    chain.push((last = last.cause))
  }
  return chain
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The message and the stack say what the causes say too, where it is not said already. */
export const toFaultData = (error: unknown): FaultData => {
  const chain = chainOf(error)
  const message = chain
    .map(messageOf)
    .reduce((said, next) => (said.includes(next) ? said : said === "" ? next : `${said}: ${next}`))
  const stacks = chain.map((link) => (link instanceof Error && link.stack) || messageOf(link))
  return {
    name: error instanceof Error ? error.name : "Error",
    message,
    stack: error instanceof Error ? stacks.join("\ncaused by: ") : undefined
  }
}

/** How the loops have their connections: from a socket for each, from one for all, or there is only one loop. */
export type Sharing = "reusePort" | "sharedSocket" | "alone"

/** What a slot of the supervisor is doing, in shared memory so that readiness can be told without asking anybody. */
export const slotStates = ["down", "starting", "ready", "draining"] as const
export type SlotState = (typeof slotStates)[number]

/** The cells of `Boot.states`: whether the process drains, then the state of each slot. */
export const drainingCell = 0
export const slotCell = (slot: number): number => slot + 1

/** Given to a loop at its start. */
export interface Boot {
  readonly port: MessagePort
  readonly offload: MessagePort
  readonly loop: number
  readonly loops: number
  readonly generation: number
  /** Its place in all shared memory, which no other living thread has. */
  readonly seat: number
  /** Counts the beats of each seat. */
  readonly beats: Int32Array
  readonly states: Int32Array
}

/** Asks for the socket and the budget of a server. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly backlog: number
  readonly inherit: boolean | string
  /** Which of the servers of this loop with the same address, from 0. */
  readonly ordinal: number
}

/** The answer. */
export interface Opened {
  /** The socket to duplicate. `undefined`: the server listens by itself. */
  readonly fd: number | undefined
  readonly budget: Int32Array
}

export type ToLoop =
  | { readonly type: "close" }
  | { readonly type: "opened"; readonly id: number; readonly opened: Opened }
  | { readonly type: "refused"; readonly id: number; readonly fault: FaultData }
  | { readonly type: "collect"; readonly id: number }
  | { readonly type: "metrics"; readonly id: number; readonly text: string }

export type FromLoop =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly fault: FaultData }
  | { readonly type: "open"; readonly id: number; readonly address: Address }
  /** What the drain of one of its servers may take, in milliseconds. */
  | { readonly type: "bound"; readonly millis: number }
  /** One of its servers listens. */
  | { readonly type: "listening"; readonly host: string; readonly port: number }
  | { readonly type: "collected"; readonly id: number; readonly text: string }
  | { readonly type: "askMetrics"; readonly id: number }

/** How often a loop beats. */
export const beatMillis = 100
