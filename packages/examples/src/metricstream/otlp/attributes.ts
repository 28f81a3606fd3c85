/** Attributes, as the tags of events and as what tells streams apart. */
import { hash } from "node:crypto"
import type { limits } from "../events.ts"
import type { AnyValue, KeyValue } from "./messages.ts"

/** The limits on events. */
export type EventLimits = typeof limits

/** What identifies the instance of a service, by the semantic conventions. Of a resource these become tags. */
const identity = ["service.namespace", "service.name", "service.instance.id"]

/** Whether a resource says that an SDK has measured it, as all do that take over its own attributes. */
export const isOfSdk = (resource: ReadonlyArray<KeyValue>): boolean =>
  resource.some(({ key }) => key === "telemetry.sdk.name")

/** A value as text: a string as it is, what has parts as JSON. */
export const textOf = (value: AnyValue | undefined): string => {
  const plain = plainOf(value)
  return typeof plain === "string"
    ? plain
    : plain === null
      ? ""
      : typeof plain === "object"
        ? stringify(plain)
        : `${plain}`
}

type Plain = string | number | bigint | boolean | null | Array<Plain> | { [key: string]: Plain }

const plainOf = (value: AnyValue | undefined): Plain => {
  if (value === undefined) return null
  const { arrayValue, kvlistValue } = value
  if (arrayValue !== undefined) return arrayValue.values.map(plainOf)
  if (kvlistValue !== undefined)
    return Object.fromEntries(kvlistValue.values.map((pair) => [pair.key, plainOf(pair.value)]))
  return value.stringValue ?? value.boolValue ?? value.intValue ?? value.doubleValue ?? value.bytesValue ?? null
}

/** JSON has neither integers of any size nor numbers that are not finite. */
const stringify = (plain: Plain): string =>
  JSON.stringify(plain, (_, value) =>
    typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value)) ? `${value}` : value
  )

/** At most so many characters of a text. No surrogate is left alone. */
const cut = (text: string, length: number): string => {
  if (text.length <= length) return text
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
}

/**
 * The tags of a point, as a JSON object: what identifies its service, the unit, and its attributes in their order, as far as they fit.
 * Of one key the attribute of the point counts. Keys and values are cut to their length.
 */
export const tagsOf = (
  resource: ReadonlyArray<KeyValue>,
  unit: string,
  attributes: ReadonlyArray<KeyValue>,
  limits: EventLimits
): string => {
  const tags = new Map<string, string>()
  const add = (key: string, text: string) => {
    const name = cut(key, limits.tagKeyLength)
    if (name !== "" && (tags.size < limits.tags || tags.has(name))) tags.set(name, cut(text, limits.tagValueLength))
  }
  for (const { key, value } of resource) if (identity.includes(key)) add(key, textOf(value))
  // 1 is the unit of what has none.
  if (unit !== "" && unit !== "1") add("unit", unit)
  for (const { key, value } of attributes) add(key, textOf(value))
  return JSON.stringify(Object.fromEntries(tags))
}

/** Attributes as a text that is the same in whatever order they come. */
export const canonical = (attributes: ReadonlyArray<KeyValue>): string => {
  const pairs = attributes.map(({ key, value }) => [key, stringify(plainOf(value))])
  return JSON.stringify(pairs.toSorted(([a], [b]) => (a! < b! ? -1 : a! > b! ? 1 : 0)))
}

/** A short name for what these parts say together: a hash, since attributes may be long and many streams are remembered. */
export const nameOf = (...parts: ReadonlyArray<string>): string => hash("sha256", JSON.stringify(parts), "base64")
