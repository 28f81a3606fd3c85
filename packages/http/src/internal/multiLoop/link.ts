/** The way of a loop to its supervisor. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { drainingCell, slotCell, slotStates } from "./protocol.ts"
import type { Address, Boot, FaultData, FromLoop, Opened, SlotState, ToLoop } from "./protocol.ts"
import { labelled } from "./exposition.ts"

/** How long the supervisor may take to put together the metrics of all loops, before a loop answers with its own. */
const metricsTimeout = 1000

/** What the supervisor told a loop that it can not have. */
export class Refused extends Error {
  constructor({ message, name, stack }: FaultData) {
    super(message)
    this.name = name
    this.stack = stack ?? ""
  }
}

export class Link {
  readonly boot: Boot
  readonly #answers = new Map<number, (message: ToLoop) => void>()
  readonly #ordinals = new Map<string, number>()
  readonly #context: Context.Context<never>
  #asked = 0

  constructor(boot: Boot, context: Context.Context<never>, onClose: () => void) {
    this.boot = boot
    this.#context = context
    boot.port.on("message", (message: ToLoop) => {
      if (message.type === "close") return onClose()
      if (message.type === "collect") return this.#collect(message.id)
      this.#answers.get(message.id)?.(message)
    })
  }

  tell(message: FromLoop): void {
    this.boot.port.postMessage(message)
  }

  beat(): void {
    Atomics.add(this.boot.beats, this.boot.seat, 1)
  }

  /** The socket and the budget of a server. */
  open(address: Omit<Address, "ordinal">): Effect.Effect<Opened, Refused> {
    return Effect.suspend(() => {
      const key = `${address.host} ${address.port} ${address.inherit}`
      const ordinal = this.#ordinals.get(key) ?? 0
      this.#ordinals.set(key, ordinal + 1)
      return Effect.flatMap(
        this.#ask((id) => ({ type: "open", id, address: { ...address, ordinal } })),
        (answer) =>
          answer.type === "opened"
            ? Effect.succeed(answer.opened)
            : Effect.fail(new Refused((answer as ToLoop & { readonly type: "refused" }).fault))
      )
    })
  }

  /** The metrics of the whole process, as far as the others answer in time. */
  get metrics(): Effect.Effect<string> {
    const own = Effect.sync(() => labelled(this.#text(), String(this.boot.loop)))
    return this.#ask((id) => ({ type: "askMetrics", id })).pipe(
      Effect.map((answer) => (answer as ToLoop & { readonly type: "metrics" }).text),
      Effect.timeoutOrElse({ duration: metricsTimeout, orElse: () => own })
    )
  }

  /** Whether the process drains, and what its loops are doing. */
  get states(): { readonly draining: boolean; readonly loops: ReadonlyArray<SlotState> } {
    const { loops, states } = this.boot
    return {
      draining: Atomics.load(states, drainingCell) === 1,
      loops: Array.from({ length: loops }, (_, slot) => slotStates[Atomics.load(states, slotCell(slot))]!)
    }
  }

  #text(): string {
    return PrometheusMetrics.formatUnsafe(this.#context)
  }

  #collect(id: number): void {
    this.tell({ type: "collected", id, text: this.#text() })
  }

  #ask(question: (id: number) => FromLoop): Effect.Effect<ToLoop> {
    return Effect.callback((resume) => {
      const id = ++this.#asked
      this.#answers.set(id, (answer) => {
        this.#answers.delete(id)
        resume(Effect.succeed(answer))
      })
      this.tell(question(id))
      return Effect.sync(() => this.#answers.delete(id))
    })
  }
}

/** The loop in which an effect runs, `undefined` outside of any. */
export const CurrentLink: Context.Reference<Link | undefined> = Context.Reference<Link | undefined>(
  "@spillway/http/MultiLoop/CurrentLink",
  { defaultValue: () => undefined }
)
