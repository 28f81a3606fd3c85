/** Why an application could not start, as one line that says what to change. */
import * as Problem from "@spillway/http/Problem"
import type { ConfigError } from "effect/Config"
import * as Data from "effect/Data"
import type { ServeError } from "effect/http/HttpServerError"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/** Ends the process with an exit code and says nothing: the line has been written. */
export class StartFailed extends Data.TaggedError("StartFailed")<{ readonly exitCode: number }> {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = this.exitCode
}

/** The defaults of environment variables, which show how a value is written. */
export type Defaults = Readonly<Record<string, unknown>>

/** The line for a variable that has a bad value, or for a server that can not listen. */
export const explain = (error: ConfigError | ServeError, defaults: Defaults = {}): string => {
  if (error._tag === "ServeError") return explainListen(error.cause)
  if (!Schema.isSchemaError(error.cause)) return error.message
  return Problem.places(error.cause)
    .map(({ message, path }) => explainVariable(variableOf(path), message, defaults))
    .join("; ")
}

/** `/spillway/http/maxConnections` is set by `SPILLWAY_HTTP_MAX_CONNECTIONS`. */
const variableOf = (path: string): string =>
  path
    .slice(1)
    .replaceAll("/", "_")
    .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
    .toUpperCase()

/** What Effect calls a type of its own, by an example of it. */
const inWords = (message: string): string =>
  message
    .replace("a valid Duration string", "a duration such as 5 seconds")
    .replace("a valid ByteSize string", "a size such as 2 MiB")

const explainVariable = (variable: string, message: string, defaults: Defaults): string => {
  const fallback = defaults[variable]
  const example = fallback === undefined ? "" : `; the default is ${JSON.stringify(fallback)}`
  return `${variable}: ${inWords(message)}, got ${JSON.stringify(process.env[variable])}${example}`
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
