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
 * An address as a proxy writes it in `X-Forwarded-For`: with a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`, as Azure's gateways do), with
 * brackets, or as it is; in quotes (RFC 7239) or not; IPv6 with the zone that it has on the host of the proxy.
 */
const forwardedNode =
  /^("?)(?:\[([\da-f:.]+)(?:%[^\]\s"]+)?\](?::\d{1,5})?|([\d.]+)(?::\d{1,5})?|([\da-f.]*:[\da-f:.]*)(?:%[^\]\s"]+)?)\1$/i

const parseForwarded = (text: string): NetAddress.IpAddress | undefined => {
  const [, , bracketed, ipv4, ipv6] = forwardedNode.exec(text) ?? []
  const address = bracketed ?? ipv4 ?? ipv6
  return address === undefined ? undefined : parseAddress(address)
}

/**
 * Whose request it is: the peer of the socket or, if that is a trusted proxy, the last address in `X-Forwarded-For` that is not a trusted
 * proxy itself. What stands before it anybody could have written. So it is, too, with what stands before an item that is no address, or
 * empty: the proxy did not know for whom it asked.
 */
export const clientOf = (
  peer: NetAddress.IpAddress,
  forwardedFor: string | undefined,
  isTrusted: Trust
): NetAddress.IpAddress => {
  let client = peer
  const forwarded = forwardedFor?.split(",") ?? []
  while (isTrusted(client) && forwarded.length > 0) {
    const previous = parseForwarded(forwarded.pop()!.trim())
    if (previous === undefined) break
    client = previous
  }
  return client
}
