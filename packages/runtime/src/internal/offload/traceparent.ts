/** Spans as W3C Trace Context writes them: `00-<trace>-<span>-<flags>`. */
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"

/** The current span of a fiber. */
export const toTraceparent = ({ cache: { span } }: Fiber.Fiber<unknown, unknown>): string | undefined =>
  span === undefined ? undefined : `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`

export const fromTraceparent = (traceparent: string): Tracer.ExternalSpan => {
  const [, traceId, spanId, flags] = traceparent.split("-") as [string, string, string, string]
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}
