/**
 * Clients that servers meet in the wild, for tests of any HTTP server: silent, slow, malformed, many, and steady load.
 *
 * @since 0.1.0
 */
export * as Attack from "./Attack.ts"
export * as ConnectionFlood from "./ConnectionFlood.ts"
export * as HttpAnswer from "./HttpAnswer.ts"
export * as HttpRequest from "./HttpRequest.ts"
export * as LatencyHistogram from "./LatencyHistogram.ts"
export * as MalformedBytes from "./MalformedBytes.ts"
export * as OpenLoop from "./OpenLoop.ts"
export * as RawClient from "./RawClient.ts"
export * as SilentClient from "./SilentClient.ts"
export * as SlowBody from "./SlowBody.ts"
export * as SlowHeaders from "./SlowHeaders.ts"
export * as SlowReader from "./SlowReader.ts"
export * as Target from "./Target.ts"
