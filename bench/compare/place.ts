/** Where results, charts and text of a run go. Those of quick mode never take the place of those of full mode. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import type { Mode } from "./contract.ts"

export interface Place {
  readonly mode: Mode
  readonly results: string
  readonly text: string
  readonly chart: (name: string) => string
  /** The links of the text to results and charts begin with it. */
  readonly links: string
}

const repository = fileURLToPath(new URL("../../", import.meta.url))
/** How the text names them; it lies at the top of the repository. */
export const publishedLinks = "bench/results/compare"
/** Git leaves it out. */
const quickFolder = join(repository, ".data", "compare")

const inFolder = (mode: Mode, folder: string): Place => {
  const suffix = mode === "quick" ? "-quick" : ""
  const links = `compare${suffix}`
  return {
    mode,
    results: join(folder, `${links}.json`),
    text: join(folder, `COMPARISON${suffix}.md`),
    chart: (name) => join(folder, `${links}-${name}.svg`),
    links
  }
}

/** `out`: a folder for all of it. By default full mode writes what the repository publishes, and quick mode to a folder of its own. */
export const placeOf = (mode: Mode, out: string | undefined): Place => {
  if (out !== undefined) return inFolder(mode, resolve(out))
  if (mode === "quick") return inFolder(mode, quickFolder)
  const results = inFolder(mode, join(repository, dirname(publishedLinks)))
  return { ...results, text: join(repository, "COMPARISON.md"), links: publishedLinks }
}

/** `undefined` if there is none. */
export const readText = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8") : undefined

/** The file is the old one or the new one, whole: whatever ends this process, no half of it stays under its name. */
export const writeText = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, text, { flush: true })
    renameSync(temporary, path)
  } finally {
    rmSync(temporary, { force: true })
  }
}
