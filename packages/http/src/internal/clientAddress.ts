import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** Which addresses belong to proxies whose word on the client's address is taken. */
export type Trust = (address: NetAddress.IpAddress) => boolean

/** No proxy is trusted: an address needs no parsing to know that. */
export const trustNobody: Trust = () => false

/** Reads networks like `10.0.0.0/8` or single addresses. Returns the first that can not be read as an error. */
export const trustNetworks = (networks: ReadonlyArray<string>): Result.Result<Trust, string> => {
  if (networks.length === 0) return Result.succeed(trustNobody)
  const parsed: Array<IpNetwork.IpNetwork> = []
  for (const network of networks) {
    const result = network.includes("/")
      ? IpNetwork.fromString(network)
      : Result.map(NetAddress.ipFromString(network), (address) => IpNetwork.fromAddressUnsafe(address, bitsOf(address)))
    if (Result.isFailure(result)) return Result.fail(network)
    parsed.push(result.success)
  }
  return Result.succeed((address) => parsed.some((network) => IpNetwork.contains(network, address)))
}

const bitsOf = (address: NetAddress.IpAddress): number => (NetAddress.isIpv4Address(address) ? 32 : 128)

export const parseAddress = (text: string): NetAddress.IpAddress | undefined => {
  const parsed = NetAddress.ipFromString(text.replace(/^\[|\]$|%.*$/g, ""))
  return Result.isSuccess(parsed) ? NetAddress.toCanonical(parsed.success) : undefined
}

/**
 * Whose request it is: the peer of the socket or, if that is a trusted proxy, the last address in `X-Forwarded-For` that is not a trusted
 * proxy itself. What stands before it anybody could have written.
 */
export const clientOf = (
  peer: NetAddress.IpAddress,
  forwardedFor: string | undefined,
  isTrusted: Trust
): NetAddress.IpAddress => {
  let client = peer
  const forwarded = forwardedFor?.split(",") ?? []
  while (isTrusted(client) && forwarded.length > 0) {
    const previous = parseAddress(forwarded.pop()!.trim())
    if (previous === undefined) break
    client = previous
  }
  return client
}
