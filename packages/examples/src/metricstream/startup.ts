/** Why MetricStream could not start, as one line that says what to change. */
import * as Problem from "@spillway/http/Problem"
import type { OffloadError } from "@spillway/runtime/OffloadError"
import type { ConfigError } from "effect/Config"
import * as Data from "effect/Data"
import type { ServeError } from "effect/http/HttpServerError"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { variables } from "./config.ts"

/** Ends the process with an exit code and says nothing: the line has been written. */
export class StartFailed extends Data.TaggedError("StartFailed")<{ readonly exitCode: number }> {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = this.exitCode
}

/** The line for an error of the application's layers. */
export const explain = (error: ConfigError | ServeError | OffloadError): string => {
  switch (error._tag) {
    case "ConfigError":
      return Schema.isSchemaError(error.cause)
        ? Problem.places(error.cause)
            .map(({ message, path }) => explainVariable(variableOf(path), message))
            .join("; ")
        : error.message
    case "ServeError":
      return explainListen(error.cause)
    case "OffloadError":
      // All other workers open the database, and which of them could not is of no interest to who set the path.
      if (error.task === "otlp") return error.message
      return `METRICSTREAM_DB: the database cannot be opened: ${error.reason.message.replace(/^worker \S+ cannot start: (Error: )?/, "")}`
  }
}

/** `/spillway/http/maxConnections` is set by `SPILLWAY_HTTP_MAX_CONNECTIONS`. */
const variableOf = (path: string): string =>
  path
    .slice(1)
    .replaceAll("/", "_")
    .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
    .toUpperCase()

/** The default shows how a value is written. */
const explainVariable = (variable: string, message: string): string => {
  const fallback = Object.entries(variables).find(([name]) => name === variable)?.[1].fallback
  const example = fallback === undefined ? "" : `; the default is ${JSON.stringify(fallback)}`
  return `${variable}: ${message}, got ${JSON.stringify(process.env[variable])}${example}`
}

const explainListen = (cause: unknown): string => {
  const { address, code, message, port } = cause as NodeJS.ErrnoException & { port?: number; address?: string }
  switch (code) {
    case "EADDRINUSE":
      return `PORT: port ${port} of ${address} is taken by another process`
    case "EACCES":
      return `PORT: this process may not listen on port ${port}`
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `HOST: this machine does not have the address ${address ?? ""}`.trimEnd()
    default:
      return `PORT and HOST: the server cannot listen: ${message}`
  }
}
