/** Reads requests and remembers cumulative streams: what the OTLP worker runs. */
import type { Handlers } from "@spillway/runtime/OffloadWorker"
import type { EventLimits } from "./attributes.ts"
import { readRequest } from "./body.ts"
import { Budget } from "./budget.ts"
import { costOf, plainSize } from "./cost.ts"
import { limits } from "./limits.ts"
import { mapRequest } from "./mapping.ts"
import { TooLarge, Undecodable } from "./message.ts"
import { toNanos } from "./points.ts"
import { Streams } from "./streams.ts"
import type { OtlpTasks } from "./tasks.ts"

/** Makes the handlers, with a table of streams that begins now: milliseconds since 1970. */
export const makeReader = (events: EventLimits, now: number): Handlers<typeof OtlpTasks> => {
  const streams = new Streams({
    began: toNanos(now),
    maxNumbers: limits.streamNumbers,
    maxOpen: limits.openNumbers
  })
  return {
    read: ({ body, encoding, format, isFromSdk, now, outcomes, request }, { fail, transfer }) => {
      for (const { request, stored } of outcomes) {
        if (stored) streams.settle(request)
        else streams.revert(request)
      }
      const budget = new Budget(limits.depth, limits.messages, limits.values)
      const costOfPoints = (points: number) => costOf(plainSize(body, encoding), budget.values, points)
      try {
        const message = readRequest(body, encoding, format, budget)
        const mapped = mapRequest(message, { request, streams, events, isFromSdk, now })
        const { points, series, tags, timestamps, values } = mapped.columns
        const read = { ...mapped, cost: costOfPoints(mapped.points) }
        return transfer(read, [points.buffer, series.buffer, tags.buffer, timestamps.buffer, values.buffer])
      } catch (error) {
        const cost = costOfPoints(0)
        if (error instanceof TooLarge) throw fail({ _tag: "RequestTooLarge", detail: error.message, cost })
        if (error instanceof Undecodable) {
          throw fail({ _tag: "BadRequest", field: error.field, detail: error.message, cost })
        }
        throw error
      }
    }
  }
}
