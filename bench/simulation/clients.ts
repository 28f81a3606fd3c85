/** Clients who do not know of each other: an open loop, with what each does when it gets no answer. */
import type { Events } from "./events.ts"
import type { Random } from "./random.ts"
import type { Recorder } from "./recorder.ts"
import type { Request, Server } from "./server.ts"

export interface Retrying {
  readonly attempts: number
  /** Retries may be a tenth of what is asked at first, and ten at once (gRPC's and Finagle's budgets are like that). */
  readonly budget: boolean
  /** Waits for as many seconds as a refusal says. Otherwise 100 ms, doubled each time, spread over 0.5 to 1.5 times that. */
  readonly retryAfter: boolean
}

export const noRetries: Retrying = { attempts: 1, budget: false, retryAfter: false }

const budgetRatio = 0.1
const budgetMost = 10

export class Clients {
  readonly #events: Events
  readonly #random: Random
  readonly #recorder: Recorder
  readonly #pick: () => Server
  readonly #patience: number
  readonly #retrying: Retrying
  #budget = budgetMost

  constructor(
    events: Events,
    random: Random,
    recorder: Recorder,
    pick: () => Server,
    patience: number,
    retrying: Retrying
  ) {
    this.#events = events
    this.#random = random
    this.#recorder = recorder
    this.#pick = pick
    this.#patience = patience
    this.#retrying = retrying
  }

  /** One client comes, with work of `service` milliseconds. */
  come(service: number): void {
    this.#recorder.offered(this.#events.now)
    this.#budget = Math.min(this.#budget + budgetRatio, budgetMost)
    this.#attempt(service, 1)
  }

  #attempt(service: number, attempt: number): void {
    const arrivedAt = this.#events.now
    const deadline = arrivedAt + this.#patience
    let answered = false
    const request: Request = {
      service,
      arrivedAt,
      deadline,
      answer: (answer, retryAfter) => {
        answered = true
        this.#recorder.answered(this.#events.now, answer, this.#events.now - arrivedAt)
        if (answer !== "good") this.#again(service, attempt, answer === "refused" ? retryAfter : 0)
      }
    }
    this.#recorder.attempted(arrivedAt)
    this.#pick().receive(request)
    if (answered || this.#retrying.attempts === 1) return
    this.#events.at(deadline, () => {
      if (!answered) this.#again(service, attempt, 0)
    })
  }

  #again(service: number, attempt: number, retryAfter: number): void {
    if (attempt >= this.#retrying.attempts) return
    if (this.#retrying.budget) {
      if (this.#budget < 1) return
      this.#budget--
    }
    const spread = 0.5 + this.#random.next()
    const wait = 100 * 2 ** (attempt - 1) * spread
    const delay = this.#retrying.retryAfter && retryAfter > 0 ? retryAfter * 1000 : wait
    this.#events.after(delay, () => this.#attempt(service, attempt + 1))
  }
}
