/**
 * Clients that servers meet in the wild, for tests: silent, slow, malformed.
 *
 * @since 0.1.0
 */
export * as RawClient from "./RawClient.ts"
export * as SilentClient from "./SilentClient.ts"
export * as SlowReader from "./SlowReader.ts"
