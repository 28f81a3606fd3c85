import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import type { Route } from "playwright-core"
import { hasNoBrowser, isLive, open, textIs, until, valueOf, visit } from "./support/browser.ts"
import { temporaryFolder } from "./support/files.ts"
import { patient, Running } from "./support/livePage.ts"
import { post, request, start } from "./support/server.ts"
import { view } from "./support/viewers.ts"

/** Watches as often as may be: those who watch, and what is said to the next. */
const fill = Effect.fnUntraced(function* (url: string) {
  const viewers: Array<Effect.Success<ReturnType<typeof view>>> = []
  while (true) {
    const viewer = yield* view(`${url}/live`)
    if (viewer.response.status !== 200) break
    viewers.push(viewer)
  }
  const { text } = yield* request(`${url}/live`)
  return { viewers, said: (JSON.parse(text) as { readonly detail: string }).detail }
})

/** A detail of the server as the page shows it. */
const exactly = (detail: string): RegExp => {
  const sentence = detail.charAt(0).toUpperCase() + detail.slice(1)
  return new RegExp(`^${sentence.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&")}; trying again…$`)
}

describe.skipIf(hasNoBrowser)("the connection of the live page", () => {
  layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("costs the server nothing while it is paused or hidden, and has no hole afterwards", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const { page } = yield* visit(browser, url)
        /** What each connection said that it has already. */
        const known: Array<string | undefined> = []
        page.on("request", (request) => {
          if (new URL(request.url()).pathname === "/live") known.push(request.headers()["last-event-id"])
        })
        yield* textIs(page, '[data-figure="answered"]', /\d/)
        const viewers = Effect.map(
          request(`${url}/metrics`),
          ({ text }) => /^metricstream_live_viewers (\d+)$/m.exec(text)?.[1]
        )
        const eventually = (wanted: string) =>
          viewers.pipe(
            Effect.delay(20),
            Effect.repeat({ until: (count) => count === wanted }),
            Effect.timeout("15 seconds")
          )
        yield* eventually("1")
        yield* Effect.promise(() => page.click("#pause"))
        yield* textIs(page, "#status", /^Paused$/)
        yield* eventually("0")
        yield* Effect.promise(() => page.click("#pause"))
        yield* isLive(page)
        yield* eventually("1")
        const hide = (hidden: boolean) =>
          valueOf(
            page,
            `Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true }); document.dispatchEvent(new Event("visibilitychange"))`
          )
        yield* hide(true)
        yield* eventually("0")
        yield* hide(false)
        yield* isLive(page)
        yield* eventually("1")
        assert.strictEqual(known.length, 2)
        for (const id of known) assert.match(id ?? "", /^\d{13}$/)
      })
    )

    it.effect("says that the server is gone, and goes on by itself when it is back", () =>
      Effect.gen(function* () {
        const { browser } = yield* Running
        const database = join(yield* temporaryFolder, "metricstream.db")
        const first = yield* start(database, patient)
        yield* post(first.url, { name: "survivor", value: 1 })
        const { page } = yield* visit(browser, `${first.url}/?series=survivor`)
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* valueOf(page, "void (window.sameDocument = true)")
        assert.strictEqual(yield* first.end("SIGTERM"), 0)
        yield* textIs(page, "#status", /restarting|No answer/)
        // The list that the page asks for when it is back. What is stored while that is rendered may be in it, and in the news too.
        const list = page.waitForResponse((response) => new URL(response.url()).pathname === "/")
        const second = yield* start(database, { ...patient, PORT: String(first.port) })
        yield* isLive(page)
        yield* Effect.promise(() => list)
        yield* post(second.url, { name: "survivor", value: 2 })
        yield* textIs(page, "#latest", /^2$/)
        yield* textIs(page, 'a[data-name="survivor"] .count', /^2 events$/)
        assert.isTrue(yield* valueOf<boolean>(page, "window.sameDocument"))
      })
    )

    for (const [reason, maxViewers] of [
      ["there is no room for it", "64"],
      ["its own client has as many as it may", "1"]
    ] as const) {
      it.effect(`says that ${reason}, in the words of the server, and comes in when that is over`, () =>
        Effect.gen(function* () {
          const { browser } = yield* Running
          const database = join(yield* temporaryFolder, "metricstream.db")
          const { url } = yield* start(database, { ...patient, METRICSTREAM_MAX_VIEWERS: maxViewers })
          const { said, viewers } = yield* fill(url)
          const { page } = yield* open(browser, url)
          yield* textIs(page, "#status", exactly(said))
          yield* Effect.forEach(viewers, ({ leave }) => leave)
          yield* isLive(page)
        })
      )
    }

    it.effect("says that the server is about to stop, while that still answers", () =>
      Effect.gen(function* () {
        const { browser } = yield* Running
        const database = join(yield* temporaryFolder, "metricstream.db")
        const { end, url } = yield* start(database, { ...patient, SPILLWAY_HTTP_PRE_STOP: "30 seconds" })
        const { page } = yield* visit(browser, url)
        // It is not waited for: the scope ends it.
        yield* Effect.forkScoped(end("SIGTERM"))
        yield* textIs(page, "#status", exactly("the server is being restarted"))
      })
    )

    for (const part of ["page/browser/main.ts", "page/browser/chart.ts", "page/layout.css"]) {
      it.effect(`loads itself again if ${part} did not come`, () =>
        Effect.gen(function* () {
          const { browser, url } = yield* Running
          const loadedAgain = Promise.withResolvers<void>()
          let loads = 0
          const { page } = yield* open(browser, url, {}, async (page) => {
            page.on("load", () => ++loads === 2 && loadedAgain.resolve())
            await page.route(`**/assets/*/${part}`, (route) =>
              loads === 0 ? route.fulfill({ status: 503, headers: { "retry-after": "1" } }) : route.continue()
            )
          })
          // Without a style it lives all the same until then.
          if (part.endsWith(".ts")) yield* textIs(page, "#status", /^A part of the page did not come; trying again…$/)
          // Nothing is asked of the page while it is replaced.
          yield* Effect.timeout(
            Effect.promise(() => loadedAgain.promise),
            "15 seconds"
          )
          yield* textIs(page, '[data-figure="answered"]', /\d/)
          yield* isLive(page)
          assert.strictEqual(loads, 2)
        })
      )
    }

    it.effect("loads itself again for a server of another version, but once, and then says that it may be wrong", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        let loads = 0
        const loadedAgain = Promise.withResolvers<void>()
        // A balancer that gets the page from one server and the stream from another.
        const older = async (route: Route) => {
          const response = await route.fetch()
          const body = (await response.text()).replace(/data-version="\w+"/, 'data-version="older"')
          await route.fulfill({ response, body })
        }
        const { page } = yield* open(browser, url, {}, async (page) => {
          page.on("load", () => ++loads === 2 && loadedAgain.resolve())
          await page.route(`${url}/`, older)
        })
        // Nothing is asked of the page while it is replaced.
        yield* Effect.timeout(
          Effect.promise(() => loadedAgain.promise),
          "15 seconds"
        )
        yield* until(page, 'document.querySelector("#outdated").checkVisibility()')
        // It goes on all the same.
        yield* textIs(page, '[data-figure="answered"]', /\d/)
        yield* isLive(page)
        assert.strictEqual(loads, 2)
        yield* Effect.promise(() => page.unroute(`${url}/`, older))
        yield* Effect.promise(() => Promise.all([page.waitForEvent("load"), page.click("#outdated button")]))
        yield* textIs(page, '[data-figure="answered"]', /\d/)
        assert.isFalse(yield* valueOf<boolean>(page, 'document.querySelector("#outdated").checkVisibility()'))
        assert.strictEqual(loads, 3)
      })
    )
  })
})
