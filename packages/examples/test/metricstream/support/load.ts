import { Effect, Fiber } from "effect"
import { storedEvents } from "./files.ts"
import { post } from "./server.ts"
import { assert } from "@effect/vitest"

/** How many events each request of a load has. */
const batch = 3

/** Clients that post uniquely numbered batches until they are told to end, or the server is gone. */
export const startLoad = Effect.fnUntraced(function* (url: string, clients: number) {
  const acknowledged: Array<number> = []
  const refused: Array<number> = []
  const waiting: Array<{ readonly count: number; readonly resolve: () => void }> = []
  let sent = 0
  let running = true

  const postNext = Effect.suspend(() => {
    const first = sent
    sent += batch
    const events = Array.from({ length: batch }, (_, index) => ({ name: `load.${first % 7}`, value: first + index }))
    return Effect.map(post(url, events), ({ status }) => {
      if (status === 202) acknowledged.push(first)
      else refused.push(status)
      for (const { count, resolve } of waiting) if (acknowledged.length >= count) resolve()
    })
  })
  const client = Effect.gen(function* () {
    // A connection that breaks is the end of a client: the server is gone.
    while (running) yield* postNext
  }).pipe(Effect.catchDefect(() => Effect.void))
  const fiber = yield* Effect.forkChild(
    Effect.forEach(Array.from({ length: clients }), () => client, { concurrency: "unbounded", discard: true })
  )

  return {
    /** The first numbers of the batches that were answered 202. */
    acknowledged,
    /** The other statuses that were answered. */
    refused,
    /** Waits until that many batches were acknowledged. */
    untilAcknowledged: (count: number) =>
      Effect.promise(() => new Promise<void>((resolve) => waiting.push({ count, resolve }))).pipe(
        Effect.timeout("20 seconds")
      ),
    /** Tells the clients to end after their present request. */
    stop: Effect.sync(() => {
      running = false
    }),
    ended: Effect.timeout(Fiber.join(fiber), "20 seconds")
  }
})

/** Asserts that a database holds every acknowledged batch, and each batch whole and once, acknowledged or not. */
export const assertStored = (database: string, acknowledged: ReadonlyArray<number>): void => {
  const times = new Map<number, number>()
  for (const { name, value } of storedEvents(database)) {
    if (name.startsWith("load.")) times.set(value, (times.get(value) ?? 0) + 1)
  }
  for (const [value, count] of times) {
    assert.strictEqual(count, 1, `event ${value}`)
    const first = value - (value % batch)
    for (let other = first; other < first + batch; other++) assert.isTrue(times.has(other), `event ${other}`)
  }
  const missing = acknowledged.filter((first) => !times.has(first))
  assert.deepStrictEqual(missing, [])
}
