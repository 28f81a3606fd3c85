/** Per cent answered over what is offered: measured as lines, claimed as broken ones of the same colour. */
import { document, text } from "../../support/svg.ts"
import { colourOf, escape, figure, legend, title as titleOf } from "./chart.ts"

export interface RateLine {
  readonly name: string
  /** By the order of `rates`, from 0 to 100. */
  readonly measured: ReadonlyArray<number | null>
  readonly claimed: ReadonlyArray<number> | null
}

export interface RateChart {
  readonly title: string
  readonly rates: ReadonlyArray<number>
  readonly lines: ReadonlyArray<RateLine>
}

const [width, height, left, right, top, bottom] = [960, 420, 70, 40, 76, 56]

const py = (percent: number) => height - bottom - (percent / 100) * (height - top - bottom)

const grid = [0, 20, 40, 60, 80, 100].map(
  (percent) =>
    `<path d="M${left} ${py(percent)}H${width - right}" stroke="#ddd"/>${text(left - 8, py(percent) + 4, `${percent} %`, "end")}`
)

export const rateChart = ({ lines, rates, title }: RateChart): string => {
  const px = (i: number) => left + 30 + (i / Math.max(1, rates.length - 1)) * (width - left - right - 60)
  // What was not measured has no line through it.
  const path = (values: ReadonlyArray<number | null>) =>
    values
      .map((value, i) => {
        const start = i === 0 || values[i - 1] === null ? "M" : "L"
        return value === null ? "" : `${start}${px(i).toFixed(1)} ${py(value).toFixed(1)}`
      })
      .join("")
  const drawn = lines.flatMap(({ claimed, measured }, i) => {
    const colour = colourOf(i)
    const dots = measured.map((value, at) =>
      value === null ? "" : `<circle cx="${px(at).toFixed(1)}" cy="${py(value).toFixed(1)}" r="4" fill="${colour}"/>`
    )
    const broken =
      claimed === null
        ? ""
        : `<path d="${path(claimed)}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="5 5"/>`
    return [`${broken}<path d="${path(measured)}" fill="none" stroke="${colour}" stroke-width="2.5"/>${dots.join("")}`]
  })
  const swatch = (colour: string, dash: string) => (x: number, y: number) =>
    `<path d="M${x - 10} ${y}H${x + 8}" stroke="${colour}" stroke-width="2.5"${dash}/>`
  const entries = lines.flatMap(({ claimed, name }, i) => [
    { name, mark: swatch(colourOf(i), "") },
    ...(claimed === null ? [] : [{ name: `${name}, claimed`, mark: swatch(colourOf(i), ` stroke-dasharray="5 5"`) }])
  ])
  return document(width, height, [
    titleOf(title),
    ...legend(entries, 52),
    ...grid,
    ...rates.map((rate, i) => text(px(i), height - bottom + 20, `${figure(rate)}/s`, "middle")),
    text((left + width - right) / 2, height - 12, escape("requests offered"), "middle"),
    ...drawn
  ])
}
