import * as NodeWS from "@effect/platform-node/NodeWS"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { ClientAbort } from "effect/http/HttpServerError"
import { SocketError, SocketWriteError } from "effect/socket/Socket"
import type { Connection } from "./connection.ts"
import type { Expiring } from "./expiryList.ts"
import { LinkedList } from "./linkedList.ts"
import type { Linked } from "./linkedList.ts"
import * as socketState from "./socketState.ts"
import type { CloseReason } from "./webSocketRecorder.ts"
import type { WebSockets } from "./webSockets.ts"

/** A message as the adapter sends it. */
export type Message = string | Uint8Array

/** RFC 6455 section 7.4.1. NATS closes slow consumers with it too; 1013 would ask them to come back at once. */
const policyViolation = 1008
const goingAway = 1001
const tooLarge = new Set(["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "WS_ERR_TOO_MANY_BUFFERED_PARTS"])
/** What `ws` reports when a connection ended without a close frame. */
const noCloseFrame = 1006

/** UTF-16 code units of a string: what node counts too until it is encoded. */
const sizeOf = (message: Message): number => (typeof message === "string" ? message.length : message.byteLength)

const writeError = (message: string): SocketError =>
  new SocketError({ reason: new SocketWriteError({ cause: new Error(message) }) })

/** What `ws` does not say in public. */
interface Internals {
  readonly _closeFrameReceived: boolean
}

/** A message whose writer waits until there is room for it. */
interface Waiter extends Linked {
  readonly message: Message
  readonly resume: (effect: Effect.Effect<void, SocketError>) => void
}

/**
 * The server's side of a WebSocket: `ws` speaks the protocol, this bounds what it holds for the peer, looks for signs of life, and
 * ends it in a bounded time.
 *
 * It expires `webSocketPingInterval` after the last ping, `webSocketCloseTimeout` after the close frame, and once more so long after the
 * end of the connection, when a handler that noticed nothing is interrupted.
 */
export class ServerWebSocket extends NodeWS.WebSocket implements Expiring {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = 0
  #owner!: WebSockets
  #connection!: Connection
  #handler: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #reason: CloseReason | undefined = undefined
  /** We sent a close frame before any came. */
  #closedFirst = false
  readonly #waiting = new LinkedList<Waiter>()
  /** Bytes of the connection when the last ping was sent; before the first, the handshake makes the difference. */
  #read = 0
  #sent = 0

  /** The handshake is done. */
  opened(owner: WebSockets, connection: Connection, handler: Fiber.Fiber<unknown, unknown> | undefined): void {
    this.#owner = owner
    this.#connection = connection
    this.#handler = handler
    this.on("message", this.#onMessage)
    this.on("error", this.#onError)
    this.on("close", this.#onClose)
    owner.pings.add(this, owner.now())
  }

  /** The handler has ended, finalizers included. */
  handlerEnded(): void {
    this.#handler = undefined
    if (this.readyState === NodeWS.WebSocket.CLOSED) this.#owner.ended(this)
  }

  get isOpen(): boolean {
    return this.readyState === NodeWS.WebSocket.OPEN
  }

  /** One message may always go, however large: it is in memory anyway. */
  #hasRoom(message: Message): boolean {
    const queued = this.bufferedAmount
    return queued === 0 || queued + sizeOf(message) <= this.#owner.options.maxWebSocketQueue
  }

  /** Whether a writer must wait before it may send a message. Those that wait already go first. */
  mustWait(message: Message): boolean {
    if (this.#owner.options.webSocketSlowConsumer !== "wait" || !this.isOpen) return false
    return this.#waiting.oldest !== undefined || !this.#hasRoom(message)
  }

  /** Sends a message when there is room for it. An interrupted writer sends nothing. */
  sendLater(message: Message): Effect.Effect<void, SocketError> {
    return Effect.callback<void, SocketError>((resume) => {
      const waiter: Waiter = { previous: undefined, next: undefined, message, resume }
      this.#waiting.append(waiter)
      return Effect.sync(() => this.#waiting.remove(waiter))
    })
  }

  /** What is thrown fails the effect of the writer with a `SocketWriteError`. */
  override send(data: Parameters<NodeWS.WebSocket["send"]>[0]): void {
    const message = data as Message
    if (!this.isOpen) throw new Error("the WebSocket is closed, or closing")
    const { options, recorder } = this.#owner
    if (options.webSocketSlowConsumer !== "wait" && !this.#hasRoom(message)) {
      if (options.webSocketSlowConsumer === "drop") return recorder.message("dropped")
      this.#closeFor("SlowConsumer", policyViolation, "you read too slowly")
      throw new Error("the peer reads too slowly: its queue is full")
    }
    recorder.message("sent")
    super.send(message, this.#onSent)
  }

  /** The kernel has taken a message, or the connection has ended. */
  readonly #onSent = (): void => {
    for (let waiter = this.#waiting.oldest; waiter !== undefined; waiter = this.#waiting.oldest) {
      if (this.isOpen && !this.#hasRoom(waiter.message)) return
      this.#waiting.remove(waiter)
      if (this.isOpen) {
        this.send(waiter.message)
        waiter.resume(Effect.void)
      } else {
        waiter.resume(Effect.fail(writeError("the WebSocket was closed before there was room for the message")))
      }
    }
  }

  /** Also called by `ws` itself, to answer a close frame and after an error of the protocol. */
  override close(code?: number, data?: string | Buffer): void {
    if (!this.isOpen) return super.close(code, data)
    this.#closedFirst = !(this as unknown as Internals)._closeFrameReceived
    super.close(code, data)
    this.#owner.pings.remove(this)
    this.#owner.closes.add(this, this.#owner.now())
    this.#onSent()
  }

  /** Called by `ws` for a peer that sends pings and does not read the answers. */
  override terminate(): void {
    this.#reset("SlowConsumer")
  }

  /** Tells the peer that the server goes. */
  drain(): void {
    this.#closeFor("Drain", goingAway, "the server is being restarted")
  }

  #closeFor(reason: CloseReason, code: number, text: string): void {
    if (!this.isOpen) return
    this.#reason ??= reason
    this.close(code, text)
  }

  #reset(reason?: CloseReason): void {
    this.#reason ??= reason
    socketState.reset(this.#connection.socket)
  }

  expire(): void {
    switch (this.readyState) {
      case NodeWS.WebSocket.OPEN:
        if (this.#isAlive()) return this.#ping()
        // When our own loop was blocked, what the peer has sent lies unread in the kernel: it is read before this runs.
        return void setImmediate(() => {
          if (!this.isOpen) return
          if (this.#isAlive()) this.#ping()
          else this.#reset(this.bufferedAmount > 0 ? "SlowConsumer" : "PingTimeout")
        })
      case NodeWS.WebSocket.CLOSED:
        return this.#handler?.interruptUnsafe(this.#handler.id, ClientAbort.annotation)
      default:
        return this.#reset()
    }
  }

  #ping(): void {
    const { socket } = this.#connection
    this.ping()
    this.#read = socket.bytesRead
    this.#sent = socketState.sentBytes(socket) ?? 0
    this.#owner.pings.add(this, this.#owner.now())
  }

  /**
   * Any byte from the peer since the last ping is a sign of life. So is any byte that it took of what lies before the ping. While the
   * handler does not read, nobody reads the answer either.
   */
  #isAlive(): boolean {
    const { socket } = this.#connection
    if (this.isPaused || socket.bytesRead !== this.#read) return true
    return this.bufferedAmount > 0 && socketState.sentBytes(socket) !== this.#sent
  }

  readonly #onMessage = (): void => this.#owner.recorder.message("received")

  readonly #onError = (error: Error & { readonly code?: string }): void => {
    if (error.code?.startsWith("WS_ERR_") !== true) return
    this.#reason ??= tooLarge.has(error.code) ? "TooLarge" : "ProtocolError"
  }

  readonly #onClose = (code: number): void => {
    const { closes, pings } = this.#owner
    pings.remove(this)
    closes.remove(this)
    this.#onSent()
    this.#owner.recorder.closed(this.#reason ?? this.#guessReason(code))
    if (this.#handler === undefined) this.#owner.ended(this)
    else closes.add(this, this.#owner.now())
  }

  #guessReason(code: number): CloseReason {
    const { closing, socket } = this.#connection
    if (this.#closedFirst) return "Handler"
    if (code !== noCloseFrame) return "Peer"
    // The sweep of the connections resets readers that are too slow.
    return closing && !socket.writableEnded ? "SlowConsumer" : "Lost"
  }
}
