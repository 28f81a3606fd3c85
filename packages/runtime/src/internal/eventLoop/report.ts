/** Makes of a silence what a developer can act upon, and says it no more often than is useful. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Block } from "../../EventLoop.ts"
import * as RuntimeMetrics from "../../RuntimeMetrics.ts"
import type { Silence } from "./heart.ts"
import { culpritOf, formatFrame } from "./shared.ts"
import { labelOfRoute, routeOf, spanOf } from "./witness.ts"

/** Culprits of which it is remembered when they were last logged. */
const maxRemembered = 256

const spanIn = (context: Context.Context<never> | undefined): Block["span"] => {
  const span = context && spanOf(context)
  return span?._tag === "Span" ? { name: span.name, traceId: span.traceId, spanId: span.spanId } : undefined
}

export const toBlock = ({ blocked, cpu, held, sight, suspect }: Silence): Block => {
  const route = suspect?.context && routeOf(suspect.context)
  const seenSpan = sight?.span === undefined ? undefined : { name: sight.span, traceId: undefined, spanId: undefined }
  return {
    duration: Duration.millis(blocked),
    cpu: cpu === undefined ? undefined : Duration.millis(cpu),
    route: route === undefined ? (suspect?.label ?? sight?.route) : labelOfRoute(route),
    span: spanIn(suspect?.context) ?? seenSpan,
    shared: held < blocked / 2,
    stack: sight?.frames ?? []
  }
}

const nameOf = ({ route, span, stack }: Block): string => {
  const frame = culpritOf(stack)
  return route ?? span?.name ?? (frame === undefined ? "" : formatFrame(frame))
}

export const toMessage = (block: Block): string => {
  const name = nameOf(block)
  const frame = culpritOf(block.stack)
  const who = name === "" ? "something that is not known" : block.shared ? `several fibers, among them ${name}` : name
  const where = frame === undefined || name === formatFrame(frame) ? "" : `, in ${formatFrame(frame)}`
  const millis = Math.round(Duration.toMillis(block.duration))
  const advice = block.shared
    ? "bound how many of them run at once, or offload their work"
    : "offload this work to a worker thread"
  return `the event loop was blocked for ${millis} ms by ${who}${where}; nothing else ran: ${advice} (docs/offload.md)`
}

/** What of a block is worth a field of its own in a log. */
const annotationsOf = ({ cpu, duration, route, shared, span, stack }: Block, silenced: number) => ({
  blockedMillis: Math.round(Duration.toMillis(duration)),
  ...(cpu !== undefined && { cpuMillis: Math.round(Duration.toMillis(cpu)) }),
  ...(route !== undefined && { route }),
  ...(span !== undefined && { span: span.name }),
  ...(span?.traceId !== undefined && { traceId: span.traceId, spanId: span.spanId }),
  ...(shared && { shared }),
  ...(stack.length > 0 && { stack: stack.map(formatFrame).join("\n") }),
  ...(silenced > 0 && { silenced })
})

/** Logs each culprit at most once in `interval` milliseconds, with the number of times that it did not say. */
export class BlockLog {
  readonly #interval: number
  readonly #said = new Map<string, { at: number; silenced: number }>()

  constructor(interval: number) {
    this.#interval = interval
  }

  report(block: Block, now: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const name = nameOf(block)
      const said = this.#said.get(name)
      if (said !== undefined && now - said.at < this.#interval) {
        said.silenced++
        return Effect.void
      }
      this.#said.delete(name)
      if (this.#said.size >= maxRemembered) this.#said.delete(this.#said.keys().next().value!)
      this.#said.set(name, { at: now, silenced: 0 })
      const annotations = annotationsOf(block, said?.silenced ?? 0)
      return Effect.annotateLogs(Effect.logWarning(toMessage(block)), annotations)
    })
  }
}

export const count = ({ duration, route }: Block, context: Context.Context<never>): void => {
  Metric.withAttributes(RuntimeMetrics.eventLoopBlocks, { route: route ?? "unknown" }).updateUnsafe(1, context)
  RuntimeMetrics.eventLoopBlocked.updateUnsafe(Duration.toSeconds(duration), context)
}
