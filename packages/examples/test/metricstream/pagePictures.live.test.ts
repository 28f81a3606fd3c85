import { assert, describe, it } from "@effect/vitest"
import { cards } from "@spillway/examples/metricstream/page/cards"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Browser, Page } from "playwright-core"
import { hasNoBrowser, isPainted, launch, textIs, valueOf, visit } from "./support/browser.ts"
import { temporaryFolder } from "./support/files.ts"
import { patient } from "./support/livePage.ts"
import { paintedIn } from "./support/picture.ts"
import type { Box } from "./support/picture.ts"
import { post, start } from "./support/server.ts"

/**
 * Where the pictures of the README are written to: `METRICSTREAM_PICTURES=$PWD/docs/images npx vitest run --project examples pagePictures`.
 * Without it they show less, because they are taken at once, and are thrown away: tests change no file of the repository.
 */
const folder = process.env["METRICSTREAM_PICTURES"] || undefined

/** What a shop sells in a tenth of a second, more and less in waves. */
const orders = (timestamp: number) => {
  const turn = timestamp / 100
  return Array.from({ length: Math.round(6 * (1 + 0.6 * Math.sin(turn / 60)) * (0.8 + 0.4 * Math.random())) }, () => [
    {
      name: "shop.checkout_seconds",
      value: 0.02 + 0.015 * Math.sin(turn / 400) + Math.exp(Math.random() * 3.5) / 1000,
      timestamp
    },
    { name: "shop.cart_bytes", value: 2000 + Math.random() * 9000, timestamp },
    { name: "shop.orders_eur", value: 10 + Math.random() * 90, timestamp }
  ])
}

/** Posts the orders of the last quarter of an hour, a second a request, or every fifth of them. */
const postPast = (url: string, now: number) => {
  const distance = folder === undefined ? 5 : 1
  return Effect.forEach(
    Array.from({ length: 900 / distance }, (_, index) => now - (900 - index * distance) * 1000),
    (second) => post(url, Array.from({ length: 10 }, (_, tenth) => orders(second + tenth * 100)).flat(2)),
    { concurrency: 8, discard: true }
  )
}

/** Posts orders as they come, until it is interrupted. */
const postPresent = (url: string) =>
  Effect.suspend(() =>
    Effect.forEach(orders(Date.now()), (events) => post(url, events), { concurrency: "unbounded", discard: true })
  ).pipe(Effect.delay(100), Effect.forever)

const charts = [...cards.map(({ id }) => `#card-${id}`), "#chosen"]

/** Where a picture has charts that it shows whole. */
const boxesOf = (page: Page, scale: number) =>
  valueOf<ReadonlyArray<Box>>(
    page,
    `${JSON.stringify(charts)}
      .map((chart) => document.querySelector(chart + " .plot").getBoundingClientRect())
      .filter(({ bottom, top }) => top >= 0 && bottom <= innerHeight)
      .map(({ height, width, x, y }) => ({ height, width, x, y }))`
  ).pipe(
    Effect.map((boxes) =>
      boxes.map(({ height, width, x, y }) => ({
        x: Math.round(x * scale),
        y: Math.round(y * scale),
        width: Math.round(width * scale),
        height: Math.round(height * scale)
      }))
    )
  )

/** Takes a picture of what is seen of a page, and asserts that its charts are in it. */
const takePicture = Effect.fnUntraced(function* (browser: Browser, page: Page, scale: number) {
  for (const chart of charts) yield* isPainted(page, chart, "main")
  const boxes = yield* boxesOf(page, scale)
  const color = yield* valueOf<string>(page, 'getComputedStyle(document.documentElement).getPropertyValue("--main")')
  const png = yield* Effect.promise(() => page.screenshot())
  const { counts, height, width } = yield* paintedIn(browser, png, color, boxes)
  const size = page.viewportSize()!
  assert.deepStrictEqual([width, height], [size.width * scale, size.height * scale])
  for (const [index, count] of counts.entries()) {
    // A line, which may be short yet and has lost its soft edges to the ground, and no more than that.
    assert.isAtLeast(count, 5, `chart ${index}`)
    assert.isBelow(count, (boxes[index]!.width * boxes[index]!.height) / 4, `chart ${index}`)
  }
  return { png, shown: counts.length }
})

const pictures = [
  { file: "metricstream.png", colorScheme: "light", width: 1280, height: 1090, scale: 1, charts: charts.length },
  { file: "metricstream-dark.png", colorScheme: "dark", width: 1280, height: 1090, scale: 1, charts: charts.length },
  { file: "metricstream-phone.png", colorScheme: "dark", width: 360, height: 740, scale: 2, charts: 2 }
] as const

describe.skipIf(hasNoBrowser)("the pictures of the live page", () => {
  it.live(
    "show a server at work, and all of its charts where there is room",
    () =>
      Effect.gen(function* () {
        const temporary = yield* temporaryFolder
        const { url } = yield* start(join(temporary, "metricstream.db"), {
          ...patient,
          METRICSTREAM_SAMPLER: "on",
          METRICSTREAM_RATE_LIMIT: "1000000"
        })
        yield* postPast(url, Date.now())
        yield* Effect.forkScoped(postPresent(url))
        const browser = yield* launch
        // What the README shows takes the time that it shows.
        if (folder !== undefined) yield* Effect.sleep("5 minutes")
        for (const { charts, colorScheme, file, height, scale, width } of pictures) {
          const { page } = yield* visit(browser, `${url}/?series=shop.checkout_seconds&range=15m`, {
            viewport: { width, height },
            colorScheme,
            isMobile: width === 360,
            deviceScaleFactor: scale
          })
          yield* textIs(page, '#chosen [data-of="p99"]', /s$/)
          yield* textIs(page, '[data-figure="p99"]', /s$/)
          const { png, shown } = yield* takePicture(browser, page, scale)
          assert.strictEqual(shown, charts, file)
          writeFileSync(join(folder ?? temporary, file), png)
        }
      }),
    400_000
  )
})
