import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { hash } from "node:crypto"
import { clientOf, parseAddress, trustNetworks, trustNobody } from "../clientAddress.ts"
import type { Trust } from "../clientAddress.ts"

/** A secret as something that is not one: 256 bits, so that two never meet. */
export const digest = (text: string): string => hash("sha256", text, "base64url")

/** The longest key that is kept as it is. */
const maxKeyLength = 64

/** Long keys are kept by their digest: how long they are must not be up to a client. */
export const toId = (key: string): string => (key.length <= maxKeyLength ? key : `#${digest(key)}`)

/** Reads the address of a request. Throws a `RangeError` that names `where` for a network that can not be read. */
export const addressReader = (
  where: string,
  networks: ReadonlyArray<string>
): ((request: HttpServerRequest.HttpServerRequest) => string) => {
  const isTrusted = Result.getOrElse(trustNetworks(networks), (network) => {
    throw new RangeError(`${where}: trustedProxies must be networks like 10.0.0.0/8, got ${network}`)
  })
  return (request) =>
    addressKey(Option.getOrUndefined(request.remoteAddress), request.headers["x-forwarded-for"], isTrusted)
}

/** The key of a client that has nothing but an address. */
export const addressKey = (
  socketAddress: string | undefined,
  forwardedFor: string | undefined,
  isTrusted: Trust
): string => {
  if (socketAddress === undefined) return "unknown"
  // The plain case pays for no parsing.
  if (isTrusted === trustNobody && !socketAddress.includes(":")) return socketAddress
  const peer = parseAddress(socketAddress)
  return peer === undefined ? socketAddress : toKey(clientOf(peer, forwardedFor, isTrusted))
}

const toKey = (address: NetAddress.IpAddress): string =>
  NetAddress.isIpv4Address(address)
    ? NetAddress.formatIp(address)
    : IpNetwork.format(IpNetwork.fromAddressUnsafe(address, 64))

/** The longest API key that is looked at. */
const maxSecretLength = 512

/** Whether the value of a header field can be an API key at all. */
export const isSecret = (value: string | ReadonlyArray<string> | undefined): value is string =>
  typeof value === "string" && value !== "" && value.length <= maxSecretLength

/** The key of a client that has a known API key. */
export const secretKey = (secret: string): string => `key:${digest(secret)}`

/** The key of a known API key, else what `address` says. */
export const apiKeyReader = <E, R>(
  header: string,
  isKnown: (secret: string) => boolean | Effect.Effect<boolean, E, R>,
  address: (request: HttpServerRequest.HttpServerRequest) => string
): Effect.Effect<string, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const secret = request.headers[header]
    if (!isSecret(secret)) return Effect.succeed(address(request))
    const known = isKnown(secret)
    const choose = (known: boolean) => (known ? secretKey(secret) : address(request))
    return typeof known === "boolean" ? Effect.succeed(choose(known)) : Effect.map(known, choose)
  })
