/** One server: the real admission queue with its CoDel, the real adaptive limit and `Retry-After`, and a dependency behind them. */
import type * as AdaptiveLimit from "@spillway/runtime/AdaptiveLimit"
import * as AdmissionQueue from "@spillway/runtime/AdmissionQueue"
// Private to the package, and the very thing that is to be tried.
import { ReturnTime } from "../../packages/http/src/internal/returnTime.ts"
import type { Call, Dependency } from "./dependency.ts"
import type { Events } from "./events.ts"
import type { Random } from "./random.ts"

export type Answer = "good" | "failed" | "refused"

/** One attempt of a client. */
export interface Request {
  readonly service: number
  readonly arrivedAt: number
  /** When its client stops waiting. */
  readonly deadline: number
  /** Called once, with the `Retry-After` in whole seconds if it was refused. Not called when the client gives up first. */
  readonly answer: (answer: Answer, retryAfter: number) => void
}

interface Running {
  readonly call: Call
  readonly startedAt: number
}

export interface DoorOptions {
  readonly maxQueued: number
  readonly maxWait: number
  readonly codel: { readonly target: number; readonly interval: number; readonly maxTarget: number }
}

export class Server {
  readonly #events: Events
  readonly #queue: AdmissionQueue.AdmissionQueue<Request>
  readonly #limit: AdaptiveLimit.AdaptiveLimit
  readonly #dependency: Dependency
  readonly #random: Random
  readonly #maxWait: number
  readonly #returnTime = new ReturnTime()
  readonly #running = new Map<Request, Running>()

  constructor(
    events: Events,
    random: Random,
    limit: AdaptiveLimit.AdaptiveLimit,
    dependency: Dependency,
    door: DoorOptions
  ) {
    this.#events = events
    this.#random = random
    this.#limit = limit
    this.#dependency = dependency
    this.#maxWait = door.maxWait
    this.#queue = AdmissionQueue.make({ ...door, limit: limit.limit, order: "adaptive" })
  }

  get limit(): number {
    return this.#limit.limit
  }

  get load(): number {
    return this.#queue.running + this.#queue.queued
  }

  /** Takes a request in, which calls its `answer` at once or later. */
  receive(request: Request): void {
    const { now } = this.#events
    const entry = this.#queue.offer(request, now)
    if (entry.state === "Admitted") this.#start(request)
    else if (entry.state !== "Waiting") return this.#refuse(request)
    else this.#events.after(this.#maxWait, () => this.#settle())
    this.#events.at(request.deadline, () => this.#giveUp(entry))
  }

  #settle(): void {
    const { now } = this.#events
    for (let entry = this.#queue.poll(now); entry !== undefined; entry = this.#queue.poll(now)) {
      if (entry.state === "Admitted") this.#start(entry.value)
      else this.#refuse(entry.value)
    }
  }

  #refuse(request: Request): void {
    const { now } = this.#events
    this.#returnTime.refused(now)
    request.answer("refused", this.#returnTime.seconds(this.#queue, now, this.#random.next()))
  }

  #start(request: Request): void {
    const call: Call = {
      service: request.service,
      abandoned: false,
      done: (ok) => {
        this.#end(request, ok ? "success" : "dropped")
        request.answer(ok ? "good" : "failed", 0)
      }
    }
    this.#running.set(request, { call, startedAt: this.#events.now })
    this.#dependency.call(call)
  }

  /** The client is gone: what waits leaves the queue, what runs is interrupted and was for nothing. */
  #giveUp(entry: AdmissionQueue.Entry<Request>): void {
    if (this.#queue.cancel(entry)) return
    const running = this.#running.get(entry.value)
    if (running === undefined) return
    running.call.abandoned = true
    this.#end(entry.value, "dropped")
  }

  #end(request: Request, outcome: AdaptiveLimit.Outcome): void {
    const { now } = this.#events
    const held = now - this.#running.get(request)!.startedAt
    this.#running.delete(request)
    const limit = this.#limit.record(now, held, this.#queue.running, outcome)
    this.#queue.release(held)
    this.#returnTime.served(now)
    if (limit !== this.#queue.limit) this.#queue.resize(limit)
    this.#settle()
  }
}
