/** Which code was measured. */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const cwd = fileURLToPath(new URL("../../", import.meta.url))

/** What measurements write themselves is no change of the code. */
const code = [".", ":(exclude)bench/results", ":(exclude)*.md"]

/** What git says; `undefined` where there is none, or no repository. */
const git = (...args: ReadonlyArray<string>): string | undefined => {
  const { status, stdout } = spawnSync("git", args, { cwd, encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}

/** The commit, with a `+` if the code is not all of that commit; `undefined` where it is not known. */
export const version = (): string | undefined => {
  const commit = git("rev-parse", "--short", "HEAD")
  return commit === undefined || git("status", "--porcelain", "--", ...code) === "" ? commit : `${commit}+`
}
