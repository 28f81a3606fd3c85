import { Admission, LoopPace } from "@spillway/http"
import { Clock, Duration, Effect, Scheduler } from "effect"

/** What a handler does. Times are in milliseconds. */
export interface Kind {
  /** How long it waits before it computes. */
  readonly waits: number
  /** How long it computes then, or before it waits. */
  readonly computes: number
  readonly computesFirst?: boolean
  /** For how long it waits for its body after that, without a permit, and whether its client goes away then. */
  readonly uploads?: number | undefined
  readonly hangsUp?: boolean
}

/** One event loop behind a door, all in simulated time, and what its clients ask of it. */
export interface Scene extends Kind {
  /** What a part of the requests asks for instead, and until when. */
  readonly others?: Kind & { readonly share: number; readonly until?: number }
  /** Requests a second at a time. */
  readonly rate: (now: number) => number
  /** So many more that come all at once. */
  readonly burst?: { readonly at: number; readonly count: number }
  /** How long the loop is held up by others in each of its turns, of which there are ten a millisecond then, if it has time for them. */
  readonly burden?: number | undefined
  /** When the process stands still, and for how long: to be stopped, or held up by others. Its clients stand still, too. */
  readonly stall?: { readonly at: number; readonly millis: number }
  /** Whether each comes on a connection of its own: to accept and read it, or to refuse it, takes longer then. */
  readonly connects?: boolean
  /** For how long clients wait: 1000 unless told. */
  readonly patience?: number
  readonly seconds: number
  readonly isPaced: boolean
  /** Of the random numbers: 1 unless told. */
  readonly seed?: number
}

/** What became of the requests that ended in a second, or were refused or given up in it. */
export interface Second {
  answered: number
  refused: number
  givenUp: number
  readonly latencies: Array<number>
}

/** What the loop spends on a request to read it, and on a refusal: on a connection that is kept, and on one of its own. */
const costs = { kept: { read: 0.04, refuse: 0.03 }, own: { read: 0.1, refuse: 0.08 } }
/** What it spends to start a request, and on a turn. */
const [start, turn] = [0.06, 0.005]

type State = "waiting" | "inside" | "uploading" | "resuming" | "ended"

interface Sleeper {
  readonly dueAt: number
  readonly wake: () => void
}

class Loop {
  now = 0
  busy = 0
  readonly #scene: Scene
  readonly #patience: number
  readonly #costs: (typeof costs)["own"]
  readonly #door: Admission.Admission
  readonly #seconds: Array<Second>
  readonly #random: () => number
  #deferred: Array<() => void> = []
  /** Those that have started, by when what they wait for is there. */
  readonly #inside: Array<Request> = []
  /** All that are not known to be ended, in the order in which they came. */
  readonly #clients: Array<Request> = []
  #next = 0
  #burst: NonNullable<Scene["burst"]>
  #stall: NonNullable<Scene["stall"]>
  /** What fibers wait for. */
  readonly #sleepers = new Set<Sleeper>()

  constructor(scene: Scene) {
    this.#scene = scene
    this.#burst = scene.burst ?? { at: Infinity, count: 0 }
    this.#stall = scene.stall ?? { at: Infinity, millis: 0 }
    this.#patience = scene.patience ?? 1000
    this.#costs = scene.connects === true ? costs.own : costs.kept
    this.#random = randomOf(scene.seed ?? 1)
    this.#seconds = Array.from({ length: scene.seconds + 1 }, () => ({
      answered: 0,
      refused: 0,
      givenUp: 0,
      latencies: []
    }))
    this.#door = Admission.make({
      maxConcurrent: 1024,
      maxQueued: 1024,
      maxWait: 1000,
      codel: { target: 20, interval: 100, maxTarget: 100 },
      pace: scene.isPaced ? LoopPace.make({ target: 20, busyTime: () => this.busy }) : undefined,
      now: () => this.now,
      random: this.#random,
      defer: (run) => void this.#deferred.push(run)
    })
  }

  run(): ReadonlyArray<Second> {
    const { burden = 0, seconds } = this.#scene
    const alarms = Effect.runFork(this.#onThisLoop(this.#door.expire))
    while (this.now < seconds * 1000) {
      this.#runTimers()
      this.spend(burden)
      if (this.now >= this.#stall.at) this.#standStill()
      this.#readSockets()
      this.#runDeferred()
      if (this.#deferred.length === 0) this.#sleep(burden === 0 ? Infinity : this.now + 0.1)
    }
    alarms.interruptUnsafe()
    return this.#seconds.slice(0, seconds)
  }

  spend(millis: number): void {
    this.now += millis
    this.busy += millis
  }

  get second(): Second {
    return this.#seconds[Math.min(this.#seconds.length - 1, Math.floor(this.now / 1000))]!
  }

  refused(): void {
    this.second.refused++
    this.spend(this.#costs.refuse)
  }

  started(request: Request): void {
    const { computes, computesFirst = false, waits } = request.kind
    this.spend(start)
    if (computesFirst) this.spend(computes)
    this.#wait(request, waits)
  }

  resumed(request: Request): void {
    this.#wait(request, 0)
  }

  #wait(request: Request, millis: number): void {
    request.dueAt = this.now + millis
    const index = this.#inside.findLastIndex(({ dueAt }) => dueAt <= request.dueAt)
    this.#inside.splice(index + 1, 0, request)
  }

  #standStill(): void {
    const { millis } = this.#stall
    this.#stall = { at: Infinity, millis: 0 }
    this.spend(millis)
    this.#next += millis
    for (const client of this.#clients) client.cameAt += millis
  }

  #runTimers(): void {
    const begunAt = this.now
    while (this.#inside.length > 0 && this.#inside[0]!.dueAt <= begunAt) this.#goOn(this.#inside.shift()!)
    for (const sleeper of this.#sleepers) {
      if (sleeper.dueAt > begunAt) continue
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
  }

  /** Runs a fiber on the clock and in the turns of this loop. */
  #onThisLoop<A>(effect: Effect.Effect<A>): Effect.Effect<A> {
    const scheduleTask = (task: () => void) => void this.#deferred.push(task)
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      shouldYield: () => false,
      makeDispatcher: () => ({ scheduleTask, flush: () => {} })
    }
    return effect.pipe(
      Effect.provideService(Clock.Clock, this.#clock()),
      Effect.provideService(Scheduler.Scheduler, scheduler)
    )
  }

  #clock(): Clock.Clock {
    const nanos = () => BigInt(Math.round(this.now * 1e6))
    return {
      currentTimeMillisUnsafe: () => this.now,
      currentTimeMillis: Effect.sync(() => this.now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.callback((resume) => {
          const sleeper = { dueAt: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
          this.#sleepers.add(sleeper)
          return Effect.sync(() => void this.#sleepers.delete(sleeper))
        })
    }
  }

  #goOn(request: Request): void {
    const { computes, computesFirst = false, hangsUp = false, uploads } = request.kind
    if (request.state === "uploading") {
      if (hangsUp) return this.#leave(request)
      request.state = "resuming"
      request.ticket = this.#door.resume(request)
      return
    }
    if (request.hasResumed) return this.#end(request)
    if (!computesFirst) this.spend(computes)
    if (uploads === undefined) return this.#end(request)
    request.state = "uploading"
    this.#door.pause(0, this.now - request.startedAt)
    this.#wait(request, uploads)
  }

  #end(request: Request): void {
    request.state = "ended"
    const latency = this.now - request.cameAt
    if (latency <= this.#patience) {
      this.second.answered++
      this.second.latencies.push(latency)
    }
    const held = this.now - request.startedAt
    this.#door.leave(held, "success", 0, this.now)
  }

  #readSockets(): void {
    const polledAt = this.now
    const { connects = false } = this.#scene
    for (let cameAt = this.#arrival(polledAt); cameAt !== undefined; cameAt = this.#arrival(polledAt)) {
      if (connects) this.#door.accepted()
      const request = new Request(this, cameAt, this.#nextKind())
      this.spend(this.#costs.read)
      this.#clients.push(request)
      request.ticket = this.#door.enter(request, this.now)
      if (connects) break
    }
    while (this.#clients.length > 0 && this.#clients[0]!.cameAt + this.#patience <= polledAt) {
      this.#giveUp(this.#clients.shift()!)
    }
  }

  #nextKind(): Kind {
    const { others } = this.#scene
    const isOther = others !== undefined && this.now < (others.until ?? Infinity) && this.#random() < others.share
    return isOther ? others : this.#scene
  }

  /** Takes the next that has come by then: tells when it came. */
  #arrival(polledAt: number): number | undefined {
    const { at, count } = this.#burst
    if (at <= Math.min(this.#next, polledAt)) {
      this.#burst = count === 1 ? { at: Infinity, count: 0 } : { at, count: count - 1 }
      return at
    }
    const next = this.#next
    if (next > polledAt) return undefined
    this.#next += -Math.log(1 - this.#random()) * (1000 / this.#scene.rate(next))
    return next
  }

  #giveUp(request: Request): void {
    if (request.state === "ended") return
    this.second.givenUp++
    this.spend(this.#costs.refuse)
    this.#leave(request)
  }

  /** Its client goes away. */
  #leave(request: Request): void {
    const { state } = request
    request.state = "ended"
    if (state === "waiting" || state === "resuming") this.#door.cancel(request.ticket!)
    if (state === "inside" || state === "uploading") this.#forget(request)
    if (state === "uploading" || state === "resuming") this.#door.gone()
    if (state === "inside") this.#door.leave(this.now - request.startedAt, "abandoned", 0, this.now)
  }

  #forget(request: Request): void {
    const index = this.#inside.indexOf(request)
    if (index >= 0) this.#inside.splice(index, 1)
  }

  #runDeferred(): void {
    const deferred = this.#deferred
    this.#deferred = []
    if (deferred.length > 0) this.spend(turn)
    for (const run of deferred) run()
  }

  #sleep(until: number): void {
    const [first, oldest] = [this.#inside[0]?.dueAt ?? Infinity, this.#clients[0]?.cameAt ?? Infinity]
    const woken = Math.min(...Array.from(this.#sleepers, ({ dueAt }) => dueAt))
    this.now = Math.max(this.now, Math.min(until, this.#next, this.#burst.at, first, woken, oldest + this.#patience))
  }
}

class Request implements Admission.Visitor {
  cameAt: number
  readonly kind: Kind
  readonly #loop: Loop
  state: State = "waiting"
  ticket: Admission.Ticket | undefined = undefined
  startedAt = 0
  dueAt = 0
  hasResumed = false

  constructor(loop: Loop, cameAt: number, kind: Kind) {
    this.#loop = loop
    this.kind = kind
    this.cameAt = cameAt
  }

  admitted(now: number): void {
    this.hasResumed = this.state === "resuming"
    this.state = "inside"
    this.startedAt = now
    if (this.hasResumed) this.#loop.resumed(this)
    else this.#loop.started(this)
  }

  refused(): void {
    this.state = "ended"
    this.#loop.refused()
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
