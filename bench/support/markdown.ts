/** Tables of figures in Markdown, and the places between markers where they go. */
import type { Spread } from "./statistics.ts"
import type { Machine } from "./machine.ts"

/** The first column to the left, the others to the right. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  return [line(head), `|---|${"---:|".repeat(head.length - 1)}`, ...rows.map(line)].join("\n")
}

export const number = (value: number, digits = 0): string =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** As many digits as say something: 1,234 and 12.3 and 0.12. */
export const rounded = (value: number): string => number(value, value >= 100 ? 0 : value >= 1 ? 1 : 2)

/** `12.3 (11.0 to 14.2)`, with the unit after the median. */
export const median = ({ max, median, min }: Spread, format: (value: number) => string, unit = ""): string =>
  `${format(median)}${unit} (${format(min)} to ${format(max)})`

export const conditions = ({ cores, node }: Machine, stealPercent?: number): string => {
  const where = `Node ${node.slice(1)}, ${cores} cores`
  return stealPercent === undefined ? where : `${where}, ${stealPercent} % of the CPU time stolen by the host`
}

/** Puts `content` between `<!-- name -->` and `<!-- /name -->`. */
export const fillSection = (document: string, name: string, content: string): string => {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [document.indexOf(open), document.indexOf(close)]
  if (from === -1 || to < from) throw new Error(`there is no ${open} … ${close} to write to`)
  return `${document.slice(0, from + open.length)}\n${content}\n${document.slice(to)}`
}
