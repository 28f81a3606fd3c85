/**
 * Where a server listens that the clients of this kit connect to.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type * as Tls from "node:tls"

/**
 * Where a server listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  /** An integer from 1 to 65535. */
  readonly port: number
  /**
   * A name or an IP address, an IPv6 one without brackets.
   *
   * @default "127.0.0.1"
   */
  readonly host?: string | undefined
  /**
   * Whether to speak TLS, or how. `true` checks no certificate, since servers under test sign their own; options of `node:tls` are taken
   * as they are, with their checks. A connection counts as open when its handshake is done.
   *
   * @default false
   */
  readonly tls?: boolean | Tls.ConnectionOptions | undefined
}

/**
 * A target with all that a request needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resolved extends Target {
  /** The name or address to connect to. */
  readonly host: string
  /** The port to connect to. */
  readonly port: number
  /** How to speak TLS; `undefined` for plain TCP. */
  readonly tls: Tls.ConnectionOptions | undefined
  /** The value of the `Host` field. */
  readonly authority: string
  /** The path and query of the URL; `/` for a target that was no URL. */
  readonly path: string
}

/**
 * What clients of this kit take for a target: a target, or a URL of `http:` or `https:` (which is `tls: true`). Another protocol is a
 * `RangeError`.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = Target | Resolved | string | URL

/**
 * Error of a client that could not connect.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectFailed extends Schema.TaggedError<ConnectFailed>("@spillway/http/testing/Target/ConnectFailed")(
  "ConnectFailed",
  {
    /** The code of the system, like `ECONNREFUSED`, `EMFILE`, or `ETIMEDOUT`; `UNKNOWN` if there is none. */
    code: Schema.String,
    /** The error of the socket. */
    cause: Schema.Defect()
  }
) {
  override get message() {
    return `the client could not connect (${this.code})`
  }
}

const anyCertificate: Tls.ConnectionOptions = { rejectUnauthorized: false }

const fromUrl = (url: URL): Resolved => {
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new RangeError(`Target.resolve: the protocol must be http: or https:, got ${url.protocol}`)
  }
  const isTls = url.protocol === "https:"
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? (isTls ? 443 : 80) : Number(url.port),
    tls: isTls ? anyCertificate : undefined,
    authority: url.host,
    path: url.pathname + url.search
  }
}

/**
 * Fills in what a target leaves open. Throws a `RangeError` for a URL that is not of `http:` or `https:`, and a `TypeError` for none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resolve = (target: Input): Resolved => {
  if (typeof target === "string" || target instanceof URL) return fromUrl(new URL(target))
  if ("authority" in target) return target
  const { host = "127.0.0.1", port, tls = false } = target
  const options = tls === true ? anyCertificate : tls === false ? undefined : tls
  return { host, port, tls: options, authority: `${host.includes(":") ? `[${host}]` : host}:${port}`, path: "/" }
}
