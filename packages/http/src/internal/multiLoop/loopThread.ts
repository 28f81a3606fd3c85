/** One loop as its supervisor sees it: a thread that starts, serves, drains and is gone. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads"
import type { MessagePort, ResourceLimits } from "node:worker_threads"
import { toFaultData, workerDataKey } from "./protocol.ts"
import type { Address, Boot, FaultData, FromLoop, Opened, ToLoop } from "./protocol.ts"

export interface ThreadOptions extends Omit<Boot, "port"> {
  readonly entry: URL
  readonly resourceLimits: ResourceLimits | undefined
}

/** Why a thread ended: it was told to, it did not turn any more, it took too long to start or to end, or by itself. */
export type Cause = "closed" | "blocked" | "late" | "crashed"

export interface Gone {
  readonly cause: Cause
  /** `undefined`: it was killed and given up, and may still be in native code. */
  readonly exitCode: number | undefined
  readonly fault: FaultData | undefined
}

export interface ThreadEvents {
  readonly now: () => number
  readonly open: (address: Address) => Promise<Opened>
  readonly askMetrics: (reply: (text: string) => void) => void
  /** It has ended, or was given up. */
  readonly gone: (thread: LoopThread, gone: Gone) => void
  /** It has ended. */
  readonly exited: (thread: LoopThread) => void
}

export class LoopThread {
  state: "starting" | "ready" | "draining" | "killed" | "gone" = "starting"
  readonly loop: number
  readonly generation: number
  readonly seat: number
  /** Done when it serves or has gone, whichever comes first. */
  readonly started = Deferred.makeUnsafe<void>()
  readonly ended = Deferred.makeUnsafe<Gone>()
  /** Whether it was told to end. */
  closing = false
  /** When it came to serve, in milliseconds of the monotonic clock. */
  readyAt: number | undefined = undefined
  /** Where it was to listen and could not. */
  refused: { readonly address: Address; readonly fault: FaultData } | undefined = undefined
  /** What the drains of its servers may take, in milliseconds. */
  drainBound = 0
  /** Where its servers listen. */
  readonly addresses: Array<{ readonly host: string; readonly port: number }> = []
  /** The beats that it had made when it was last looked at, and how often it has made no more since. */
  beats = 0
  missed = 0
  readonly #thread: Worker
  readonly #port: MessagePort
  readonly #events: ThreadEvents
  readonly #questions = new Map<number, (text: string | undefined) => void>()
  #asked = 0
  #cause: Cause = "crashed"
  #fault: FaultData | undefined = undefined

  constructor({ entry, resourceLimits, ...boot }: ThreadOptions, events: ThreadEvents) {
    this.loop = boot.loop
    this.generation = boot.generation
    this.seat = boot.seat
    this.#events = events
    const { port1, port2 } = new MessageChannel()
    const workerData: { readonly [workerDataKey]: Boot } = { [workerDataKey]: { ...boot, port: port2 } }
    this.#thread = new Worker(entry, {
      name: `loop ${boot.loop}`,
      workerData,
      transferList: [port2, boot.offload],
      ...(resourceLimits === undefined ? {} : { resourceLimits })
    })
    this.#port = port1
    port1.on("message", (message: FromLoop) => this.#receive(message))
    this.#thread.on("error", (error) => {
      this.#fault ??= toFaultData(error)
    })
    this.#thread.on("exit", (exitCode) => this.#exited(exitCode))
  }

  get threadId(): number {
    return this.#thread.threadId
  }

  /** Tells it to drain and to end. */
  close(): void {
    if (this.closing || this.state === "gone") return
    this.closing = true
    if (this.state === "killed") return
    this.state = "draining"
    this.#cause = "closed"
    this.#send({ type: "close" })
  }

  /** Ends it, whatever JavaScript it runs; native code comes to its end first. `false` if that was done before. */
  kill(cause: Cause): boolean {
    if (this.state === "gone" || this.state === "killed") return false
    this.state = "killed"
    this.#cause = cause
    void this.#thread.terminate()
    return true
  }

  /** Waits no longer for the end of a thread that was killed. Nor does the process. */
  giveUp(): void {
    if (this.state !== "killed") return
    this.#thread.unref()
    this.#leave(undefined)
  }

  /** Its metrics, `undefined` when it has gone. Waits without limit. */
  get metrics(): Effect.Effect<string | undefined> {
    return Effect.callback((resume) => {
      if (this.state === "gone") return resume(Effect.succeed(undefined))
      const id = ++this.#asked
      this.#questions.set(id, (text) => resume(Effect.succeed(text)))
      this.#send({ type: "collect", id })
      return Effect.sync(() => this.#questions.delete(id))
    })
  }

  #receive(message: FromLoop): void {
    switch (message.type) {
      case "ready":
        if (this.state === "starting") this.state = "ready"
        this.readyAt ??= this.#events.now()
        Deferred.doneUnsafe(this.started, Effect.void)
        return
      case "failed":
        this.#fault ??= message.fault
        return
      case "bound":
        this.drainBound = Math.max(this.drainBound, message.millis)
        return
      case "listening":
        this.addresses.push({ host: message.host, port: message.port })
        return
      case "open":
        return this.#open(message.id, message.address)
      case "collected":
        this.#questions.get(message.id)?.(message.text)
        this.#questions.delete(message.id)
        return
      case "askMetrics":
        return this.#events.askMetrics((text) => this.#send({ type: "metrics", id: message.id, text }))
    }
  }

  #open(id: number, address: Address): void {
    this.#events.open(address).then(
      (opened) => this.#send({ type: "opened", id, opened }),
      (error: unknown) => {
        const fault = toFaultData(error)
        this.refused = { address, fault }
        this.#send({ type: "refused", id, fault })
      }
    )
  }

  #send(message: ToLoop): void {
    if (this.state !== "gone") this.#port.postMessage(message)
  }

  #exited(exitCode: number): void {
    // First, so that who waits for `ended` finds nothing left of it.
    this.#events.exited(this)
    if (this.state !== "gone") this.#leave(exitCode)
  }

  #leave(exitCode: number | undefined): void {
    // What it said before it ended.
    for (let last = receiveMessageOnPort(this.#port); last !== undefined; last = receiveMessageOnPort(this.#port)) {
      this.#receive(last.message as FromLoop)
    }
    this.state = "gone"
    this.#port.close()
    for (const answer of this.#questions.values()) answer(undefined)
    this.#questions.clear()
    const gone: Gone = { cause: this.#cause, exitCode, fault: this.#fault }
    this.#events.gone(this, gone)
    Deferred.doneUnsafe(this.ended, Effect.succeed(gone))
    Deferred.doneUnsafe(this.started, Effect.void)
  }
}
