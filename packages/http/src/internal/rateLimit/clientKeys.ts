import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { hash } from "node:crypto"
import { clientOf, parseAddress, trustNetworks } from "../clientAddress.ts"

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
  return (request) => {
    const socketAddress = Option.getOrUndefined(request.remoteAddress)
    if (socketAddress === undefined) return "unknown"
    // The plain case pays for no parsing.
    if (networks.length === 0 && !socketAddress.includes(":")) return socketAddress
    const peer = parseAddress(socketAddress)
    return peer === undefined ? socketAddress : toKey(clientOf(peer, request.headers["x-forwarded-for"], isTrusted))
  }
}

const toKey = (address: NetAddress.IpAddress): string =>
  NetAddress.isIpv4Address(address)
    ? NetAddress.formatIp(address)
    : IpNetwork.format(IpNetwork.fromAddressUnsafe(address, 64))

/** The longest API key that is looked at. */
const maxSecretLength = 512

/** The key of a known API key, else what `address` says. */
export const apiKeyReader = <E, R>(
  header: string,
  isKnown: (secret: string) => boolean | Effect.Effect<boolean, E, R>,
  address: (request: HttpServerRequest.HttpServerRequest) => string
): Effect.Effect<string, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const secret = request.headers[header]
    if (secret === undefined || secret === "" || secret.length > maxSecretLength)
      return Effect.succeed(address(request))
    const known = isKnown(secret)
    const choose = (known: boolean) => (known ? `key:${digest(secret)}` : address(request))
    return typeof known === "boolean" ? Effect.succeed(choose(known)) : Effect.map(known, choose)
  })
