import { Intake } from "@spillway/examples/stages/stage-3"
import { run } from "@spillway/examples/stages/stage-3.demo"
import { inputs } from "@spillway/examples/stages/stage-3.inputs"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { get, start as startExample } from "../support/example.ts"
import { timeout, told } from "./support/stage.ts"

const start = startExample("stages/stage-3.ts")

const post = (url: string, body: string | Uint8Array<ArrayBuffer>) =>
  get(`${url}/events`, { method: "POST", body, headers: { "content-type": "application/json" } })

const accepted = (url: string) =>
  Effect.map(get(`${url}/events`), ({ body }) => (JSON.parse(body) as { readonly accepted: number }).accepted)

const Field = Schema.optionalKey(
  Schema.Union([
    Schema.NonEmptyString,
    Schema.Finite,
    Schema.Int,
    Schema.Null,
    Schema.Record(Schema.String, Schema.Json)
  ])
)
const Fields = Schema.Struct({ name: Field, value: Field, timestamp: Field, tags: Field })

/** JSON that looks like events, and often is none. */
const Almost = Schema.Union([Fields, Schema.Array(Fields).check(Schema.isMaxLength(3)), Schema.Json])

// What others wrote lies beside the repository where it is built, and not in a user's clone.
const suite = fileURLToPath(new URL("../../../../../shared/conformance/json/test_parsing/", import.meta.url))
const isThere = existsSync(suite)

describe("stage-3", () => {
  it.live(
    "answers each good and bad input, sent byte by byte, as it has to, and takes only the good ones",
    () =>
      Effect.gen(function* () {
        const { result, text } = yield* told(run)
        const all = Object.values(inputs).flat()
        assert.deepStrictEqual(
          result.answers.map(({ status, title }) => [title, status]),
          all.map(({ status, title }) => [title, status])
        )
        assert.strictEqual(result.accepted, 5)
        assert.include(text, `${all.length} inputs, ${all.length} answered as they have to be`)
      }),
    timeout
  )

  it.live(
    "takes exactly the JSON that its type takes",
    () =>
      Effect.gen(function* () {
        const { url } = yield* start
        const isIntake = (value: unknown) => Result.isSuccess(Schema.decodeUnknownResult(Intake)(value))
        const good = yield* Arbitrary.sampleEffect(Arbitrary.schema(Intake), { count: 100, seed: 6 })
        const others = yield* Arbitrary.sampleEffect(Arbitrary.schema(Almost), { count: 200, seed: 6 })
        for (const value of [...good, ...others]) {
          const text = JSON.stringify(value)
          const { status } = yield* post(url, text)
          assert.strictEqual(status, isIntake(JSON.parse(text)) ? 202 : 422, text)
        }
      }),
    timeout
  )

  it.live(
    "says what it takes as a JSON Schema made from the type",
    () =>
      Effect.gen(function* () {
        const { url } = yield* start
        const { body, headers, status } = yield* get(`${url}/schema`)
        assert.deepStrictEqual([status, headers.get("content-type")], [200, "application/schema+json"])
        const { $defs, $schema, anyOf } = JSON.parse(body)
        assert.strictEqual($schema, "https://json-schema.org/draft/2020-12/schema")
        assert.deepStrictEqual(anyOf[1], { $ref: "#/$defs/Event" })
        assert.deepStrictEqual($defs.Event.required, ["name", "value"])
        assert.deepStrictEqual(Object.keys($defs.Event.properties), ["name", "value", "timestamp", "tags"])
      }),
    timeout
  )

  it.live.skipIf(!isThere)(
    `survives nst's JSONTestSuite: no JSON is 400, JSON that is no event 422${isThere ? "" : " (skipped: ../shared/conformance is not here)"}`,
    () =>
      Effect.gen(function* () {
        const { url } = yield* start
        const files = readdirSync(suite).filter((name) => name.endsWith(".json"))
        assert.isAbove(files.length, 300)
        for (const name of files) {
          const bytes = new Uint8Array(readFileSync(`${suite}${name}`))
          const { body, headers, status } = yield* post(url, bytes)
          // Two of them are larger than what the server takes.
          const refused = bytes.length > 65_536 ? [413] : [400]
          const expected = { y: [422], n: refused, i: [400, 422] }[name[0] as "y" | "n" | "i"]
          assert.include(expected, status, name)
          assert.strictEqual(headers.get("content-type"), "application/problem+json", name)
          assert.strictEqual(JSON.parse(body).status, status, name)
        }
        assert.strictEqual(yield* accepted(url), 0)
        assert.strictEqual((yield* post(url, '{"name":"still here","value":1}')).status, 202)
      }),
    timeout
  )
})
