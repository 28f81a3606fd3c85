import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { NetAddress } from "effect/net"
import { clientOf, parseAddress, trustNetworks } from "../../src/internal/clientAddress.ts"

const isTrusted = Result.getOrThrow(trustNetworks(["10.0.0.0/8", "fd00::/8"]))

/** The client, as the proxy 10.0.0.1 says. */
const client = (forwardedFor: string | undefined, peer = "10.0.0.1") =>
  NetAddress.formatIp(clientOf(parseAddress(peer)!, forwardedFor, isTrusted))

describe("clientAddress", () => {
  it("reads addresses as they are", () => {
    assert.deepStrictEqual(
      ["192.0.2.1", "2001:db8::1", "2001:DB8::1", "::ffff:192.0.2.1", "  192.0.2.1\t"].map((text) => client(text)),
      ["192.0.2.1", "2001:db8::1", "2001:db8::1", "192.0.2.1", "192.0.2.1"]
    )
  })

  it("reads addresses with a port, in brackets and in quotes", () => {
    for (const text of ["192.0.2.1:5678", "192.0.2.1:0", '"192.0.2.1:5678"', '"192.0.2.1"', "[::ffff:192.0.2.1]:80"]) {
      assert.strictEqual(client(text), "192.0.2.1", text)
    }
    for (const text of ["[2001:db8::1]:5678", "[2001:db8::1]", '"[2001:db8::1]:5678"', '"2001:db8::1"']) {
      assert.strictEqual(client(text), "2001:db8::1", text)
    }
  })

  it("reads IPv6 without its zone", () => {
    for (const text of ["fe80::1%eth0", "[fe80::1%eth0]", "[fe80::1%25eth0]:443", "fe80::1%3"]) {
      assert.strictEqual(client(text), "fe80::1", text)
    }
    assert.strictEqual(NetAddress.formatIp(parseAddress("fe80::1%eth0")!), "fe80::1")
  })

  it("tells the clients behind a gateway that writes their ports apart, through trusted proxies that write theirs", () => {
    assert.strictEqual(client("203.0.113.9:1, 192.0.2.1:40001, 10.0.0.7:40002, [fd00::7]:40003"), "192.0.2.1")
    assert.strictEqual(client("203.0.113.9:1, 192.0.2.2:40001, 10.0.0.7:40002"), "192.0.2.2")
    assert.strictEqual(client("10.0.0.9:40001"), "10.0.0.9")
  })

  it("believes nothing that stands before what is no address", () => {
    const garbage = [
      "unknown",
      "_hidden",
      "nonsense",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "1.2.3.4:",
      "1.2.3.4:port",
      "1.2.3.4:123456",
      "1.2.3.4]",
      "[1.2.3.4",
      "[2001:db8::1",
      "2001:db8::1]",
      "[2001:db8::1]:",
      "[2001:db8::1]x",
      "[]",
      "[]:80",
      ":80",
      "1.2.3.4%eth0",
      "2001:db8::1%",
      '"1.2.3.4',
      '1.2.3.4"',
      '""',
      ":",
      "::1::2",
      "1.2.3.4 5.6.7.8",
      "1.2.3.4;5.6.7.8",
      "",
      " ",
      "localhost:80",
      "0x7f000001",
      "12345"
    ]
    for (const text of garbage) {
      assert.strictEqual(client(`192.0.2.66, ${text}`), "10.0.0.1", JSON.stringify(text))
      assert.strictEqual(client(`192.0.2.66, ${text}, 10.0.0.9:80`), "10.0.0.9", JSON.stringify(text))
    }
  })

  it("takes the peer where there is no proxy, or one that says nothing", () => {
    assert.strictEqual(client("192.0.2.1:80", "203.0.113.1"), "203.0.113.1")
    assert.strictEqual(client(undefined), "10.0.0.1")
    assert.strictEqual(client(""), "10.0.0.1")
    assert.strictEqual(client("192.0.2.1,"), "10.0.0.1")
    assert.strictEqual(client(", 192.0.2.1"), "192.0.2.1")
  })
})
