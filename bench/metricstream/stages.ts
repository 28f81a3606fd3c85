/**
 * The stages of MetricStream that run without a socket, each alone in a loop, with the modules and the values of the real request. Prints the
 * microseconds of CPU time that a request costs: `node stages.ts <database> <events of a group>`.
 *
 * The last one is the storage: that many callers at once append an event each, again and again, to the real `Ingest` in front of the real
 * storage thread, whose time counts.
 */
import { Ingest } from "@spillway/examples/metricstream/ingest"
import { Batch, Event } from "@spillway/examples/metricstream/events"
import { Storage } from "@spillway/examples/metricstream/storage/storage"
import * as RateLimit from "@spillway/http/RateLimit"
import { Effect, Layer, Schema } from "effect"

const [database, group] = [process.argv[2]!, Number(process.argv[3])]
const bytes = Buffer.from('{"name":"bench","value":12345}')
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
// As `JsonBody.decode` makes its decoder.
const validate = Schema.decodeUnknownEffect(Schema.toCodecJson(Schema.Union([Batch, Event])))
const quota = RateLimit.make({ name: "events", limit: 1e9, burst: 2e9 })

const rateLimit = Effect.suspend(() => Effect.andThen(quota.check("127.0.0.1"), quota.take("127.0.0.1", 1)))
const json = Effect.sync(() => JSON.parse(decoder.decode(bytes)) as unknown)
// A decoder works when it is called, not when its effect runs.
const validated = Effect.suspend(() => validate({ name: "bench", value: 12_345 }))

/** Microseconds of CPU time of the whole process for each of `count` runs. */
const costOf = Effect.fnUntraced(function* <E, R>(self: Effect.Effect<unknown, E, R>, count: number) {
  const before = process.cpuUsage()
  for (let run = 0; run < count; run++) yield* self
  const { system, user } = process.cpuUsage(before)
  return (system + user) / count
})

/** The least of some loops: what comes on top of it is the work of others, such as the compiler. */
const measure = Effect.fnUntraced(function* <E, R>(self: Effect.Effect<unknown, E, R>, count: number) {
  const costs: Array<number> = []
  for (let loop = 0; loop < 5; loop++) costs.push(yield* costOf(self, count))
  return Math.min(...costs)
})

const store = Effect.gen(function* () {
  const ingest = yield* Ingest
  const rounds = Math.ceil(8000 / group)
  const caller = Effect.forEach(Array.from({ length: rounds }), () => ingest.append([{ name: "bench", value: 1 }]), {
    discard: true
  })
  // Half of them are committed while the other half waits.
  const callers = Effect.forEach(Array.from({ length: 2 * group }), () => caller, {
    concurrency: "unbounded",
    discard: true
  })
  return (yield* measure(callers, 1)) / (2 * group * rounds)
}).pipe(Effect.provide(Ingest.layer().pipe(Layer.provide(Storage.layer({ path: database, maxSeries: 10_000 })))))

const program = Effect.gen(function* () {
  const costs = {
    rateLimit: yield* measure(rateLimit, 50_000),
    json: yield* measure(json, 50_000),
    validate: yield* measure(validated, 50_000),
    store: yield* store
  }
  yield* Effect.sync(() => process.stdout.write(`${JSON.stringify(costs)}\n`))
})

await Effect.runPromise(program)
