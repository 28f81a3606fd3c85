/**
 * The door of the server: decides which requests start at once, which wait, and which are turned away, before any fiber exists for
 * them.
 *
 * The rules are those of `AdmissionQueue`, driven by socket events, and what else a door needs: reading and running in separate turns of
 * the event loop, permits that are given up while a client is still sending its body, and the `Retry-After` of a refusal.
 *
 * @since 0.1.0
 */
import type { AdaptiveLimit, Outcome } from "@spillway/runtime/AdaptiveLimit"
import * as AdmissionQueue from "@spillway/runtime/AdmissionQueue"
import type { LoadSignals, Priority } from "@spillway/runtime/LoadSignals"
import * as Effect from "effect/Effect"
import type { Budget, Options } from "./AdmissionOptions.ts"
import { Alarm } from "./internal/alarm.ts"
import { classOf } from "./internal/priorityClass.ts"
import { Probes } from "./internal/probes.ts"
import { ReturnTime } from "./internal/returnTime.ts"
import { Turn } from "./internal/turn.ts"
import type { LoopPace } from "./LoopPace.ts"

/**
 * The options, which have a module of their own.
 *
 * @category options
 * @since 0.1.0
 */
export * from "./AdmissionOptions.ts"

/**
 * Why a request was turned away at the door.
 *
 * **Details**
 *
 * - `QueueFull`: no permit was free and `maxQueued` requests were waiting.
 * - `WaitExceeded`: it waited for `maxWait`, or until its deadline, and no permit came free.
 * - `Displaced`: the queue was full, and one took its place that is more urgent, or of a partition with less than its share and not less
 *   urgent.
 * - `Shed`: the queue is overloaded by the rule of CoDel, and it had waited for more than twice the target.
 * - `Overloaded`: a signal says that the process is near its limits.
 *
 * @category models
 * @since 0.1.0
 */
export type Refusal = "QueueFull" | "WaitExceeded" | "Displaced" | "Shed" | "Overloaded"

/**
 * Who stands at the door. It is told exactly once what became of it, unless it leaves first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Visitor {
  /**
   * How urgent it is among those of its partition. What is none of the three counts as `normal`.
   *
   * @default "normal"
   */
  readonly priority?: Priority | undefined
  /**
   * Its partition, by the index in `Options.partitions`.
   *
   * @default 0
   */
  readonly partition?: number | undefined
  /** It holds a permit since `now`, and gives it back by `Admission.leave`. */
  admitted(now: number): void
  /** It was turned away and holds nothing. `signal` is the name of the signal for which it was `Overloaded`. */
  refused(reason: Refusal, signal?: string): void
}

/**
 * The place of a visitor in the queue.
 *
 * @category models
 * @since 0.1.0
 */
export type Ticket = AdmissionQueue.Entry<Visitor>

/**
 * What the door holds at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Requests inside. */
  readonly running: number
  /** Requests that wait to start. */
  readonly queued: number
  /** Requests that started, gave their permit up while their body arrived, and wait to go on. */
  readonly resuming: number
  /** The number of permits. */
  readonly limit: number
}

/** How many handlers may be started after one turn of reading, if they take next to no time. */
const maxBatch = 32

/** How many are refused one after the other, before something else has its turn. */
const maxRefusals = 64

/** By how much those who resume come before those of other doors, in milliseconds: more than anybody waits at a door. */
const resumingLead = 3_600_000

/**
 * The door. Made by `make`.
 *
 * **Details**
 *
 * All operations are O(1). Reading and running are separate turns: once the handlers of a turn of the event loop have had 2 ms, whoever
 * comes waits, until everything that has arrived is read; then the next are started, again for 2 ms. So the queue is seen as long as it is,
 * instead of standing in the kernel, and the rules act on all of it. While the loop is not behind, a request starts at once; and as long
 * as `pace` says that requests cost less than 0.5 ms and that there is time for them, they start as they come, for up to 50 ms of a turn.
 *
 * @category models
 * @since 0.1.0
 */
export class Admission {
  readonly #queue: AdmissionQueue.AdmissionQueue<Visitor>
  readonly #alarm: Alarm
  readonly #probes: Probes | undefined
  readonly #turn: Turn
  readonly #now: () => number
  readonly #random: () => number
  readonly #defer: (run: () => void) => void
  readonly #budget: Budget | undefined
  readonly #limit: AdaptiveLimit | undefined
  readonly #maxLimit: number
  readonly #signals: LoadSignals | undefined
  readonly #pace: LoopPace | undefined
  readonly #returnTime = new ReturnTime()
  /** Runs of `#runNext` that are to come. */
  #pending = 0
  #published: number | undefined = undefined

  /** Use `make`. */
  constructor(options: Options) {
    this.#now = options.now
    this.#random = options.random ?? Math.random
    this.#defer = options.defer ?? setImmediate
    this.#budget = options.budget
    this.#limit = options.limit
    this.#maxLimit = options.maxConcurrent
    this.#signals = options.signals
    this.#pace = options.pace
    this.#turn = new Turn(this.#defer)
    this.#queue = AdmissionQueue.make({
      limit: Math.min(options.maxConcurrent, options.limit?.limit ?? Infinity),
      maxQueued: options.maxQueued,
      maxWait: options.maxWait,
      order: options.codel === undefined ? "fifo" : "adaptive",
      codel: options.codel,
      priorities: 3,
      partitions: options.partitions,
      budget: options.budget
    })
    this.#alarm = new Alarm(
      () => this.#queue.nextExpiry(),
      (now) => {
        this.#settle(now, 0)
        this.#publish()
      }
    )
    const retry = () => {
      this.#publish()
      this.#pump()
    }
    this.#probes = options.pace && new Probes(options.pace, () => this.#queue, retry)
  }

  /** Turns away those who have waited too long, and probes the loop. Forked once, by the owner of the door, whose scope ends it. */
  get expire(): Effect.Effect<never> {
    const watching = this.#budget?.watch(() => this.#pump()) ?? Effect.never
    return Effect.raceAllFirst([this.#alarm.run, this.#probes?.run ?? Effect.never, watching])
  }

  /** What the door holds now. */
  get stats(): Stats {
    const { limit, queued, readmitting, running } = this.#queue
    return { running, queued: queued - readmitting, resuming: readmitting, limit }
  }

  /** What a request has cost the event loop lately, in milliseconds; 0 where that is not known. */
  get cost(): number {
    return this.#pace?.cost ?? 0
  }

  /** For how long the one that has waited longest waits, in milliseconds. */
  get queueDelay(): number {
    const since = this.#queue.waitingSince
    return since === undefined || since === Infinity ? 0 : Math.max(0, this.#now() - since)
  }

  /**
   * Asks for a permit. Returns a ticket if the visitor has to wait, and `undefined` if it has been told already. `now` is what the clock
   * says, for callers that have just read it.
   */
  enter(visitor: Visitor, now: number = this.#now()): Ticket | undefined {
    this.#probes?.came(now)
    const signal = this.#signals?.refuse(visitor.priority ?? "normal", this.#random())
    if (signal === undefined) return this.#wait(visitor, now, true)
    this.#refuse(visitor, "Overloaded", now, signal)
    return undefined
  }

  /**
   * Asks again for one that was admitted, and gave its permit up before it started, since its body had not come. It needs no place in the
   * queue, but waits among the others, and can be shed like them.
   */
  reenter(visitor: Visitor): Ticket | undefined {
    const now = this.#now()
    this.#probes?.set(now)
    return this.#wait(visitor, now, false)
  }

  #wait(visitor: Visitor, now: number, bounded: boolean): Ticket | undefined {
    const { partition = 0, priority = "normal" } = visitor
    if (this.#mayStart(now) && this.#queue.tryAcquire(partition)) {
      this.#admit(visitor, now)
      return undefined
    }
    // One that only waits for its turn, and will nearly always have a permit then, needs no place in the queue.
    const free = this.#budget?.free ?? this.#queue.limit - this.#queue.running
    const waitsForTurn = this.#queue.queued < free && this.#isInPace(now)
    const needsPlace = bounded && !waitsForTurn && !this.#queue.guarantees(partition)
    const ticket = this.#queue.enqueue(visitor, now, classOf(priority), partition, needsPlace)
    if (ticket.state !== "Waiting") {
      this.#refuse(visitor, "QueueFull", now)
      return undefined
    }
    this.#turn.arrived()
    this.#alarm.set()
    this.#publish()
    this.#pump()
    return ticket
  }

  /** Asks for a permit again after `pause`. Such a visitor is never refused, and comes before all that have not started yet. */
  resume(visitor: Visitor): Ticket | undefined {
    const now = this.#now()
    this.#probes?.set(now)
    if (this.#isInPace(now) && this.#turn.hasTime(now) && this.#queue.tryAcquire(visitor.partition)) {
      this.#admit(visitor, now)
      return undefined
    }
    const ticket = this.#queue.readmit(visitor, visitor.partition)
    this.#publish()
    this.#pump()
    return ticket
  }

  /** Takes a visitor out of the queue. One that has been admitted meanwhile must `leave` instead. */
  cancel(ticket: Ticket): void {
    if (this.#queue.cancel(ticket)) this.#publish()
  }

  /**
   * Gives a permit back that was held for so many milliseconds, and tells what came of it. `now` is as in `enter`. It was `abandoned` if its
   * client went away, or waited no longer: that counts as dropped if it had taken longer than the mean (waited for in vain), else for nothing.
   */
  leave(
    held: number,
    outcome: Outcome | "abandoned" = "success",
    partition: number = 0,
    now: number = this.#now()
  ): void {
    const inFlight = this.#queue.running
    const gaveUp = held >= (this.#queue.meanHold ?? 0) ? "dropped" : "ignored"
    this.#queue.release(held, partition)
    this.#returnTime.served(now)
    this.#pace?.ended(held)
    if (this.#limit !== undefined)
      this.#resize(this.#limit.record(now, held, inFlight, outcome === "abandoned" ? gaveUp : outcome))
    this.#pump()
  }

  /** A connection was accepted: a request of it may be among those that come now. */
  accepted(): void {
    this.#turn.accepted()
  }

  /** Gives a permit back for a while that was held for so many milliseconds, which say nothing about how long requests take. */
  pause(partition: number = 0, held: number = 0): void {
    this.#queue.release(undefined, partition)
    this.#pace?.paused(held)
    this.#pump()
  }

  /** One that began, and then gave its permit up by `pause`, has ended. */
  gone(): void {
    this.#pace?.gone()
  }

  /**
   * The `Retry-After` of a refusal now, in whole seconds from 1 to 60: about when those who were refused lately could be served, as fast as
   * requests were served lately, times 0.5 to 1.5 at random.
   */
  retryAfterSeconds(): number {
    return this.#returnTime.seconds(this.#queue, this.#now(), this.#random())
  }

  /** As it comes: in pace, and in its turn unless requests cost so little that to read the others first would cost as much. */
  #mayStart(now: number): boolean {
    return (
      this.#isInPace(now) && (this.#pace?.isCheap === true ? this.#turn.mayStartCheap(now) : this.#turn.mayStart(now))
    )
  }

  #isInPace(now: number): boolean {
    return this.#pace === undefined || this.#pace.mayStart(now, this.#queue.running, this.#queue.queued > 0)
  }

  #admit(visitor: Visitor, now: number): void {
    this.#pace?.started()
    visitor.admitted(now)
  }

  #resize(limit: number): void {
    const capped = Math.min(limit, this.#maxLimit)
    if (capped !== this.#queue.limit) this.#queue.resize(capped)
  }

  #refuse(visitor: Visitor, reason: Refusal, now: number, signal?: string): void {
    this.#returnTime.refused(now)
    visitor.refused(reason, signal)
  }

  /** Tells the other doors who is next here, if that is another one than before. */
  #publish(): void {
    if (this.#budget === undefined) return
    const { readmitting, waitingSince } = this.#queue
    const first = waitingSince === undefined || readmitting === 0 ? waitingSince : this.#resumingSince()
    // What waits for the pace of this loop takes no permit that others could have.
    const since = first === undefined || this.#isInPace(this.#now()) ? first : undefined
    if (since === this.#published) return
    this.#published = since
    if (this.#budget.publish(since)) this.#pump()
  }

  /** Those who resume have no time of their own: they come before all others, and before each other by when they began to wait. */
  #resumingSince(): number {
    const earliest = this.#now() - resumingLead
    return this.#published === undefined ? earliest : Math.min(this.#published, earliest)
  }

  /** Starts those who wait when all that has arrived is read: each in a callback of its own, with what it does at once behind it. */
  #pump(): void {
    const { queued } = this.#queue
    if (this.#pending > 0 || queued === 0) return
    this.#pending = this.#isInPace(this.#now()) ? Math.min(maxBatch, queued) : 1
    for (let i = 0; i < this.#pending; i++) this.#defer(this.#runNext)
  }

  readonly #runNext = (): void => {
    this.#pending--
    const now = this.#now()
    const mayGoOn = !this.#turn.mayRun(now) || this.#settle(now, 1)
    if (this.#pending > 0) return
    this.#publish()
    if (mayGoOn) this.#pump()
  }

  /** Tells those whose fate is decided, until one is admitted if there is `room`. Says whether there may be more to decide. */
  #settle(now: number, room: 0 | 1): boolean {
    for (let i = 0; i < maxRefusals; i++) {
      const entry = this.#queue.poll(now, room > 0 && this.#isInPace(now) ? 1 : 0)
      if (entry === undefined) return false
      if (entry.state === "Admitted") {
        this.#admit(entry.value, now)
        return true
      }
      this.#refuse(entry.value, entry.state as Refusal, now)
    }
    return true
  }
}

/**
 * Creates a door.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Admission => {
  const { maxConcurrent, maxQueued } = options
  if (maxConcurrent !== Infinity && !(Number.isInteger(maxConcurrent) && maxConcurrent >= 1)) {
    throw new RangeError(`Admission.make: maxConcurrent must be an integer >= 1 or Infinity, got ${maxConcurrent}`)
  }
  if (maxQueued !== Infinity && !(Number.isInteger(maxQueued) && maxQueued >= 0)) {
    throw new RangeError(`Admission.make: maxQueued must be an integer >= 0 or Infinity, got ${maxQueued}`)
  }
  return new Admission(options)
}
