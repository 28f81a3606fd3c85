import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { OffloadError, Saturated } from "@spillway/runtime/OffloadError"
import { EventsRefused, StorageUnavailable } from "@spillway/examples/metricstream/ingest"
import * as status from "@spillway/examples/metricstream/otlp/status"
import { BadRequest, RequestTooLarge } from "@spillway/examples/metricstream/otlp/tasks"

/** The status, `Retry-After` and body of an answer. */
const read = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.promise(async () => {
    const web = HttpServerResponse.toWeb(response)
    const bytes = new Uint8Array(await web.arrayBuffer())
    return [web.status, web.headers.get("retry-after"), web.headers.get("content-type"), bytes] as const
  })

const answerTo = (cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    const [code, retryAfter, type, bytes] = yield* read(yield* status.fromCause(cause, "json"))
    assert.strictEqual(type, "application/json")
    const body = JSON.parse(new TextDecoder().decode(bytes))
    const [binaryCode, binaryRetryAfter, binaryType, binary] = yield* read(yield* status.fromCause(cause, "protobuf"))
    assert.deepStrictEqual([binaryCode, binaryRetryAfter, binaryType], [code, retryAfter, "application/x-protobuf"])
    assert.include(new TextDecoder().decode(binary), body.message)
    return { status: code, retryAfter, body }
  })

describe("fromCause", () => {
  const busy = new Saturated({ why: "QueueFull", queued: 64, retryAfter: Duration.millis(1500) })
  const cases: ReadonlyArray<readonly [string, unknown, number, string | null, object]> = [
    [
      "a body that cannot be read",
      new BadRequest({ field: "a[0]", detail: "expected a number", cost: 1 }),
      400,
      null,
      {
        code: 3,
        message: "a[0]: expected a number",
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            fieldViolations: [{ field: "a[0]", description: "expected a number" }]
          }
        ]
      }
    ],
    [
      "a body that is too large",
      new RequestTooLarge({ detail: "send less", cost: 1 }),
      413,
      null,
      { code: 2, message: "send less" }
    ],
    [
      "events that are refused again and again",
      new EventsRefused({ reason: "TooOld", detail: "it is too old", indexes: [0], alone: false }),
      400,
      null,
      { code: 3, message: "1 events are refused: it is too old" }
    ],
    [
      "a storage that fails",
      new StorageUnavailable({ detail: "the disk is full", retryAfter: Duration.seconds(5) }),
      503,
      "5",
      { code: 14, message: "the disk is full" }
    ],
    [
      "a worker that is busy",
      new OffloadError({ task: "read", reason: busy }),
      503,
      "2",
      { code: 14, message: "the server is overloaded; try again later" }
    ]
  ]
  for (const [name, error, code, retryAfter, body] of cases) {
    it.effect(`answers ${code} to ${name}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* answerTo(Cause.fail(error)), { status: code, retryAfter, body })
      })
    )
  }

  it.effect("answers 500 without internals to what nobody foresaw", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* answerTo(Cause.die(new Error("secret"))), {
        status: 500,
        retryAfter: null,
        body: { code: 2, message: "the server failed; the failure has been logged" }
      })
    })
  )
})

describe("success", () => {
  it.effect("says nothing, or what was left out, in the encoding of the request", () =>
    Effect.gen(function* () {
      const text = ([code, , type, bytes]: readonly [number, unknown, string | null, Uint8Array]) => [
        code,
        type,
        new TextDecoder().decode(bytes)
      ]
      const [all, some] = [
        { rejected: 0, message: "" },
        { rejected: 2, message: "no" }
      ]
      assert.deepStrictEqual(text(yield* read(status.success(all, "json"))), [200, "application/json", "{}"])
      assert.deepStrictEqual(text(yield* read(status.success(some, "json"))), [
        200,
        "application/json",
        '{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"no"}}'
      ])
      assert.deepStrictEqual(text(yield* read(status.success(all, "protobuf"))), [200, "application/x-protobuf", ""])
      assert.deepStrictEqual(text(yield* read(status.success(some, "protobuf"))), [
        200,
        "application/x-protobuf",
        "\n\u0006\b\u0002\u0012\u0002no"
      ])
    })
  )
})
