import { Admission, LoopPace } from "@spillway/http"

/** One event loop behind a door, all in simulated time, and what its clients ask of it. Times are in milliseconds. */
export interface Scene {
  /** How long a handler waits before it computes. */
  readonly waits: number
  /** How long it computes then. */
  readonly computes: number
  /** Requests a second at a time. */
  readonly rate: (now: number) => number
  /** How long the loop is held up by others in each of its turns, of which there are ten a millisecond then, if it has time for them. */
  readonly burden?: number | undefined
  readonly seconds: number
  readonly isPaced: boolean
}

/** What became of the requests that ended in a second, or were refused or given up in it. */
export interface Second {
  answered: number
  refused: number
  givenUp: number
  readonly latencies: Array<number>
}

/** For how long clients wait. */
const patience = 1000
/** What the loop spends on a request to read and to start it, on a refusal, and on a turn. */
const [read, start, refuse, turn] = [0.04, 0.06, 0.03, 0.005]

type State = "waiting" | "inside" | "ended"

class Loop {
  now = 0
  busy = 0
  readonly #scene: Scene
  readonly #pace: LoopPace.LoopPace | undefined
  readonly #door: Admission.Admission
  readonly #seconds: Array<Second>
  readonly #random: () => number
  #deferred: Array<() => void> = []
  /** Those inside, by when what they wait for is there. */
  readonly #inside: Array<Request> = []
  /** All that are not known to be ended, in the order in which they came. */
  readonly #clients: Array<Request> = []
  #next = 0
  #probeAt = Infinity
  #meanHold = 0

  constructor(scene: Scene) {
    this.#scene = scene
    this.#random = randomOf(1)
    this.#seconds = Array.from({ length: scene.seconds + 1 }, () => ({
      answered: 0,
      refused: 0,
      givenUp: 0,
      latencies: []
    }))
    this.#pace = scene.isPaced ? LoopPace.make({ target: 20, busyTime: () => this.busy }) : undefined
    this.#door = Admission.make({
      maxConcurrent: 1024,
      maxQueued: 1024,
      maxWait: 1000,
      codel: { target: 20, interval: 100, maxTarget: 100 },
      pace: this.#pace,
      now: () => this.now,
      random: this.#random,
      defer: (run) => void this.#deferred.push(run)
    })
  }

  run(): ReadonlyArray<Second> {
    const { burden = 0, seconds } = this.#scene
    while (this.now < seconds * 1000) {
      this.#runTimers()
      this.spend(burden)
      this.#readSockets()
      this.#runDeferred()
      if (this.#deferred.length === 0) this.#sleep(burden === 0 ? Infinity : this.now + 0.1)
    }
    return this.#seconds.slice(0, seconds)
  }

  spend(millis: number): void {
    this.now += millis
    this.busy += millis
  }

  get second(): Second {
    return this.#seconds[Math.min(this.#seconds.length - 1, Math.floor(this.now / 1000))]!
  }

  started(request: Request): void {
    this.spend(start)
    request.dueAt = this.now + this.#scene.waits
    this.#inside.push(request)
  }

  #runTimers(): void {
    const begunAt = this.now
    while (this.#inside.length > 0 && this.#inside[0]!.dueAt <= begunAt) this.#end(this.#inside.shift()!)
    const { now } = this
    if (now < this.#probeAt) return
    const { queued, running } = this.#door.stats
    this.#pace?.probe({
      now,
      late: now - this.#probeAt,
      isWaiting: queued > 0,
      meanHold: this.#meanHold,
      inside: running
    })
    this.#probeAt = queued + running > 0 ? now + 10 : Infinity
  }

  #end(request: Request): void {
    this.spend(this.#scene.computes)
    request.state = "ended"
    const latency = this.now - request.cameAt
    if (latency <= patience) {
      this.second.answered++
      this.second.latencies.push(latency)
    }
    const held = this.now - request.startedAt
    this.#meanHold += 0.05 * (held - this.#meanHold)
    this.#door.leave(held, "success", 0, this.now)
  }

  #readSockets(): void {
    const polledAt = this.now
    while (this.#next <= polledAt) {
      const request = new Request(this, this.#next)
      this.#next += -Math.log(1 - this.#random()) * (1000 / this.#scene.rate(this.#next))
      this.spend(read)
      if (this.#probeAt === Infinity) {
        this.#pace?.begin(this.now)
        this.#probeAt = this.now + 10
      }
      this.#clients.push(request)
      request.ticket = this.#door.enter(request, this.now)
    }
    while (this.#clients.length > 0 && this.#clients[0]!.cameAt + patience <= polledAt) {
      this.#giveUp(this.#clients.shift()!)
    }
  }

  #giveUp(request: Request): void {
    if (request.state === "ended") return
    this.second.givenUp++
    this.spend(refuse)
    if (request.state === "waiting") this.#door.cancel(request.ticket!)
    else {
      this.#inside.splice(this.#inside.indexOf(request), 1)
      this.#door.leave(this.now - request.startedAt, "abandoned", 0, this.now)
    }
    request.state = "ended"
  }

  #runDeferred(): void {
    const deferred = this.#deferred
    this.#deferred = []
    if (deferred.length > 0) this.spend(turn)
    for (const run of deferred) run()
  }

  #sleep(until: number): void {
    const [first, oldest] = [this.#inside[0]?.dueAt ?? Infinity, this.#clients[0]?.cameAt ?? Infinity]
    this.now = Math.max(this.now, Math.min(until, this.#next, first, this.#probeAt, oldest + patience))
  }
}

class Request implements Admission.Visitor {
  readonly cameAt: number
  readonly #loop: Loop
  state: State = "waiting"
  ticket: Admission.Ticket | undefined = undefined
  startedAt = 0
  dueAt = 0

  constructor(loop: Loop, cameAt: number) {
    this.#loop = loop
    this.cameAt = cameAt
  }

  admitted(now: number): void {
    this.state = "inside"
    this.startedAt = now
    this.#loop.started(this)
  }

  refused(): void {
    this.state = "ended"
    this.#loop.second.refused++
    this.#loop.spend(refuse)
  }
}

/** A linear congruential generator (Numerical Recipes): the same numbers in every run. */
const randomOf = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Runs the scene, and tells what became of the requests second by second. */
export const simulate = (scene: Scene): ReadonlyArray<Second> => new Loop(scene).run()
