/** Looks into a blocked thread from the thread that watches it. Imports nothing of Effect. */
import { Session } from "node:inspector"
import type { Boot, Frame, Sight } from "./shared.ts"

interface CallFrame {
  readonly callFrameId: string
  readonly functionName: string
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number }
  readonly url: string
}

type Params = Record<string, unknown>
type Reply = (result: Params | undefined) => void

/** A way to the inspector of one thread. */
interface Channel {
  readonly send: (method: string, params?: Params, reply?: Reply) => void
  readonly close: () => void
}

type OnEvent = (method: string, params: Params) => void

/** Frames that are kept of a stack. */
const maxFrames = 20

// Runs in the blocked thread, where it must touch as little as possible. The keys are those of effect's Redactable.ts and HttpRouter.ts.
const whoRuns = `(() => {
  const fiber = globalThis["~effect/Fiber/currentFiber"]
  const span = fiber?.cache?.span
  const route = fiber?.context?.mapUnsafe?.get("effect/http/HttpRouter/RouteContext")?.route
  return {
    route: route && (route.method === "*" ? route.path : route.method + " " + route.path),
    span: span && span._tag === "Span" ? span.name : undefined
  }
})()`

/** `Session` is an emitter of every method; its types want each method by name. */
interface AnySession {
  on(event: string, listener: (message: { readonly method: string; readonly params: Params }) => void): void
  post(method: string, params: Params, reply?: (error: Error | null, result?: Params) => void): void
}

const openSession = () => {
  const session = new Session()
  session.connectToMainThread()
  return { session, any: session as unknown as AnySession }
}

const toMain = (onEvent: OnEvent): Channel => {
  const { any, session } = openSession()
  for (const event of ["Debugger.paused", "Debugger.scriptParsed"]) {
    any.on(event, ({ method, params }) => onEvent(method, params))
  }
  return {
    send: (method, params = {}, reply) =>
      any.post(method, params, (error, result) => reply?.(error === null ? result : undefined)),
    close: () => session.disconnect()
  }
}

/** Another worker thread can be reached through the main thread, while that one turns. */
const toWorker = (threadId: number, onEvent: OnEvent): Channel => {
  const { any, session } = openSession()
  const replies = new Map<number, Reply>()
  let sessionId: unknown
  let sent = 0
  let early: Array<() => void> = []
  any.on("NodeWorker.attachedToWorker", ({ params }) => {
    const { title } = params.workerInfo as { readonly title: string }
    if (!title.startsWith(`[worker ${threadId}]`))
      return void any.post("NodeWorker.detach", { sessionId: params.sessionId })
    sessionId = params.sessionId
    for (const send of early) send()
    early = []
  })
  any.on("NodeWorker.receivedMessageFromWorker", ({ params }) => {
    const { id, method, params: inner = {}, result } = JSON.parse(params.message as string)
    if (id === undefined) return onEvent(method, inner)
    replies.get(id)?.(result)
    replies.delete(id)
  })
  any.post("NodeWorker.enable", { waitForDebuggerOnStart: false })
  const send: Channel["send"] = (method, params = {}, reply) => {
    if (sessionId === undefined) return void early.push(() => send(method, params, reply))
    const id = ++sent
    if (reply !== undefined) replies.set(id, reply)
    any.post("NodeWorker.sendMessageToWorker", { sessionId, message: JSON.stringify({ id, method, params }) })
  }
  return { send, close: () => session.disconnect() }
}

export class Inspector {
  readonly #channel: Channel
  readonly #urls = new Map<string, string>()
  #asked: ((frames: ReadonlyArray<Frame>, who: Pick<Sight, "route" | "span">) => void) | undefined = undefined

  /** `ready` is called once stacks can be taken: the debugger can not be enabled while the thread is blocked. */
  constructor({ isMain, threadId }: Pick<Boot, "isMain" | "threadId">, ready: () => void) {
    const onEvent: OnEvent = (method, params) => {
      if (method === "Debugger.paused") this.#paused(params.callFrames as ReadonlyArray<CallFrame>)
      else if (method === "Debugger.scriptParsed") this.#urls.set(params.scriptId as string, params.url as string)
    }
    this.#channel = isMain ? toMain(onEvent) : toWorker(threadId, onEvent)
    this.#channel.send("Debugger.enable", {}, ready)
  }

  /** Stops the thread at its next statement, looks, and lets it go. Takes a few milliseconds. */
  look(seen: (frames: ReadonlyArray<Frame>, who: Pick<Sight, "route" | "span">) => void): void {
    if (this.#asked !== undefined) return
    this.#asked = seen
    this.#channel.send("Debugger.pause")
  }

  close(): void {
    this.#asked = undefined
    this.#channel.close()
  }

  #paused(callFrames: ReadonlyArray<CallFrame>): void {
    const seen = this.#asked
    // Somebody else's debugger has stopped it.
    if (seen === undefined) return
    this.#asked = undefined
    const frames = callFrames.slice(0, maxFrames).map((frame) => this.#toFrame(frame))
    const expression = { expression: whoRuns, returnByValue: true, silent: true }
    const top = callFrames[0]
    const evaluate = { ...expression, callFrameId: top?.callFrameId }
    this.#channel.send("Debugger.evaluateOnCallFrame", evaluate, (reply) => {
      const who = (reply?.result as { readonly value?: Pick<Sight, "route" | "span"> } | undefined)?.value
      seen(frames, { route: who?.route, span: who?.span })
    })
    this.#channel.send("Debugger.resume")
  }

  #toFrame({ functionName, location, url }: CallFrame): Frame {
    return {
      functionName,
      url: url === "" ? (this.#urls.get(location.scriptId) ?? "") : url,
      line: location.lineNumber + 1,
      column: (location.columnNumber ?? 0) + 1
    }
  }
}
