/**
 * Packs runtime and http as for npm and uses the tarballs in an empty project outside the repository: its types are
 * checked, every public module is loaded, internals are refused, and the README's first program serves and drains.
 *
 * Usage: `npm run pack:check`. Prints one line a step and exits with 1 at the first that fails.
 */
import assert from "node:assert/strict"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { readSnippets, root } from "./readme-snippets.ts"

const packages = ["runtime", "http"]
const temp = mkdtempSync(join(tmpdir(), "spillway-pack-"))
const tarballs = join(temp, "tarballs")
const consumer = join(temp, "consumer")
const installed = (name: string) => join(consumer, "node_modules/@spillway", name)

const run = (command: string, args: ReadonlyArray<string>, cwd: string): string => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 300_000 })
  const line = [command, ...args].join(" ")
  assert.equal(status, 0, `${line}: ${error?.message ?? `exit code ${status}`}\n${stdout}${stderr}`)
  return stdout
}

const version = (name: string): string => {
  const manifest = readFileSync(join(root, "node_modules", name, "package.json"), "utf8")
  return `${name}@${(JSON.parse(manifest) as { version: string }).version}`
}

const manifests = () =>
  globSync("packages/*/package.json", { cwd: root }).map((path) => readFileSync(join(root, path), "utf8"))

const pack = () => {
  mkdirSync(tarballs)
  const workspaces = packages.flatMap((name) => ["-w", `packages/${name}`])
  run("npm", ["pack", ...workspaces, "--pack-destination", tarballs], root)
}

const install = () => {
  mkdirSync(consumer)
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }))
  const needed = ["effect", "@effect/platform-node", "@types/node"].map(version)
  run("npm", ["install", "--no-audit", "--no-fund", ...globSync(join(tarballs, "*.tgz")), ...needed], consumer)
}

const checkContents = () => {
  for (const name of packages) {
    const files = globSync("**/*", { cwd: installed(name), withFileTypes: true }).filter((entry) => entry.isFile())
    const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(installed(name).length + 1))
    for (const path of [
      "LICENSE",
      "README.md",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/index.js.map",
      "src/index.ts"
    ]) {
      assert.ok(paths.includes(path), `@spillway/${name} lacks ${path}`)
    }
    const expected = /^(LICENSE|README\.md|package\.json|src\/.*\.ts|dist\/.*\.(js|d\.ts)(\.map)?)$/
    const extra = paths.filter((path) => !expected.test(path) || path.includes("test-types"))
    assert.deepEqual(extra, [], `@spillway/${name} packs files it should not`)
    for (const path of paths.filter((path) => path.endsWith(".js"))) {
      const url = /^(?!\s*(?:\*|\/[/*])).*new URL\(["'`].*\.ts["'`]/m.exec(
        readFileSync(join(installed(name), path), "utf8")
      )?.[0]
      assert.equal(url, undefined, `@spillway/${name}/${path} names a TypeScript file that npm's users do not run`)
    }
  }
}

const moduleNames = (name: string, pattern: string): ReadonlyArray<string> =>
  globSync(pattern, { cwd: join(installed(name), "dist") }).map(
    (path) => `@spillway/${name}/${path.replace(/\.js$/, "")}`
  )

const checkTypes = () => {
  const compilerOptions = {
    target: "es2024",
    module: "nodenext",
    types: ["node"],
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false
  }
  writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
  run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "."], consumer)
}

const writeModules = () => {
  const names = packages.flatMap((name) => [`@spillway/${name}`, ...moduleNames(name, "{*,testing/*}.js")])
  const imports = names.map((name, i) => `import * as m${i} from ${JSON.stringify(name)}`)
  const check = `for (const m of [${names.map((_, i) => `m${i}`).join(", ")}]) if (typeof m !== "object") throw new Error("no module")`
  writeFileSync(join(consumer, "modules.ts"), [...imports, check, ""].join("\n"))
}

const checkInternals = () => {
  const names = packages.flatMap((name) => moduleNames(name, "internal/*.js").slice(0, 1))
  for (const name of ["@spillway/runtime/internal/x", ...names]) {
    const script = `import(${JSON.stringify(name)}).catch((error) => console.log(error.code))`
    const code = run(process.execPath, ["--input-type=module", "-e", script], consumer).trim()
    assert.equal(code, "ERR_PACKAGE_PATH_NOT_EXPORTED", `import of ${name}`)
  }
}

/** Copies the file of the README's first snippet into the consumer. */
const copyProgram = (): string => {
  const file = readSnippets("README.md")[0]?.file
  assert.ok(file !== undefined, "README.md has no TypeScript block with a marker")
  copyFileSync(join(root, file), join(consumer, basename(file)))
  return basename(file)
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0)
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  assert.ok(typeof address === "object" && address !== null)
  return address.port
}

/** Fails when `promise` takes longer. The timer does not keep the process alive. */
const within = <A>(what: string, seconds: number, promise: Promise<A>): Promise<A> => {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`${what}: not within ${seconds} s`)), seconds * 1000).unref()
  })
  return Promise.race([promise, late])
}

/** Resolves with the first URL that the program prints. */
const printedUrl = (program: ChildProcess, output: Array<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    program.once("exit", (code) => reject(new Error(`exited with ${code} before it printed a URL`)))
    program.stdout!.on("data", () => {
      const url = /http:\/\/[^\s/"']+:\d+/.exec(output.join(""))?.[0]
      if (url !== undefined) resolve(url.replace(/\/\/(0\.0\.0\.0|\[::\]):/, "//127.0.0.1:"))
    })
  })

const serve = async (file: string) => {
  const env = { ...process.env, PORT: String(await freePort()) }
  const program = spawn(process.execPath, [file], { cwd: consumer, env, stdio: ["ignore", "pipe", "pipe"] })
  const exit = once(program, "exit")
  const output: Array<string> = []
  for (const stream of [program.stdout, program.stderr]) stream.on("data", (chunk) => output.push(String(chunk)))
  try {
    const url = await within("the URL on standard output", 30, printedUrl(program, output))
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
    assert.equal(response.status, 200, `GET ${url}: ${await response.text()}`)
    program.kill("SIGTERM")
    const [code, signal] = await within("the exit after SIGTERM", 30, exit)
    assert.equal(code, 0, `exit code ${code}, signal ${signal} after SIGTERM`)
  } catch (error) {
    throw new Error(`${file} failed, its output:\n${output.join("")}`, { cause: error })
  } finally {
    program.kill("SIGKILL")
  }
}

const step = async <A>(name: string, body: () => A | Promise<A>): Promise<A> => {
  const start = performance.now()
  const result = await body()
  console.log(`pack-check: ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  return result
}

const before = manifests()
try {
  await step("npm packs runtime and http", pack)
  await step("the work tree's manifests are as before", () => assert.deepEqual(manifests(), before))
  await step("npm installs the tarballs in an empty project", install)
  await step("the tarballs hold the built code, its sources, README and LICENSE", checkContents)
  await step("internals are refused", checkInternals)
  await step("every public module loads", () => {
    writeModules()
    run(process.execPath, ["modules.ts"], consumer)
  })
  const file = await step("the README's first program is copied", copyProgram)
  await step("declarations pass a strict type check", checkTypes)
  await step(`${file} serves, answers 200 and drains`, () => serve(file))
} catch (error) {
  console.error(error instanceof Error ? `pack-check: ${error.message}\n${error.cause ?? ""}` : error)
  process.exitCode = 1
} finally {
  rmSync(temp, { recursive: true, force: true })
}
