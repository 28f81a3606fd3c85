/** Starts the loops, replaces those that end or stand still, restarts them one after the other, and ends them. */
import type { Host } from "@spillway/runtime/OffloadHost"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { ResourceLimits } from "node:worker_threads"
import { LoopThread } from "./loopThread.ts"
import type { Cause, Gone } from "./loopThread.ts"
import { Masters } from "./masters.ts"
import { drainingCell, slotCell, slotStates } from "./protocol.ts"
import type { Sharing, SlotState } from "./protocol.ts"
import { clearSeat } from "../../SharedBudget.ts"

/** Times are in milliseconds. */
export interface SupervisorOptions {
  readonly entry: URL
  readonly loops: number
  readonly sharing: Sharing
  readonly maxBlocked: number
  readonly startTimeout: number
  readonly maxStartAttempts: number
  readonly closeTimeout: number
  readonly resourceLimits: ResourceLimits | undefined
}

export interface Slot {
  readonly loop: number
  /** The thread that has the place: it serves, unless the first one of all is still starting. */
  current: LoopThread | undefined
  /** The thread that is to get it. */
  next: LoopThread | undefined
  generation: number
  restarts: number
  /** Threads in a row that never came to serve. */
  failures: number
  /** Threads in a row that crashed soon after they had come to serve. */
  crashes: number
  /** Taken by whoever replaces the thread. */
  readonly lock: Semaphore.Semaphore
}

/** A thread that did not come to serve. */
export interface StartFailure {
  readonly thread: LoopThread
  readonly gone: Gone
}

export type RestartReason = "crashed" | "blocked" | "requested"

export interface SupervisorEvents {
  /** Runs in the background; ends with the scope of the supervisor. */
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly gone: (thread: LoopThread, gone: Gone) => Effect.Effect<void>
  readonly restarted: (slot: Slot, reason: RestartReason) => Effect.Effect<void>
  readonly cannotStart: (failure: StartFailure) => Effect.Effect<void>
  /** The metrics of the whole process. */
  readonly metrics: Effect.Effect<string>
  /** The monotonic clock in milliseconds. */
  readonly now: () => number
}

/** How long a killed thread may take to be gone. */
const killTimeout = "5 seconds"

const [backoffBase, backoffMax] = [100, 5000]

/** A loop that has served for so long, in milliseconds, was well: its crash is not one of a series. */
const wellAfter = 10_000

/** For a loop that drains while its successor serves, and one more that is stuck in native code. */
const spareSeats = 2

export class Supervisor {
  readonly options: SupervisorOptions
  readonly slots: ReadonlyArray<Slot>
  readonly threads = new Set<LoopThread>()
  /** Threads that were killed, given up, and have not ended: native code can not be interrupted. */
  readonly strays = new Set<LoopThread>()
  readonly masters: Masters
  /** Fails when a loop can not be replaced. */
  readonly failed = Deferred.makeUnsafe<never, StartFailure>()
  readonly beats: Int32Array
  draining = false
  readonly #states: Int32Array
  readonly #seats: Array<number>
  readonly #host: Host
  readonly #events: SupervisorEvents
  readonly #restarting = Semaphore.makeUnsafe(1)
  #queued: Deferred.Deferred<void, StartFailure> | undefined = undefined

  constructor(options: SupervisorOptions, host: Host, events: SupervisorEvents) {
    const { loops, sharing } = options
    const seats = loops + spareSeats
    this.options = options
    this.#host = host
    this.#events = events
    this.#seats = Array.from({ length: seats }, (_, seat) => seat)
    this.masters = new Masters({ loops, seats, sharing })
    this.#states = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * slotCell(loops)))
    this.beats = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * seats))
    this.slots = Array.from({ length: loops }, (_, loop) => ({
      loop,
      current: undefined,
      next: undefined,
      generation: 0,
      restarts: 0,
      failures: 0,
      crashes: 0,
      lock: Semaphore.makeUnsafe(1)
    }))
  }

  stateOf({ current, next }: Slot): SlotState {
    const { state } = current ?? next ?? { state: "gone" }
    return state === "gone" || state === "killed" ? "down" : state
  }

  /** Starts every loop. Fails with the first that does not come to serve. */
  get startAll(): Effect.Effect<void, StartFailure> {
    const start = (slot: Slot) => Effect.map(this.#start(slot), (thread) => this.#seat(slot, thread))
    return Effect.forEach(this.slots, start, { concurrency: "unbounded", discard: true })
  }

  /**
   * Replaces the loops one after the other. While that happens one more run may be asked for; who asks for a third gets the second.
   * Interrupting it leaves the run going on.
   */
  get restart(): Effect.Effect<void, StartFailure> {
    return Effect.suspend(() => {
      if (this.#queued !== undefined) return Deferred.await(this.#queued)
      const run = (this.#queued = Deferred.makeUnsafe<void, StartFailure>())
      this.#events.fork(
        Effect.suspend(() => {
          this.#queued = undefined
          return Effect.forEach(this.slots, (slot) => this.#restartSlot(slot), { discard: true })
        }).pipe(
          Effect.tap(() => Effect.sync(() => this.#closeUnused())),
          this.#restarting.withPermits(1),
          Effect.onExit((exit) => Deferred.done(run, exit)),
          Effect.ignore
        )
      )
      return Deferred.await(run)
    })
  }

  /** Ends every loop, in a bounded time if the drains of their servers are bounded. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.draining = true
      Atomics.store(this.#states, drainingCell, 1)
      this.masters.close()
      const ends = Effect.forEach(this.threads, (thread) => this.#end(thread), {
        concurrency: "unbounded",
        discard: true
      })
      this.#publish()
      return ends
    })
  }

  /** Kills a thread, and gives it up when it has not ended in time: then it has gone as far as the loops are concerned. */
  kill(thread: LoopThread, cause: Cause): void {
    if (!thread.kill(cause)) return
    this.#publish()
    const giveUp = Effect.sync(() => thread.giveUp())
    this.#events.fork(
      Effect.timeoutOrElse(Effect.asVoid(Deferred.await(thread.ended)), { duration: killTimeout, orElse: () => giveUp })
    )
  }

  /** A new thread for a slot, once it serves. It does not have the place yet. */
  #start(slot: Slot): Effect.Effect<LoopThread, StartFailure> {
    return Effect.gen({ self: this }, function* () {
      const thread = yield* this.#spawn(slot)
      slot.next = thread
      this.#publish()
      const late = Effect.suspend(() => {
        this.kill(thread, "late")
        return Deferred.await(thread.started)
      })
      yield* Effect.timeoutOrElse(Deferred.await(thread.started), {
        duration: this.options.startTimeout,
        orElse: () => late
      })
      if (thread.state !== "gone") return thread
      return yield* Effect.fail<StartFailure>({ thread, gone: yield* Deferred.await(thread.ended) })
    })
  }

  #spawn(slot: Slot): Effect.Effect<LoopThread> {
    return Effect.uninterruptible(
      Effect.gen({ self: this }, function* () {
        if (this.draining) return yield* Effect.interrupt
        const seat = this.#seats.pop()
        if (seat === undefined) return yield* this.#noSeat
        const scope = yield* Scope.make()
        const offload = yield* Scope.provide(this.#host.connect, scope)
        const { entry, loops, resourceLimits } = this.options
        const [generation, states] = [++slot.generation, this.#states]
        const thread = new LoopThread(
          { entry, resourceLimits, offload, loop: slot.loop, loops, generation, seat, beats: this.beats, states },
          {
            now: this.#events.now,
            open: (address) => this.masters.open(address, slot.loop, seat),
            askMetrics: (reply) => this.#events.fork(Effect.map(this.#events.metrics, reply)),
            gone: (thread, gone) => {
              this.#events.fork(Scope.close(scope, Exit.void))
              this.#onGone(slot, thread, gone)
            },
            exited: (thread) => this.#onExited(thread)
          }
        )
        this.threads.add(thread)
        return thread
      })
    )
  }

  /** So many threads are stuck in native code that another process has to take over. */
  get #noSeat(): Effect.Effect<never> {
    return Effect.suspend(() => {
      const error = new Error("MultiLoop: threads that were killed do not end")
      Deferred.doneUnsafe(this.failed, Exit.die(error))
      return Effect.die(error)
    })
  }

  #seat(slot: Slot, thread: LoopThread): void {
    slot.next = undefined
    slot.current = thread
    slot.failures = 0
    // It crashed the moment after it had come to serve.
    if (thread.state === "gone") this.#lost(slot, thread, "crashed")
    this.#publish()
  }

  #onGone(slot: Slot, thread: LoopThread, gone: Gone): void {
    this.threads.delete(thread)
    if (gone.exitCode === undefined) this.strays.add(thread)
    // One that was killed runs no JavaScript any more: it will not touch the cells.
    for (const cells of this.masters.budgets) clearSeat(cells, thread.seat)
    if (slot.next === thread) slot.next = undefined
    if (gone.cause !== "closed") this.#events.fork(this.#events.gone(thread, gone))
    if (slot.current === thread) this.#lost(slot, thread, gone.cause === "blocked" ? "blocked" : "crashed")
    this.#publish()
  }

  #onExited(thread: LoopThread): void {
    this.strays.delete(thread)
    this.masters.leave(thread.seat)
    this.#seats.push(thread.seat)
  }

  /** Of a loop that is being replaced the successor may be about to ask. */
  #closeUnused(): void {
    const settled = this.slots.every(({ current, next }) => current?.state === "ready" && next === undefined)
    if (settled) this.masters.closeUnused()
  }

  /** The thread of a slot has gone. */
  #lost(slot: Slot, thread: LoopThread, reason: RestartReason): void {
    slot.current = undefined
    // Told to, or while it was told to: whoever did that knows.
    if (this.draining || thread.closing) return
    const served = this.#events.now() - (thread.readyAt ?? 0)
    slot.crashes = served < wellAfter ? slot.crashes + 1 : 0
    this.#events.fork(this.#replace(slot, reason))
  }

  /** Gives a slot a thread if it has none, trying again with growing pauses. */
  #replace(slot: Slot, reason: RestartReason): Effect.Effect<void> {
    const attempt: Effect.Effect<void> = Effect.suspend(() => {
      if (this.draining || slot.current !== undefined) return Effect.void
      const pause = Effect.sleep(backoffAfter(Math.max(slot.failures, slot.crashes - 1)))
      return Effect.andThen(pause, this.#start(slot)).pipe(
        Effect.matchEffect({
          onSuccess: (thread) => {
            this.#seat(slot, thread)
            return this.#restarted(slot, reason)
          },
          onFailure: (failure) => {
            slot.failures++
            if (slot.failures < this.options.maxStartAttempts) return attempt
            return Effect.andThen(this.#events.cannotStart(failure), Deferred.fail(this.failed, failure))
          }
        })
      )
    })
    return slot.lock.withPermits(1)(attempt)
  }

  #restartSlot(slot: Slot): Effect.Effect<void, StartFailure> {
    return Effect.gen({ self: this }, function* () {
      if (this.draining) return
      const old = slot.current
      // Two can not listen at once.
      if (this.options.sharing === "alone" && old !== undefined) yield* this.#end(old)
      const thread = yield* Effect.onError(this.#start(slot), () =>
        Effect.sync(() => {
          if (slot.current === undefined) this.#events.fork(this.#replace(slot, "requested"))
        })
      )
      this.#seat(slot, thread)
      yield* this.#restarted(slot, "requested")
      if (old !== undefined) yield* this.#end(old)
    }).pipe(slot.lock.withPermits(1))
  }

  #restarted(slot: Slot, reason: RestartReason): Effect.Effect<void> {
    slot.restarts++
    return this.#events.restarted(slot, reason)
  }

  /** Tells a loop to end and waits until it has; kills it when that takes too long. */
  #end(thread: LoopThread): Effect.Effect<void> {
    return Effect.suspend(() => {
      thread.close()
      const gone = Deferred.await(thread.ended)
      const kill = Effect.suspend(() => {
        this.kill(thread, "late")
        return gone
      })
      return Effect.asVoid(
        Effect.timeoutOrElse(gone, { duration: thread.drainBound + this.options.closeTimeout, orElse: () => kill })
      )
    })
  }

  /** For those who ask for the states without asking this thread. */
  #publish(): void {
    for (const slot of this.slots) {
      Atomics.store(this.#states, slotCell(slot.loop), slotStates.indexOf(this.stateOf(slot)))
    }
  }
}

const backoffAfter = (failures: number): number =>
  failures <= 0 ? 0 : Math.min(backoffMax, backoffBase * 2 ** (failures - 1))
