import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

const folder = new URL("../../src/metricstream/", import.meta.url)
const read = (file: string) => readFileSync(new URL(file, folder), "utf8")

describe("metrics", () => {
  it("are those of the table of the README", () => {
    const files = globSync("**/*.ts", { cwd: folder })
    const declared = files.flatMap((file) =>
      [...read(file).matchAll(/Metric\.\w+\(\s*"(\w+)"/g)].map(([, name]) => name)
    )
    const table = read("README.md").split("## Metrics")[1]!.split("\n## ")[0]!
    const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
    assert.include(declared, "metricstream_events_accepted_total")
    assert.sameMembers(rows, declared)
  })
})
