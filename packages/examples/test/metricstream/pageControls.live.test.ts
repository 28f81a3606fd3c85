import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import {
  assertNoComplaints,
  drag,
  hasNoBrowser,
  isPainted,
  slide,
  textIs,
  until,
  valueOf,
  visit
} from "./support/browser.ts"
import { temporaryFolder } from "./support/files.ts"
import { patient, press, Running, search } from "./support/livePage.ts"
import { post, start } from "./support/server.ts"

describe.skipIf(hasNoBrowser)("the live page in the hand of its reader", () => {
  layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("zooms by mouse, and back", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const seen = yield* visit(browser, `${url}/?series=shown`)
        const { page } = seen
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* drag(page, "#chosen", 0.5, 0.9)
        yield* until(page, 'location.search.includes("from=")')
        const [from, to] = ["from", "to"].map((name) => Number(search(page).get(name)))
        assert.closeTo(to! - from!, 0.4 * 900_000, 20_000)
        yield* Effect.promise(() => page.dblclick("#chosen .u-over"))
        yield* until(page, '!location.search.includes("from=")')

        const isReset = '#server [data-action="reset"][aria-disabled="true"]'
        // A chart of nothing has nothing to zoom into.
        yield* textIs(page, '[data-figure="answered"]', /\d/)
        yield* drag(page, "#card-latency", 0.6, 0.95)
        yield* until(page, `document.querySelector('${isReset}') === null`)
        yield* Effect.promise(() => page.dblclick("#card-loop .u-over"))
        yield* until(page, `document.querySelector('${isReset}') !== null`)
        assertNoComplaints(seen)
      })
    )

    it.effect("reads values and zooms by keyboard, and says what is at the crosshair", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const seen = yield* visit(browser, `${url}/?series=shown`)
        const { page } = seen
        yield* textIs(page, '[data-figure="answered"]', /\d/)
        yield* Effect.promise(() => page.focus("#card-requests .plot"))
        yield* press(page, "ArrowLeft")
        yield* textIs(page, "#announcer", /^\d\d:\d\d:\d\d: answered [\d.,]+\/s, refused 0\/s, failed 0\/s$/)
        yield* textIs(page, "#card-requests .at", /^\d\d:\d\d:\d\d$/)
        // The crosshair is in all charts.
        yield* textIs(page, "#card-loop .at", /^\d\d:\d\d:\d\d$/)
        yield* press(page, "+")
        yield* textIs(page, "#announcer", /^zoomed to /)
        yield* press(page, "Escape")
        yield* textIs(page, "#announcer", /^zoom reset/)
        yield* textIs(page, "#card-requests .at", /^$/)
        yield* Effect.promise(() => page.focus("#chosen .plot"))
        yield* press(page, "+")
        yield* until(page, 'location.search.includes("from=")')
        yield* press(page, "Escape")
        yield* until(page, '!location.search.includes("from=")')
        assertNoComplaints(seen)
      })
    )

    it.effect("zooms out to what is kept, and no further", () =>
      Effect.gen(function* () {
        const { browser } = yield* Running
        const database = join(yield* temporaryFolder, "metricstream.db")
        const { url } = yield* start(database, { ...patient, METRICSTREAM_RETENTION: "12 hours" })
        yield* post(url, { name: "shown", value: 1 })
        const { page } = yield* visit(browser, `${url}/?series=shown`)
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        const span = 'new URLSearchParams(location.search).get("to") - new URLSearchParams(location.search).get("from")'
        const zoomOut = [
          press(page, "-"),
          Effect.promise(() => page.click('#chosen [data-action="zoom-out"]')),
          press(page, "PageUp")
        ]
        for (const by of zoomOut) {
          yield* Effect.promise(() => page.focus("#chosen .plot"))
          for (let times = 0; times < 8; times++) yield* by
          assert.strictEqual(yield* valueOf<number>(page, span), 12 * 3_600_000)
          assert.isAbove(Number(search(page).get("from")), Date.now() - 12.1 * 3_600_000)
        }
      })
    )

    it.effect("gives every chart a text, and every control a name and a place in the order of the tabulator key", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const { page } = yield* visit(browser, `${url}/?series=shown`)
        yield* until(page, `document.querySelector("#card-requests .plot").ariaLabel.includes("answered")`)
        const stops: Array<string> = []
        while (!stops.includes("input:Search series by name") && stops.length < 40) {
          yield* press(page, "Tab")
          stops.push(
            yield* valueOf<string>(
              page,
              `(({ localName, textContent, ariaLabel, value, className }) => className === "plot" ? "plot:" + ariaLabel.split(":")[0] : localName + ":" + (ariaLabel ?? (textContent.trim() || value)))(document.activeElement)`
            )
          )
        }
        assert.deepStrictEqual(stops, [
          "button:Pause",
          "input:300000",
          "button:Zoom in",
          "button:Zoom out",
          "button:Reset",
          "plot:Events stored",
          "plot:Requests",
          "plot:Request latency",
          "plot:Queues",
          "plot:Event-loop delay",
          "plot:Offload workers",
          ...["15 min", "1 h", "6 h", "1 d", "7 d", "30 d"].map((range) => `a:${range}`),
          "button:Zoom in",
          "button:Zoom out",
          "button:Reset",
          "plot:shown",
          "input:Search series by name"
        ])
      })
    )

    it.effect("says how the connection stands where there is little room, also in long words", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const { page } = yield* visit(browser, url, { viewport: { width: 320, height: 740 }, isMobile: true })
        yield* Effect.promise(() => page.click("#pause"))
        yield* textIs(page, "#status", /^Paused$/)
        const said = [
          ["live", "Live"],
          ["connecting", "Connecting…"],
          ["lost", "No answer; trying again…"],
          ["refused", "8 viewers watch already (METRICSTREAM_MAX_VIEWERS); trying again…"]
        ]
        for (const [state, text] of said) {
          const isWhole = `((status) => {
            status.dataset.state = "${state}"
            status.textContent = "${text}"
            const next = document.querySelector("#pause").getBoundingClientRect()
            const words = document.createRange()
            words.selectNodeContents(status)
            return words.getBoundingClientRect().right <= next.left && next.right <= innerWidth
          })(document.querySelector("#status"))`
          assert.isTrue(yield* valueOf<boolean>(page, isWhole), text)
        }
      })
    )

    for (const colorScheme of ["light", "dark"] as const) {
      it.effect(`fits a phone, ${colorScheme}`, () =>
        Effect.gen(function* () {
          const { browser, url } = yield* Running
          const seen = yield* visit(browser, `${url}/?series=shown`, {
            viewport: { width: 360, height: 740 },
            hasTouch: true,
            isMobile: true,
            colorScheme
          })
          const { page } = seen
          yield* textIs(page, '[data-figure="p50"]', /s$/)
          assert.isAtMost(yield* valueOf<number>(page, "document.documentElement.scrollWidth"), 360)
          const lightness = yield* valueOf<number>(
            page,
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3"
          )
          assert.strictEqual(lightness > 128, colorScheme === "light")
          // https://www.w3.org/TR/WCAG22/#target-size-minimum
          const small = `[...document.querySelectorAll("a, button, input")]
            .filter((target) => target.checkVisibility())
            .filter((target) => target.getBoundingClientRect().height < 24)
            .map(({ outerHTML }) => outerHTML)`
          assert.deepStrictEqual(yield* valueOf<ReadonlyArray<string>>(page, small), [])
          yield* isPainted(page, "#card-requests", "main")
          // A finger reads values.
          yield* slide(page, "#card-requests", 0.6, 0.99)
          yield* textIs(page, "#card-requests .at", /\d/)
          assertNoComplaints(seen)
        })
      )
    }
  })
})
