import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect } from "effect"
import { readFileSync } from "node:fs"
import { config, variables } from "@spillway/examples/metricstream/config"
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
})
