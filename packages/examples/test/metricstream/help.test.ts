import { assert, describe, it } from "@effect/vitest"
import * as ServerConfig from "@spillway/http/ServerConfig"
import { ConfigProvider, Duration, Effect } from "effect"
import { readFileSync } from "node:fs"
import { config, variables } from "@spillway/examples/metricstream/config"
import { limits } from "@spillway/examples/metricstream/live/limits"
import { explain } from "@spillway/examples/metricstream/startup"
import { flagOf, helpText, parse } from "@spillway/examples/metricstream/help"

const readme = new URL("../../src/metricstream/README.md", import.meta.url)

describe("help", () => {
  it("is the table of the README", () => {
    const table = readFileSync(readme, "utf8").split("## Settings")[1]!.split("\n## ")[0]!
    const rows = table.split("\n").filter((line) => line.startsWith("| `"))
    assert.deepStrictEqual(
      rows,
      Object.entries(variables).map(
        ([name, { fallback, meaning }]) =>
          `| \`${name}\` | \`${flagOf(name as never)}\` | \`${fallback}\` | ${meaning} |`
      )
    )
  })

  it("lists every variable with its flag, its default and its meaning, in lines that fit a terminal", () => {
    const text = helpText()
    const flat = text.replaceAll(/\s+/g, " ")
    for (const [name, { fallback, meaning }] of Object.entries(variables)) {
      assert.include(flat, `${flagOf(name as never)} ${name} ${meaning.replaceAll("`", "")} (${fallback})`)
    }
    for (const line of text.split("\n")) assert.isAtMost(line.length, 80, line)
  })

  it("turns flags into variables", () => {
    assert.deepStrictEqual(parse([]), { run: {} })
    assert.deepStrictEqual(parse(["--max-size=2 GiB", "--port", "0"]), {
      run: { METRICSTREAM_MAX_SIZE: "2 GiB", PORT: "0" }
    })
    assert.deepStrictEqual(parse(["--port", "0", "-h"]), { print: helpText() })
  })

  it("says in one line what is wrong with the arguments", () => {
    for (const args of [["x"], ["--port"], ["--none", "1"], ["-p", "1"], ["--help=yes"], ["--port", "--db", "x"]]) {
      const command = parse(args)
      assert.property(command, "usage", args.join(" "))
      assert.match((command as { readonly usage: string }).usage, /^[^\n]+; --help lists what may be set$/)
    }
  })

  it("leaves values that begin with a dash to their variables, and misses the value where a flag follows", () => {
    assert.deepStrictEqual(parse(["--rate-limit", "-1", "--retention", "-5days"]), {
      run: { METRICSTREAM_RATE_LIMIT: "-1", METRICSTREAM_RETENTION: "-5days" }
    })
    for (const next of ["--db", "-h"]) {
      assert.deepStrictEqual(parse(["--port", next, "x"]), {
        usage: "Option '--port' argument missing; --help lists what may be set"
      })
    }
  })
})

describe("config", () => {
  const read = (environment: Record<string, string>) =>
    Effect.provideService(config, ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment))

  it.effect("has the defaults of the table", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read({}), {
        port: 8080,
        host: "127.0.0.1",
        database: ".data/metricstream.db",
        retention: Duration.days(30),
        maxSize: 2 ** 30,
        maxSeries: 10_000,
        rateLimit: 20_000,
        maxViewers: 8,
        sampler: "on"
      })
    })
  )

  it.effect("takes Infinity for what has no bound", () =>
    Effect.gen(function* () {
      const { maxSize, retention } = yield* read({
        METRICSTREAM_MAX_SIZE: "Infinity",
        METRICSTREAM_RETENTION: "Infinity"
      })
      assert.deepStrictEqual([maxSize, retention], [Infinity, Duration.infinity])
    })
  )

  it.effect("takes sizes with a unit, and whole numbers for bytes", () =>
    Effect.gen(function* () {
      for (const [text, bytes] of [
        ["2000000", 2_000_000],
        ["1048576", 2 ** 20],
        ["2 MiB", 2 ** 21]
      ] as const) {
        assert.strictEqual((yield* read({ METRICSTREAM_MAX_SIZE: text })).maxSize, bytes)
      }
    })
  )

  it.effect("says what is expected of each variable, whatever is wrong with it", () =>
    Effect.gen(function* () {
      const size = "a size such as 512 MiB, from 1 MiB"
      const duration = "a duration such as 12 hours, from 1 second"
      const wrong: ReadonlyArray<readonly [variable: string, expected: string, ...values: ReadonlyArray<string>]> = [
        ["METRICSTREAM_MAX_SIZE", size, "5", "2000000.5", "big", "1 MB", "1048575", "-1", "NaN"],
        ["METRICSTREAM_RETENTION", duration, "30", "-5days", "10 millis", "-1 days"],
        ["METRICSTREAM_RATE_LIMIT", "a whole number from 1", "-1", "0", "1.5", "many"],
        ["METRICSTREAM_MAX_SERIES", "a whole number from 1", "Infinity"],
        ["METRICSTREAM_MAX_VIEWERS", `a whole number from 1 to ${limits.viewers}`, "0", `${limits.viewers + 1}`],
        ["PORT", "a whole number from 0 to 65535", "abc", "65536"]
      ]
      for (const [variable, expected, ...values] of wrong) {
        for (const value of values) {
          const line = explain(yield* Effect.flip(read({ [variable]: value })))
          assert.isTrue(line.startsWith(`${variable}: Expected ${expected}, got `), `${value}: ${line}`)
        }
      }
      assert.strictEqual((yield* read({ METRICSTREAM_MAX_VIEWERS: String(limits.viewers) })).maxViewers, limits.viewers)
    })
  )

  it.effect("says it of the options of the server by an example", () =>
    Effect.gen(function* () {
      const wrong = [
        ["SPILLWAY_HTTP_DRAIN_TIMEOUT", "a duration such as 5 seconds"],
        ["SPILLWAY_HTTP_MAX_BODY_SIZE", "a size such as 2 MiB"]
      ] as const
      for (const [variable, expected] of wrong) {
        const env = ConfigProvider.fromEnv({ env: { [variable]: "5x" } })
        const reading = Effect.provideService(ServerConfig.fromEnvironment, ConfigProvider.ConfigProvider, env)
        const line = explain(yield* Effect.flip(reading))
        assert.isTrue(line.startsWith(`${variable}: Expected ${expected}, got `), line)
      }
    })
  )
})
