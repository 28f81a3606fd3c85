/** What the charts of the comparison share. */
import { colours, text } from "../../support/svg.ts"

/** Names and units come from the code, but a sign like `<` would end the picture. */
export const escape = (content: string): string =>
  content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

export const colourOf = (index: number): string => colours[index % colours.length]!

export const title = (content: string): string =>
  `<text x="20" y="26" font-size="16" font-weight="bold">${escape(content)}</text>`

/** 9,876 and 12.3 and 0.4. */
export const figure = (value: number): string =>
  value.toLocaleString("en", { maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 })

export interface LegendEntry {
  readonly name: string
  readonly mark: (x: number, y: number) => string
}

/** From the left, one after the other. */
export const legend = (entries: ReadonlyArray<LegendEntry>, y: number): ReadonlyArray<string> => {
  let x = 26
  return entries.map(({ mark, name }) => {
    const part = `${mark(x, y - 4)}${text(x + 12, y, escape(name), "start")}`
    x += 40 + 6.6 * name.length
    return part
  })
}

/** Powers of ten that enclose the values. */
export const powers = (values: ReadonlyArray<number>): readonly [from: number, to: number] => {
  const positive = values.filter((value) => value > 0)
  const from = 10 ** Math.floor(Math.log10(Math.min(...positive)))
  const to = 10 ** Math.ceil(Math.log10(Math.max(...positive)))
  return from < to ? [from, to] : [from, from * 10]
}
