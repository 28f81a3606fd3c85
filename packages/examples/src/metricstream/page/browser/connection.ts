/**
 * The stream of the server's news, kept up for as long as it is wanted.
 *
 * It is read with `fetch`, not with `EventSource`, which gives up for good at a 503, cannot be told `Retry-After`, and does not notice a
 * connection over which nothing comes any more.
 */
import { rhythm } from "../../live/figures.ts"
import { EventParser } from "./events.ts"
import { refusalOf } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"

/** How the connection stands. */
export type State = "connecting" | "live" | "restarting" | "refused" | "lost" | "stopped"

export interface Listener {
  readonly onEvent: (event: string, data: unknown) => void
  /** With `refused` come the words of the server. */
  readonly onState: (state: State, words?: string) => void
}

/** The first pause before another try, and the longest, in milliseconds. */
const [minPause, maxPause] = [500, 8000]

/** After how long without a byte a connection is taken for dead, in milliseconds: two heartbeats did not come. */
const silence = 2.4 * rhythm.heartbeat

/** The answer was not a stream. */
class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.words)
    this.refusal = refusal
  }
}

export class Connection {
  readonly #listener: Listener
  #url = ""
  #lastId = ""
  #abort: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #pause = minPause
  #draining = false

  constructor(listener: Listener) {
    this.#listener = listener
  }

  /** Connects, or connects anew if what is asked for has changed. */
  start(url: string): void {
    if (this.#abort !== undefined && url === this.#url) return
    const isNew = this.#abort === undefined
    this.#end()
    this.#url = url
    this.#pause = minPause
    if (isNew) this.#listener.onState("connecting")
    void this.#run()
  }

  stop(): void {
    this.#end()
    this.#listener.onState("stopped")
  }

  #end(): void {
    this.#abort?.abort()
    this.#abort = undefined
    clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    const abort = new AbortController()
    this.#abort = abort
    this.#draining = false
    let refusal: Refusal | undefined
    try {
      await this.#read(abort)
    } catch (error) {
      // Whatever it is, the way on is the same: to try again.
      if (error instanceof Refused) refusal = error.refusal
    }
    // Somebody else has the connection by now, or nobody wants it.
    if (this.#abort !== abort) return
    abort.abort()
    if (refusal !== undefined) this.#listener.onState("refused", refusal.words)
    else this.#listener.onState(this.#draining ? "restarting" : "lost")
    // Not sooner than was asked for, and not all pages at once.
    const pause = Math.max(refusal?.pause ?? 0, this.#pause) * (1 + Math.random() / 2)
    this.#pause = Math.min(maxPause, this.#pause * 2)
    this.#timer = setTimeout(() => void this.#run(), pause)
  }

  async #read(abort: AbortController): Promise<void> {
    let watchdog = setTimeout(() => abort.abort(), silence)
    try {
      const headers = { accept: "text/event-stream", ...(this.#lastId !== "" && { "last-event-id": this.#lastId }) }
      const response = await fetch(this.#url, { headers, signal: abort.signal, cache: "no-store" })
      if (!response.ok || response.body === null) throw new Refused(await refusalOf(response))
      const parser = new EventParser()
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        if (abort.signal.aborted) return
        clearTimeout(watchdog)
        watchdog = setTimeout(() => abort.abort(), silence)
        for (const { data, event, id } of parser.feed(piece.value)) this.#take(event, data, id)
      }
    } finally {
      clearTimeout(watchdog)
    }
  }

  #take(event: string, data: string, id: string): void {
    this.#lastId = id
    if (event === "hello") {
      this.#pause = minPause
      this.#listener.onState("live")
    }
    if (event === "drain") this.#draining = true
    try {
      this.#listener.onEvent(event, JSON.parse(data))
    } catch (error) {
      // A bug of the page is no reason to connect again.
      reportError(error)
    }
  }
}
