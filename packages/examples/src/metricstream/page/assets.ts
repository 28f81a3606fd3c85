/**
 * The files of the page: what the browser runs, which is TypeScript whose types are taken out here, its style, and uPlot.
 *
 * They are read once, at the start, and served from memory. Their paths carry a hash of them all, so that they can be cached for ever; that they
 * keep their places relative to each other lets them import each other as they do in the repository.
 */
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { fileURLToPath } from "node:url"

/** A file as it is served. */
export interface Asset {
  readonly type: string
  readonly body: Uint8Array
}

export interface Assets {
  /** A hash of all files. */
  readonly version: string
  /** By path. */
  readonly files: ReadonlyMap<string, Asset>
}

const script = "text/javascript; charset=utf-8"
const style = "text/css; charset=utf-8"

/** The program that the browser begins with. */
export const mainScript = "page/browser/main.ts"
const ownStyles = ["page/base.css", "page/layout.css", "page/charts.css"]
export const styles = ["uplot.css", ...ownStyles]
export const icon = "page/icon.svg"
export const chartLibrary = "uplot.js"

/** What the browser shares with the server. */
const shared = ["live/figures.ts", "page/address.ts", "page/cards.ts", "page/format.ts", "page/limits.ts"]

const here = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")

const ofPackage = (specifier: string): string => readFileSync(fileURLToPath(import.meta.resolve(specifier)), "utf8")

const toAsset = (type: string, text: string): Asset => ({ type, body: new TextEncoder().encode(text) })

/** Takes the types out. Node does the same when it runs such a file, but only here it says that this is experimental, on each start. */
const stripTypes = (text: string): string => {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(text)
  } finally {
    process.emitWarning = emitWarning
  }
}

const readScript = (path: string): [string, Asset] => [path, toAsset(script, stripTypes(here(path)))]

/** Reads the files. Throws if one is not there. */
export const readAssets = (): Assets => {
  const own = readdirSync(new URL("./browser", import.meta.url)).filter((name) => name.endsWith(".ts"))
  const files = new Map([
    ...[...own.map((name) => `page/browser/${name}`), ...shared].map(readScript),
    [chartLibrary, toAsset(script, ofPackage("uplot/dist/uPlot.esm.js"))] as const,
    ["uplot.css", toAsset(style, ofPackage("uplot/dist/uPlot.min.css"))] as const,
    ...ownStyles.map((path) => [path, toAsset(style, here(path))] as const),
    [icon, toAsset("image/svg+xml", here(icon))] as const
  ])
  const hash = createHash("sha256")
  for (const [path, { body }] of files) hash.update(`${path}\n${body.length}\n`).update(body)
  return { version: hash.digest("hex").slice(0, 16), files }
}

/** The path of a file. */
export const toPath = ({ version }: Pick<Assets, "version">, path: string): `/${string}` => `/assets/${version}/${path}`

/** The scripts, which the browser may fetch at once instead of one after the other. */
export const scriptsOf = ({ files }: Assets): ReadonlyArray<string> =>
  [...files].filter(([, { type }]) => type === script).map(([path]) => path)

const headers = { "cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff" }

/** A route for each file. */
export const routes = (assets: Assets): ReadonlyArray<HttpRouter.Route<never, never>> =>
  Array.from(assets.files, ([path, { body, type }]) =>
    HttpRouter.route("GET", toPath(assets, path), HttpServerResponse.uint8Array(body, { contentType: type, headers }))
  )
