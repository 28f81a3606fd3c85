/**
 * Turns a package's manifest into the one for npm, and back.
 *
 * In the repository `exports` name `./src/*.ts`, so that everything runs without a build. What is published must name
 * the built `./dist/*.js` and its declarations. npm runs this in the package's folder: `prepack` builds and rewrites
 * package.json, `postpack` restores it from package.json.orig. After a run that was killed in between, the next
 * `prepack` restores first.
 */
import { spawnSync } from "node:child_process"
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { basename } from "node:path"

type Exports = { readonly [path: string]: string | null }

const publishedTarget = (target: string | null) => {
  const module = /^\.\/src\/(.*)\.ts$/.exec(target ?? "")?.[1]
  return module === undefined ? target : { types: `./dist/${module}.d.ts`, default: `./dist/${module}.js` }
}

const published = (manifest: string): string => {
  const json = JSON.parse(manifest) as { exports: Exports }
  const exports = Object.fromEntries(Object.entries(json.exports).map(([path, to]) => [path, publishedTarget(to)]))
  return JSON.stringify({ ...json, exports }, null, 2) + "\n"
}

/** Writes by renaming, so that a kill leaves the old text or the new, never half of it. */
const write = (path: string, text: string) => {
  writeFileSync(`${path}.tmp`, text)
  renameSync(`${path}.tmp`, path)
}

const restore = (manifest: string) => {
  const saved = `${manifest}.orig`
  if (!existsSync(saved)) return
  const [original, current] = [readFileSync(saved, "utf8"), readFileSync(manifest, "utf8")]
  if (current !== original && current !== published(original)) {
    throw new Error(
      `${manifest} was edited after an interrupted pack: merge it with ${basename(saved)} and delete that`
    )
  }
  renameSync(saved, manifest)
}

const prepack = () => {
  // The other packages too: this one is built against their sources.
  for (const saved of globSync("../*/package.json.orig")) restore(saved.replace(/\.orig$/, ""))
  // What `tsc` wrote for a module that is gone would be packed.
  rmSync("dist", { recursive: true, force: true })
  const { status } = spawnSync("tsc", ["-b"], { stdio: ["ignore", "inherit", "inherit"] })
  if (status !== 0) process.exit(1)
  const manifest = readFileSync("package.json", "utf8")
  write("package.json.orig", manifest)
  write("package.json", published(manifest))
}

const command = process.argv[2]
if (command === "prepack") prepack()
else if (command === "postpack") restore("package.json")
else throw new Error(`publish-manifest: expected prepack or postpack, got ${command}`)
