/** Why MetricStream could not start, as one line that says what to change. */
import type { OffloadError } from "@spillway/runtime/OffloadError"
import type { ConfigError } from "effect/Config"
import type { ServeError } from "effect/http/HttpServerError"
import * as StartFailed from "../startup/startFailed.ts"
import { variables } from "./config.ts"

const defaults = Object.fromEntries(Object.entries(variables).map(([name, { fallback }]) => [name, fallback]))

/** The line for an error of the application's layers. */
export const explain = (error: ConfigError | ServeError | OffloadError): string => {
  if (error._tag !== "OffloadError") return StartFailed.explain(error, defaults)
  // All other workers open the database, and which of them could not is of no interest to who set the path.
  if (error.task === "otlp") return error.message
  return `METRICSTREAM_DB: the database cannot be opened: ${error.reason.message.replace(/^worker \S+ cannot start: (Error: )?/, "")}`
}
