/** The command line: what `npm start -- --help` says, and the flags, which set the environment variables of `config.ts`. */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { variables } from "./config.ts"
import type { VariableName } from "./config.ts"

/** What the arguments ask for. `usage` says what is wrong with them. */
export type Command =
  | { readonly run: Partial<Record<VariableName, string>> }
  | { readonly print: string }
  | { readonly usage: string }

const names = Object.keys(variables) as Array<VariableName>

/** `METRICSTREAM_MAX_SIZE` is set by `--max-size`. */
export const flagOf = (name: VariableName): string =>
  `--${name
    .replace(/^METRICSTREAM_/, "")
    .toLowerCase()
    .replaceAll("_", "-")}`

const flags = new Map(names.map((name) => [flagOf(name).slice(2), name]))

const options = {
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
  ...Object.fromEntries([...flags.keys()].map((flag) => [flag, { type: "string" } as const]))
} as const

/** With one dash there is only `-h`: anything else behind a flag, such as `-1`, is its value, which its variable then judges. */
const withValues = (args: ReadonlyArray<string>): Array<string> =>
  args.reduce<Array<string>>((all, arg) => {
    const flag = all.at(-1)
    const isValue = flag?.startsWith("--") && flags.has(flag.slice(2)) && /^-[^-h]/.test(arg)
    return isValue ? [...all.slice(0, -1), `${flag}=${arg}`] : [...all, arg]
  }, [])

/** Reads the arguments that follow the script. */
export const parse = (args: ReadonlyArray<string>): Command => {
  try {
    const { help, version, ...values } = parseArgs({ args: withValues(args), options, strict: true }).values
    if (help) return { print: helpText() }
    if (version) return { print: versionText() }
    return { run: Object.fromEntries(Object.entries(values).map(([flag, value]) => [flags.get(flag), value])) }
  } catch (error) {
    // The first sentence says what is wrong; what node adds is about values that begin with a dash. A flag before another lacks its value.
    const [message] = (error as Error).message.split(/\.\s/)
    const said = message!.replace(/\.$/, "").replace("argument is ambiguous", "argument missing")
    return { usage: `${said}; --help lists what may be set` }
  }
}

/** Wraps text to lines of at most `width` characters. */
const wrap = (text: string, width: number): ReadonlyArray<string> =>
  text.split(" ").reduce<ReadonlyArray<string>>((lines, word) => {
    const last = lines.at(-1)
    return last === undefined || last.length + 1 + word.length > width
      ? [...lines, word]
      : [...lines.slice(0, -1), `${last} ${word}`]
  }, [])

const describeVariable = (name: VariableName): string => {
  const { fallback, meaning } = variables[name]
  const lines = wrap(`${meaning.replaceAll("`", "")} (${fallback})`, 72)
  return [`  ${flagOf(name).padEnd(14)} ${name}`, ...lines.map((line) => `      ${line}`)].join("\n")
}

export const helpText = (): string => `MetricStream takes events over HTTP, keeps them in SQLite, and answers questions
about them.

Usage: npm start [-- flags]

Each flag sets an environment variable. In brackets stands the default.

${names.map(describeVariable).join("\n")}

  -h, --help     prints this
  --version      prints the versions of MetricStream, Node.js and SQLite

The options of the HTTP server are environment variables too, such as
SPILLWAY_HTTP_MAX_CONNECTIONS: packages/http/src/ServerConfig.ts lists them.
Ctrl-C or SIGTERM ends it once what it has accepted is answered and stored;
a second Ctrl-C ends it at once.`

/** MetricStream is released with the library that it is made of. */
export const versionText = (): string => {
  const file = new URL("../../package.json", import.meta.url)
  const { dependencies } = JSON.parse(readFileSync(file, "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  return `MetricStream ${dependencies["@spillway/http"]} (Node.js ${process.versions.node}, SQLite ${process.versions.sqlite})`
}
