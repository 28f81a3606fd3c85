import { openWriter } from "@spillway/examples/metricstream/storage/writer"
import { Context, Effect, Layer } from "effect"
import { join } from "node:path"
import type { Browser, Page } from "playwright-core"
import { launch } from "./browser.ts"
import { temporaryFolder, toColumns } from "./files.ts"
import { post, start } from "./server.ts"

/** A name that no client could send, but that a database may have. */
export const hostile = `<img src=x onerror="window.hacked = true">'"&amp;`

/** A machine on which many tests run at once is no overload. */
export const patient = { SPILLWAY_HTTP_QUEUE_TARGET: "Infinity", SPILLWAY_HTTP_MAX_QUEUE_WAIT: "30 seconds" }

/** One server, which has the series `shown` and one of a hostile name, and one browser for the tests of a file. */
export class Running extends Context.Service<Running, { readonly browser: Browser; readonly url: string }>()(
  "test/Running"
) {
  static readonly layer = Layer.effect(
    Running,
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      const writer = openWriter(database)
      writer.append(toColumns([{ name: hostile, value: 1 }], Date.now()))
      writer.close()
      const browser = yield* launch
      const { url } = yield* start(database, patient)
      yield* post(url, { name: "shown", value: 1 })
      return { browser, url }
    })
  )
}

export const press = (page: Page, ...keys: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    for (const key of keys) await page.keyboard.press(key)
  })

/** What the address of a page says. */
export const search = (page: Page) => new URL(page.url()).searchParams
