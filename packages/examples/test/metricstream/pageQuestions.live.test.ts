import { assert, describe, layer } from "@effect/vitest"
import { watchedAggregations } from "@spillway/examples/metricstream/live/figures"
import { limits } from "@spillway/examples/metricstream/page/limits"
import { openWriter } from "@spillway/examples/metricstream/storage/writer"
import { Effect } from "effect"
import { join } from "node:path"
import type { Page, Route } from "playwright-core"
import { hasNoBrowser, isLive, open, textIs, until } from "./support/browser.ts"
import { temporaryFolder, toColumns } from "./support/files.ts"
import { patient, Running } from "./support/livePage.ts"
import { post, start } from "./support/server.ts"
import { view } from "./support/viewers.ts"

/** Stops the clock of a page: it moves by `pass` alone. The server's goes on, and so does what it sends. */
const stopClock = async (page: Page) => {
  await page.clock.install()
  // What the clock does not know of: here nothing comes too slowly.
  await page.addInitScript("AbortSignal.timeout = () => new AbortController().signal")
  await page.clock.pauseAt(Date.now() + 60_000)
}

const pass = (page: Page, millis: number) => Effect.promise(() => page.clock.runFor(millis))

const eventually = (holds: () => boolean) =>
  Effect.sync(holds).pipe(Effect.delay(20), Effect.repeat({ until: (is) => is }), Effect.timeout("15 seconds"))

describe.skipIf(hasNoBrowser)("what the live page asks for", () => {
  layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("asks for a busy series one question at a time, and after a refusal again as soon as it may", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        /** The questions, each of which waits for its answer. */
        const questions: Array<Route> = []
        const { page } = yield* open(browser, `${url}/?series=busy`, {}, async (page) => {
          await stopClock(page)
          await page.route("**/series/busy?*", (route) => void questions.push(route))
        })
        yield* isLive(page)
        yield* eventually(() => questions.length > 0)
        let value = 0
        /** The page hears of one more event. */
        const hear = Effect.suspend(() => {
          value++
          return Effect.andThen(post(url, { name: "busy", value }), textIs(page, "#latest", new RegExp(`^${value}$`)))
        })
        yield* hear
        yield* pass(page, 5000)
        yield* hear
        yield* pass(page, 5000)
        assert.strictEqual(questions.length, 1)

        const refusal = { title: "Too Many Requests", detail: "your quota is used up" }
        yield* Effect.promise(() =>
          questions[0]!.fulfill({
            status: 429,
            headers: { "content-type": "application/problem+json", "retry-after": "5" },
            body: JSON.stringify(refusal)
          })
        )
        yield* textIs(page, ".note", /^Your quota is used up$/)
        yield* hear
        yield* pass(page, 3000)
        yield* hear
        yield* pass(page, 1900)
        assert.strictEqual(questions.length, 1)
        yield* hear
        yield* pass(page, 200)
        yield* eventually(() => questions.length === 2)
        yield* Effect.promise(() => questions[1]!.continue())
        yield* textIs(page, '#chosen [data-of="count"]', /^[1-9]/)
        yield* textIs(page, ".note", /^$/)
        assert.strictEqual(questions.length, 2)
      })
    )

    it.effect("waits for the answer to a change of range, however often it hears of the series meanwhile", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        yield* post(url, { name: "slow", value: 0 })
        const questions: Array<Route> = []
        const { page } = yield* open(browser, `${url}/?series=slow`, {}, async (page) => {
          await stopClock(page)
          await page.route("**/series/slow?*", (route) => (questions.push(route) === 1 ? route.continue() : undefined))
        })
        yield* isLive(page)
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* Effect.promise(() => page.click('#chosen a[data-range="1h"]'))
        yield* eventually(() => questions.length === 2)
        yield* isLive(page)
        const { next } = yield* view(`${url}/live?series=slow&step=15s`)
        const max = watchedAggregations.indexOf("max")
        for (const value of [1, 2, 3]) {
          yield* post(url, { name: "slow", value })
          yield* next("tail", ({ data }) => data.columns[max].includes(value))
          // The page has heard of what came before, too.
          yield* textIs(page, "#latest", new RegExp(`^${value}$`))
        }
        assert.strictEqual(questions.length, 2)
        yield* Effect.promise(() => questions[1]!.continue())
        yield* textIs(page, "#chosen .at", /15 s$/)
        yield* textIs(page, '#chosen [data-of="max"]', /^3$/)
        assert.strictEqual(questions.length, 2)
      })
    )

    it.effect("shows what came after its question was asked, in buckets that it has not asked for", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        yield* post(url, { name: "later", value: 1 })
        const questions: Array<Route> = []
        const { page } = yield* open(browser, `${url}/?series=later`, {}, async (page) => {
          await page.route("**/series/later?*", (route) => (questions.push(route) === 1 ? undefined : route.continue()))
        })
        yield* isLive(page)
        yield* eventually(() => questions.length === 1)
        const end = Number(new URL(questions[0]!.request().url()).searchParams.get("to"))
        yield* eventually(() => Date.now() > end)
        const { next } = yield* view(`${url}/live?series=later&step=5s`)
        yield* post(url, { name: "later", value: 3 })
        yield* next("tail", ({ data }) => data.columns[watchedAggregations.indexOf("max")].includes(3))
        yield* textIs(page, "#latest", /^3$/)
        yield* Effect.promise(() => questions[0]!.continue())
        yield* textIs(page, '#chosen [data-of="max"]', /^3$/)
      })
    )

    it.effect("waits for the list, however often series come up meanwhile", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const lists: Array<Route> = []
        const { page } = yield* open(browser, `${url}/?series=heard&match=up.`, {}, async (page) => {
          await stopClock(page)
          const isList = ({ pathname }: URL) => pathname === "/"
          await page.route(isList, (route) =>
            route.request().resourceType() === "fetch" ? void lists.push(route) : route.continue()
          )
        })
        yield* isLive(page)
        for (const [index, name] of ["up.a", "up.b", "up.c"].entries()) {
          // The page hears of both at once.
          yield* post(url, [
            { name: "heard", value: index },
            { name, value: 1 }
          ])
          yield* textIs(page, "#latest", new RegExp(`^${index}$`))
          yield* pass(page, 5000)
          yield* eventually(() => lists.length > 0)
        }
        assert.strictEqual(lists.length, 1)
        yield* Effect.promise(() => lists[0]!.continue())
        yield* textIs(page, "#totals", /^3 series match$/)
      })
    )

    it.effect("says why a search is not answered, and repeats it", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        let refusals = 0
        const { page } = yield* open(browser, url, {}, async (page) => {
          await stopClock(page)
          const isSearch = ({ pathname, searchParams }: URL) =>
            pathname === "/" && searchParams.get("match") === "shown"
          await page.route(isSearch, (route) =>
            refusals++ === 0 ? route.fulfill({ status: 503, body: "<h1>busy</h1>" }) : route.continue()
          )
        })
        yield* isLive(page)
        yield* Effect.promise(() => page.fill("input[type=search]", "shown"))
        yield* pass(page, 1000)
        yield* textIs(page, "#totals", /^The server takes no requests at present; trying again…$/)
        yield* pass(page, 3000)
        yield* textIs(page, "#totals", /^1 series match$/)
      })
    )

    it.effect("asks for the list again only if a series has come up that has a place in it", () =>
      Effect.gen(function* () {
        const { browser } = yield* Running
        const database = join(yield* temporaryFolder, "metricstream.db")
        const names = Array.from({ length: limits.series }, (_, index) => `m.${1000 + index}`)
        const writer = openWriter(database)
        writer.append(
          toColumns(
            names.map((name) => ({ name, value: 1 })),
            Date.now()
          )
        )
        writer.close()
        const { url } = yield* start(database, patient)
        let lists = 0
        const { page } = yield* open(browser, url, {}, async (page) => {
          await stopClock(page)
          page.on("request", (request) => {
            if (new URL(request.url()).pathname === "/" && request.resourceType() === "fetch") lists++
          })
        })
        yield* isLive(page)
        let count = 1
        /** Series come up, of which the page hears together with what it lists. */
        const comeUp = (...others: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            yield* post(
              url,
              ["m.1000", ...others].map((name) => ({ name, value: 1 }))
            )
            yield* textIs(page, 'a[data-name="m.1000"] .count', new RegExp(`^${++count} events$`))
            yield* pass(page, 5000)
          })
        yield* comeUp("z")
        // More than the news of a second can name.
        yield* comeUp(...Array.from({ length: 400 }, (_, index) => `z.${index}`))
        yield* comeUp("a")
        yield* until(page, "document.querySelector('a[data-name=\"a\"]') !== null")
        assert.strictEqual(lists, 1)
      })
    )
  })
})
