/**
 * Checks what CONTRIBUTING.md asks of the source text and no compiler or linter sees: docstrings of public modules and
 * their exports, the size of files, and that the libraries import Effect by module.
 *
 * Usage: `node scripts/docs-check.ts [root]`. Prints `file:line: message` for each problem and exits with 1.
 */
import { globSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { type Comment, parseSync, type ParseResult } from "oxc-parser"

const maxLines = 400
const sections = ["Details", "Gotchas", "Example"]
const tags = ["default", "see", "category", "since"]
const categories = new Set(
  (
    "constructors models services layers options errors combinators guards references metrics " +
    "accessors running testing constants schemas middleware"
  ).split(" ")
)

const root = resolve(process.argv[2] ?? join(import.meta.dirname, ".."))
const glob = (...patterns: Array<string>): Array<string> =>
  globSync(patterns, { cwd: root, exclude: ["**/node_modules/**", "**/dist/**"] }).toSorted()

const problems: Array<string> = []
const checked = { modules: 0, exports: 0, files: 0 }

/** A parsed file that can turn an offset into a line and report a problem there. */
class Source {
  readonly path: string
  readonly text: string
  readonly ast: ParseResult

  constructor(path: string) {
    this.path = path
    this.text = readFileSync(join(root, path), "utf8")
    this.ast = parseSync(path, this.text)
    for (const error of this.ast.errors) this.problem(error.labels[0]?.start ?? 0, error.message)
  }

  problem(offset: number, message: string) {
    problems.push(`${this.path}:${this.text.slice(0, offset).split("\n").length}: ${message}`)
  }

  /** The last docstring between two offsets, where only comments and white space can be. */
  docBetween(from: number, to: number): Comment | undefined {
    return this.ast.comments.findLast(
      (comment) =>
        comment.type === "Block" && comment.value.startsWith("*") && comment.start >= from && comment.end <= to
    )
  }
}

type Node = ParseResult["program"]["body"][number]
type Export = { readonly name: string; readonly start: number; readonly doc: Comment | undefined }

/** The name that a statement declares, and whether it is a function, which may have overloads. */
const declared = (node: Node): { readonly name: string; readonly isFunction: boolean } => {
  const isFunction = node.type === "FunctionDeclaration" || node.type === "TSDeclareFunction"
  const id = node.type === "VariableDeclaration" ? node.declarations[0]?.id : "id" in node ? node.id : null
  return { name: id?.type === "Identifier" ? id.name : "export", isFunction }
}

/** Every export of a list of statements with its docstring, members of exported namespaces included. */
const exportsOf = (source: Source, body: ReadonlyArray<Node>, start: number, prefix = ""): ReadonlyArray<Export> => {
  const docs = new Map<string, Comment | undefined>()
  const functions = new Set<string>()
  return body.flatMap((node, i): ReadonlyArray<Export> => {
    const doc = source.docBetween(body[i - 1]?.end ?? start, node.start)
    const inner = node.type === "ExportNamedDeclaration" ? node.declaration : node
    if (inner === null) return specifiersOf(source, node, (local) => docs.get(local) ?? doc)
    const { isFunction, name } = declared(inner)
    const isOverload = isFunction && functions.has(name)
    if (isFunction) functions.add(name)
    if (!docs.has(name)) docs.set(name, doc)
    if (!node.type.startsWith("Export") || isOverload) return []
    const own = { name: prefix + name, start: node.start, doc }
    return inner.type === "TSModuleDeclaration" && inner.body?.type === "TSModuleBlock"
      ? [own, ...exportsOf(source, inner.body.body as ReadonlyArray<Node>, inner.body.start, `${own.name}.`)]
      : [own]
  })
}

/** The exports of `export { a, b as c }`: each has its own docstring or that of what it names. */
const specifiersOf = (source: Source, node: Node, docOf: (local: string) => Comment | undefined) => {
  if (node.type !== "ExportNamedDeclaration") return []
  const text = (id: (typeof node.specifiers)[number]["local"]) => (id.type === "Literal" ? id.value : id.name)
  return node.specifiers.map(({ exported, local, start }, i): Export => {
    const doc = source.docBetween(node.specifiers[i - 1]?.end ?? node.start, start) ?? docOf(text(local))
    return { name: text(exported), start, doc }
  })
}

const isOrdered = (items: ReadonlyArray<string>, order: ReadonlyArray<string>): boolean =>
  items.every((item, i) => i === 0 || order.indexOf(items[i - 1]!) <= order.indexOf(item))

/** Checks the text of one docstring: first sentence, sections, tags and their order. */
const checkDoc = (source: Source, name: string, doc: Comment, required: ReadonlyArray<string>) => {
  const problem = (message: string) => source.problem(doc.start, `${name}: ${message}`)
  const lines = doc.value
    .slice(1)
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, "").trimEnd())
  const prose = lines
    .join("\n")
    .trim()
    .replaceAll(/^```[^]*?^```$/gm, "")

  const summary = prose.split(/\n\s*\n|\n@|\n\*\*/)[0]!
  if (summary === "" || summary.startsWith("@")) problem("the docstring has no text before its tags")
  else if (!/^[A-Z`\d"]/.test(summary)) problem("the first sentence does not begin with a capital letter")
  else if (!/[.!?][)"`*]*(\s|$)/.test(summary)) problem("the first sentence has no end")
  else if (/^(It|They|This|These|Same|See|Also|Ditto|Like)\b/.test(summary)) {
    problem("the first sentence does not stand alone")
  }

  const headings = [...prose.matchAll(/^\*\*([A-Z]\w*)\*\*(?: \(.*\))?$/gm)].map((match) => match[1]!)
  for (const heading of headings) if (!sections.includes(heading)) problem(`unknown section **${heading}**`)
  if (!isOrdered(headings, sections)) problem(`sections are not in the order ${sections.join(", ")}`)

  const found = [...prose.matchAll(/^@(\w+)[ \t]*(.*)$/gm)].map((match) => ({
    tag: match[1]!,
    value: match[2]!.trim()
  }))
  const names = found.map(({ tag }) => tag)
  for (const tag of names) if (!tags.includes(tag)) problem(`unknown tag @${tag}`)
  if (!isOrdered(names, tags)) problem(`tags are not in the order ${tags.map((tag) => `@${tag}`).join(", ")}`)
  for (const tag of required) {
    const count = names.filter((other) => other === tag).length
    if (count !== 1) problem(count === 0 ? `@${tag} is missing` : `@${tag} is there ${count} times`)
  }
  for (const { tag, value } of found) {
    if (tag === "category" && !categories.has(value)) problem(`unknown @category "${value}"`)
    if (tag === "since" && !/^\d+\.\d+\.\d+$/.test(value)) problem(`@since "${value}" is not a version`)
  }
}

const checkModule = (source: Source) => {
  checked.modules++
  const { body, hashbang } = source.ast.program
  const start = hashbang?.end ?? 0
  const first = source.ast.comments[0]
  const isModuleComment =
    first?.type === "Block" &&
    first.value.startsWith("*") &&
    source.text.slice(start, first.start).trim() === "" &&
    (body[0]?.type === "ImportDeclaration" || source.docBetween(first.end, body[0]?.start ?? 0) !== undefined)
  if (isModuleComment) checkDoc(source, "module comment", first, ["since"])
  else source.problem(0, "the file does not begin with a module comment /** … @since x.y.z */")

  const exported = exportsOf(source, body, isModuleComment ? first.end : start)
  checked.exports += exported.length
  for (const { doc, name, start } of exported) {
    if (doc === undefined) source.problem(start, `${name}: has no docstring`)
    else checkDoc(source, name, doc, ["category", "since"])
  }
}

const checkImports = (source: Source) => {
  const { dynamicImports, staticExports, staticImports } = source.ast.module
  const requests = [
    ...staticImports.map(({ moduleRequest }) => moduleRequest),
    ...staticExports.flatMap(({ entries }) => entries.flatMap((entry) => entry.moduleRequest ?? [])),
    ...dynamicImports.map(({ moduleRequest }) => moduleRequest)
  ]
  for (const { end, start } of requests) {
    if (/^["'`]effect["'`]$/.test(source.text.slice(start, end))) {
      source.problem(start, `imports the whole of "effect": import the module, like "effect/Effect"`)
    }
  }
}

for (const path of glob("packages/*/src/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts")) {
  checked.files++
  const source = new Source(path)
  const lines = source.text.replace(/\n$/, "").split("\n").length
  if (lines > maxLines) source.problem(source.text.length, `${lines} lines, the limit is ${maxLines}: split by concept`)
  if (!/^packages\/(runtime|http)\/src\//.test(path)) continue
  checkImports(source)
  if (/^packages\/(runtime\/src|http\/src|http\/src\/testing)\/(?!index\.ts$)[^/]+\.ts$/.test(path)) checkModule(source)
}

if (problems.length > 0 || checked.modules === 0) {
  for (const problem of problems) console.error(problem)
  console.error(`docs-check: ${problems.length} problems in ${checked.modules} public modules`)
  process.exitCode = 1
} else {
  console.log(
    `docs-check: ${checked.modules} public modules, ${checked.exports} exports, ${checked.files} files, no problem`
  )
}
