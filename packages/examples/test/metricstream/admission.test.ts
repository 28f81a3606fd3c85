import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { admit, without } from "@spillway/examples/metricstream/storage/admission"
import { ColumnsBuilder } from "@spillway/examples/metricstream/storage/columns"
import type { Columns } from "@spillway/examples/metricstream/storage/columns"

/** A group of requests, each of them the names of its events. The value of an event is its row. */
const groupOf = (requests: ReadonlyArray<ReadonlyArray<string>>): Columns => {
  const builder = new ColumnsBuilder()
  for (const names of requests) {
    const first = builder.size
    builder.add(
      names.map((name, index) => ({ name, value: first + index })),
      0
    )
  }
  return builder.build()
}
const rowsOf = ({ values }: Columns) => [...values]
const namesOf = ({ names, series }: Columns) => [...series].map((name) => names[name]!)

describe("admit", () => {
  const known = (name: string) => name === "old"

  it("admits everything while there is room, and a name only once", () => {
    const { columns, refused } = admit(groupOf([["a", "a", "old"], ["a"], ["b", "old"]]), known, 2)
    assert.deepStrictEqual([rowsOf(columns), [...refused]], [[0, 1, 2, 3, 4, 5], []])
  })

  it("refuses a request whole, names the rows there is no room for, and admits a later one that fits", () => {
    const { columns, refused } = admit(groupOf([["old", "a", "b", "b"], ["c"], ["d"], ["old"]]), known, 1)
    assert.deepStrictEqual(
      [namesOf(columns), [...refused]],
      [
        ["c", "old"],
        [2, 3, 5]
      ]
    )
  })

  const Requests = Schema.Array(Schema.Array(Schema.Literals(["old", "a", "b", "c", "d"])))
  it.prop(
    "stores no part of a request, makes no more series than there is room for, and refuses only what would make more",
    { requests: Requests, room: Schema.Literals([0, 1, 2, 3]) },
    ({ requests, room }) => {
      const group = groupOf(requests.filter((names) => names.length > 0))
      const { columns, refused } = admit(group, known, room)
      const made = new Set(namesOf(columns).filter((name) => !known(name)))
      assert.isAtMost(made.size, room)
      // What it stores is what is left when it is told which rows it refused.
      assert.deepStrictEqual(rowsOf(without(group, refused)), rowsOf(columns))
      for (const row of refused) assert.isFalse(known(namesOf(group)[row]!))
      if (made.size === new Set(namesOf(group).filter((name) => !known(name))).size) {
        assert.strictEqual(refused.length, 0)
      }
    }
  )
})
