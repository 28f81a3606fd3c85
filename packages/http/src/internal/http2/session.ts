import type { ServerHttp2Session } from "node:http2"
import type { TLSSocket } from "node:tls"
import type { Resolved } from "../../ServerConfig.ts"

const { performServerHandshake } = process.getBuiltinModule("node:http2")

/** Node takes header lists up to this multiple of `maxHeaderSize`, so that those between are answered 431; longer ones reset their stream. */
const headerListFactor = 2
const maxUint32 = 2 ** 32 - 1

/**
 * Begins HTTP/2 on a socket whose handshake chose it.
 *
 * What is not set here is node's and nghttp2's own, and kept on: a session ends, as a rule with a GOAWAY, when its client resets more than
 * 1000 streams at once and 33 a second (CVE-2023-44487), sends more than 8 CONTINUATION frames in a row (CVE-2024-27316), lets 1000
 * acknowledgements of PING and SETTINGS pile up (CVE-2019-9512, -9515), or sends 1000 invalid frames, empty DATA included (CVE-2019-9518); its
 * compressed headers are at most 64 KiB, and what it makes node remember 10 MB.
 */
export const openSession = (socket: TLSSocket, options: Resolved): ServerHttp2Session =>
  performServerHandshake(socket, {
    // Fields are counted by us, to answer 431. Their size is bounded.
    maxHeaderListPairs: maxUint32,
    settings: {
      maxConcurrentStreams: options.maxConcurrentStreams,
      maxHeaderListSize: Math.min(maxUint32, headerListFactor * options.maxHeaderSize)
    }
  })
