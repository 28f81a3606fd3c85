/**
 * Reads the TypeScript blocks of a Markdown file and the files they are the text of.
 *
 * A block is marked by the line before it: `<!-- packages/examples/src/x.ts -->` for a whole file, or `…/x.ts#name` for
 * what lies between `// #region name` and `// #endregion` in it.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export const root = join(import.meta.dirname, "..")

export interface Snippet {
  /** Line of the block's fence, from 1. */
  readonly line: number
  readonly text: string
  /** Path from the marker, relative to `root`; `undefined` if there is no marker. */
  readonly file: string | undefined
  readonly region: string | undefined
}

export const readSnippets = (markdown: string): ReadonlyArray<Snippet> => {
  const lines = readFileSync(join(root, markdown), "utf8").split("\n")
  return lines.flatMap((fence, i): ReadonlyArray<Snippet> => {
    if (!/^\s*```(ts|typescript)\b/.test(fence)) return []
    const end = lines.findIndex((line, j) => j > i && line.trim() === "```")
    const before = lines.slice(0, i).findLast((line) => line.trim() !== "") ?? ""
    const [, file, region] = /^<!-- ([^\s#]+)(?:#(\S+))? -->$/.exec(before.trim()) ?? []
    return [{ line: i + 1, text: lines.slice(i + 1, end).join("\n"), file, region }]
  })
}

/** The text that a marker names, without a final newline; `undefined` if the file has no such region. */
export const sourceText = (file: string, region: string | undefined): string | undefined => {
  const text = readFileSync(join(root, file), "utf8").trimEnd()
  if (region === undefined) return text
  const lines = text.split("\n")
  const start = lines.findIndex((line) => line.trim() === `// #region ${region}`)
  const end = lines.findIndex((line, i) => i > start && line.trim() === "// #endregion")
  if (start < 0 || end < 0) return undefined
  const indent = lines[start]!.search(/\S/)
  return lines
    .slice(start + 1, end)
    .map((line) => line.slice(Math.min(indent, Math.max(0, line.search(/\S/)))))
    .join("\n")
    .trim()
}
