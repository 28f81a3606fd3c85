/**
 * Checks that every TypeScript block of the READMEs and of docs/ is the text of a file that the tests run.
 *
 * Usage: `node scripts/readme-check.ts`. Prints `file:line: message` for each problem and exits with 1.
 */
import { existsSync, globSync } from "node:fs"
import { join } from "node:path"
import { readSnippets, root, type Snippet, sourceText } from "./readme-snippets.ts"

const problemOf = ({ file, region, text }: Snippet): string | undefined => {
  if (file === undefined) return "the block has no marker <!-- path/of/file.ts --> on the line before it"
  if (!existsSync(join(root, file))) return `${file} does not exist`
  const source = sourceText(file, region)
  if (source === undefined) return `${file} has no "// #region ${region}" with an "// #endregion"`
  const [expected, actual] = [source.split("\n"), text.split("\n")]
  const line = actual.findIndex((line, i) => line !== expected[i])
  if (line >= 0) return `line ${line + 1} of the block differs from ${file}`
  return actual.length < expected.length ? `the block ends before ${file} does` : undefined
}

const readmes = ["README.md", ...globSync(["packages/*/README.md", "docs/*.md"], { cwd: root })]
const missing = readmes.filter((path) => !existsSync(join(root, path))).map((path) => `${path}:1: does not exist`)
const snippets = readmes
  .filter((path) => existsSync(join(root, path)))
  .flatMap((path) => readSnippets(path).map((snippet) => ({ path, snippet })))
const wrong = snippets.flatMap(({ path, snippet }) => {
  const problem = problemOf(snippet)
  return problem === undefined ? [] : [`${path}:${snippet.line}: ${problem}`]
})

const problems = [...missing, ...wrong]
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1
else console.log(`readme-check: ${snippets.length} snippets in ${readmes.length} files, no problem`)
