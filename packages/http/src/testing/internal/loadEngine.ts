import { LinkedList } from "../../internal/linkedList.ts"
import type { Linked } from "../../internal/linkedList.ts"
import type { Resolved } from "../Target.ts"
import type { Arrivals } from "./arrivals.ts"
import { Fifo } from "./Fifo.ts"
import { LoadConnection } from "./LoadConnection.ts"
import type { Result } from "./LoadConnection.ts"
import type { LoadRecorder } from "./loadRecorder.ts"

export interface Settings {
  readonly target: Resolved
  readonly arrivals: Arrivals
  /** Milliseconds. */
  readonly duration: number
  readonly patience: number
  readonly connections: number
  readonly keepAlive: boolean
  readonly request: (n: number) => { readonly bytes: Uint8Array; readonly method: string }
  readonly onAnswer: ((n: number, status: number, latencyMillis: number) => void) | undefined
  readonly recorder: LoadRecorder
  /** Milliseconds. */
  readonly now: () => number
}

/** A request that is due. */
class Due implements Linked {
  previous: Linked | undefined
  next: Linked | undefined
  readonly n: number
  /** When, from the start. */
  readonly at: number
  readonly bytes: Uint8Array
  readonly method: string
  connection: LoadConnection | undefined

  constructor(n: number, at: number, { bytes, method }: ReturnType<Settings["request"]>) {
    this.n = n
    this.at = at
    this.bytes = bytes
    this.method = method
  }
}

interface Done {
  readonly due: Due
  readonly latency: number
  readonly result: Result
  readonly code: string | undefined
}

/**
 * The generator. `tick` is called about every millisecond: it takes what is due, lets go of what took too long, and reports what was answered
 * since, so that functions of users run nowhere else. Answers are timed, and the next request is sent, when they come.
 */
export class LoadEngine {
  readonly #settings: Settings
  readonly #start: number
  readonly #connections: Array<LoadConnection> = []
  readonly #idle = new Fifo<LoadConnection>()
  readonly #waiting = new Fifo<Due>()
  readonly #inFlight = new LinkedList<Due>()
  #done: Array<Done> = []
  #end: number
  #n = 0
  #nextAt: number
  #lastTick: number

  constructor(settings: Settings) {
    this.#settings = settings
    this.#start = settings.now()
    this.#lastTick = this.#start
    this.#end = settings.duration
    this.#nextAt = settings.arrivals(0)
  }

  /** No more requests become due. */
  stop(): void {
    this.#end = Math.min(this.#end, this.#elapsed())
  }

  /** Returns whether all is over. */
  tick(): boolean {
    const elapsed = this.#elapsed()
    this.#settings.recorder.onPause(this.#start + elapsed - this.#lastTick)
    this.#lastTick = this.#start + elapsed
    this.#takeDue(elapsed)
    this.#giveUp(elapsed)
    this.#reportDone()
    return this.#nextAt >= this.#end && this.#inFlight.oldest === undefined && this.#waiting.length === 0
  }

  /** In how many seconds requests became due, when all is over. */
  get seconds(): number {
    return this.#end / 1000
  }

  destroy(): void {
    for (const connection of this.#connections) connection.destroy()
  }

  #elapsed(): number {
    return this.#settings.now() - this.#start
  }

  #takeDue(elapsed: number): void {
    const { arrivals, recorder, request } = this.#settings
    while (this.#nextAt <= elapsed && this.#nextAt < this.#end) {
      const due = new Due(this.#n, this.#nextAt, request(this.#n))
      recorder.onDue(due.at, elapsed - due.at)
      this.#nextAt = arrivals(++this.#n)
      const connection = this.#waiting.length === 0 ? this.#free() : undefined
      if (connection !== undefined) {
        this.#send(connection, due)
        continue
      }
      recorder.onLate()
      this.#waiting.push(due)
    }
  }

  #free(): LoadConnection | undefined {
    const { connections, keepAlive, target } = this.#settings
    if (this.#connections.length >= connections) return this.#idle.shift()
    const connection = new LoadConnection(target, keepAlive)
    this.#connections.push(connection)
    return connection
  }

  #send(connection: LoadConnection, due: Due): void {
    due.connection = connection
    this.#inFlight.append(due)
    connection.send(due.bytes, due.method, (result, code) => {
      this.#inFlight.remove(due)
      this.#done.push({ due, latency: this.#elapsed() - due.at, result, code })
      this.#release(connection)
    })
  }

  #release(connection: LoadConnection): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(connection)
    else this.#send(connection, next)
  }

  /** Requests are sent in the order in which they were due, so that the oldest is the first whose patience is over. */
  #giveUp(elapsed: number): void {
    const { patience, recorder } = this.#settings
    const isOver = (due: Due | undefined): due is Due => due !== undefined && elapsed - due.at >= patience
    for (let due = this.#waiting.first; isOver(due); due = this.#waiting.first) {
      this.#waiting.shift()
      recorder.onResult(due.at, patience, "notSent", undefined)
    }
    for (let due = this.#inFlight.oldest; isOver(due); due = this.#inFlight.oldest) {
      this.#inFlight.remove(due)
      recorder.onResult(due.at, patience, "timedOut", undefined)
      due.connection!.destroy()
      this.#release(due.connection!)
    }
  }

  #reportDone(): void {
    const { onAnswer, patience, recorder } = this.#settings
    const done = this.#done
    this.#done = []
    for (const { code, due, latency, result } of done) {
      const isTooLate = typeof result === "number" && latency > patience
      recorder.onResult(due.at, latency, isTooLate ? "timedOut" : result, code)
      if (typeof result === "number" && !isTooLate) onAnswer?.(due.n, result, latency)
    }
  }
}
