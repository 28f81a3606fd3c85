import { HttpRequest, Target } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8")

describe("Target", () => {
  it("fills in what is left open", () => {
    const plain = { host: "127.0.0.1", port: 80, tls: undefined, authority: "127.0.0.1:80", path: "/" }
    assert.deepStrictEqual(Target.resolve({ port: 80 }), plain)
    assert.deepStrictEqual(Target.resolve({ port: 80, tls: true }).tls, { rejectUnauthorized: false })
    assert.deepStrictEqual(Target.resolve({ port: 80, tls: { ca: "x" } }).tls, { ca: "x" })
    assert.strictEqual(Target.resolve({ host: "::1", port: 80 }).authority, "[::1]:80")
  })

  it("takes URLs", () => {
    const expected = {
      host: "::1",
      port: 8443,
      tls: { rejectUnauthorized: false },
      authority: "[::1]:8443",
      path: "/a?b"
    }
    assert.deepStrictEqual(Target.resolve("https://[::1]:8443/a?b"), expected)
    const { authority, path, port } = Target.resolve(new URL("http://example.org"))
    assert.deepStrictEqual([port, authority, path], [80, "example.org", "/"])
    assert.strictEqual(Target.resolve("https://example.org").port, 443)
    assert.throws(() => Target.resolve("ftp://example.org"), RangeError)
    assert.throws(() => Target.resolve("example"), TypeError)
  })

  it("leaves what is resolved as it is", () => {
    const resolved = Target.resolve("http://example.org/a")
    assert.strictEqual(Target.resolve(resolved), resolved)
  })
})

describe("HttpRequest", () => {
  const url = "http://example.org/a?b"

  it("adds what a request needs", () => {
    assert.strictEqual(textOf(HttpRequest.encode(url)), "GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n")
    const request = { method: "PUT", path: "/é", headers: { A: "1" }, body: "é" }
    assert.deepStrictEqual(
      HttpRequest.encode(url, request),
      Buffer.concat([
        Buffer.from("PUT /é HTTP/1.1\r\nHost: example.org\r\nA: 1\r\nContent-Length: 2\r\n\r\n", "latin1"),
        Buffer.from("é")
      ])
    )
  })

  it("adds nothing that is there", () => {
    for (const framing of ["content-length: 9", "Transfer-Encoding: chunked"]) {
      const [name, value] = framing.split(": ") as [string, string]
      const bytes = HttpRequest.encode(url, { headers: { host: "x", [name]: value }, body: new Uint8Array([97]) })
      assert.strictEqual(textOf(bytes), `GET /a?b HTTP/1.1\r\nhost: x\r\n${framing}\r\n\r\na`)
    }
  })
})
