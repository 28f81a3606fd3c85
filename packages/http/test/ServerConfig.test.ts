import { ServerConfig } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, ConfigProvider, Duration, Effect } from "effect"
import { NetAddress } from "effect/net"
import { readFileSync } from "node:fs"

const read = (env: Record<string, string>) =>
  Effect.provideService(ServerConfig.fromEnvironment, ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

const source = ["ServerConfig", "ServerOptions"]
  .map((name) => readFileSync(new URL(`../src/${name}.ts`, import.meta.url), "utf8"))
  .join("\n")
const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8")

describe("ServerConfig", () => {
  it("fills in the defaults, in milliseconds and bytes", () => {
    const { classes: _classes, exempt: _, rateLimit, trustedProxies, ...resolved } = ServerConfig.resolve({ port: 80 })
    assert.deepStrictEqual(resolved, {
      port: 80,
      host: "127.0.0.1",
      maxRefusalRate: 5000,
      backlog: 511,
      inherit: false,
      maxConnections: 10_000,
      maxConnectionsPerAddress: Infinity,
      tls: undefined,
      http2: true,
      maxConcurrentStreams: 100,
      maxHeaderSize: 16_384,
      maxHeaders: 100,
      maxTargetSize: 8192,
      headersTimeout: 10_000,
      bodyTimeout: 30_000,
      maxBodySize: 1_048_576,
      maxAwaitedBody: 65_536,
      maxBufferedBodies: 134_217_728,
      minBodyRate: 240,
      minResponseRate: 240,
      rateGrace: 5000,
      keepAliveTimeout: 65_000,
      maxConcurrent: 1024,
      maxQueued: 1024,
      maxQueueWait: 1000,
      queueTarget: 20,
      queueInterval: 100,
      requestDeadline: 30_000,
      maxWebSocketMessageSize: 1_048_576,
      maxWebSocketQueue: 262_144,
      webSocketSlowConsumer: "wait",
      webSocketPingInterval: 30_000,
      webSocketCloseTimeout: 5000,
      preStop: 0,
      drainTimeout: 10_000
    })
    assert.isFalse(trustedProxies(NetAddress.ipFromStringUnsafe("127.0.0.1")))
    assert.isUndefined(rateLimit)
  })

  const bad: ReadonlyArray<readonly [keyof ServerConfig.Options, unknown]> = [
    ["port", -1],
    ["port", 65_536],
    ["port", "80"],
    ["host", ""],
    ["backlog", 0],
    ["inherit", ""],
    ["maxConnections", 0],
    ["maxConnectionsPerAddress", 0],
    ["trustedProxies", ["10.0.0.0/33"]],
    ["tls", { keyFile: "key.pem" }],
    ["tls", { cert: "cert" }],
    ["maxConcurrentStreams", 0],
    ["maxConcurrentStreams", 2 ** 32],
    ["maxHeaderSize", 10],
    ["maxHeaders", 0],
    ["maxTargetSize", 1],
    ["minBodyRate", -1],
    ["minResponseRate", Infinity],
    ["rateGrace", 999],
    ["rateGrace", Infinity],
    ["headersTimeout", 0],
    ["bodyTimeout", "5 millis"],
    ["maxBodySize", -1],
    ["maxAwaitedBody", "65 KiB"],
    ["maxBufferedBodies", "much"],
    ["keepAliveTimeout", 0],
    ["maxConcurrent", 1.5],
    ["maxQueued", -1],
    ["maxQueueWait", -1],
    ["queueTarget", 0],
    ["queueInterval", "20 millis"],
    ["queueInterval", Infinity],
    ["partitions", { live: 0 }],
    ["requestDeadline", 0],
    ["requestDeadline", "soon"],
    ["maxWebSocketMessageSize", 0],
    ["maxWebSocketMessageSize", "2 GiB"],
    ["maxWebSocketQueue", -1],
    ["webSocketSlowConsumer", "reset"],
    ["webSocketPingInterval", 0],
    ["webSocketCloseTimeout", "5 millis"],
    ["preStop", -1],
    ["drainTimeout", Number.NaN]
  ]
  for (const [field, value] of bad) {
    it(`throws a RangeError that names ${field} for ${String(value)}`, () => {
      assert.throws(
        () => ServerConfig.resolve({ port: 0, [field]: value }),
        RangeError,
        `Server.layer: ${field} must be`
      )
    })
  }

  it.effect("reads the environment", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* read({
          SPILLWAY_HTTP_PORT: "8081",
          SPILLWAY_HTTP_DRAIN_TIMEOUT: "5 seconds",
          SPILLWAY_HTTP_PRE_STOP: "800 millis",
          SPILLWAY_HTTP_MAX_CONCURRENT: "7",
          SPILLWAY_HTTP_TLS_KEY_FILE: "/etc/key.pem",
          SPILLWAY_HTTP_TLS_CERT_FILE: "/etc/cert.pem",
          SPILLWAY_HTTP_HTTP2: "false",
          SPILLWAY_HTTP_MAX_CONCURRENT_STREAMS: "250",
          SPILLWAY_HTTP_TRUSTED_PROXIES: "10.0.0.0/8, ::1",
          SPILLWAY_HTTP_MIN_BODY_RATE: "1000.5",
          SPILLWAY_HTTP_MAX_BODY_SIZE: "2 MiB",
          SPILLWAY_HTTP_MAX_BUFFERED_BODIES: "64 MiB",
          SPILLWAY_HTTP_WEB_SOCKET_SLOW_CONSUMER: "drop",
          SPILLWAY_HTTP_WEB_SOCKET_PING_INTERVAL: "10 seconds",
          SPILLWAY_HTTP_MAX_WEB_SOCKET_MESSAGE_SIZE: "16 MiB"
        }),
        {
          port: 8081,
          drainTimeout: Duration.seconds(5),
          preStop: Duration.millis(800),
          maxConcurrent: 7,
          tls: { keyFile: "/etc/key.pem", certFile: "/etc/cert.pem" },
          http2: false,
          maxConcurrentStreams: 250,
          trustedProxies: ["10.0.0.0/8", "::1"],
          minBodyRate: 1000.5,
          maxBodySize: ByteSize.fromInputUnsafe("2 MiB"),
          maxBufferedBodies: ByteSize.fromInputUnsafe("64 MiB"),
          webSocketSlowConsumer: "drop",
          webSocketPingInterval: Duration.seconds(10),
          maxWebSocketMessageSize: ByteSize.fromInputUnsafe("16 MiB")
        }
      )
      assert.deepStrictEqual(yield* read({}), {})
    })
  )

  for (const [variable, value] of [
    ["SPILLWAY_HTTP_PORT", "http"],
    ["SPILLWAY_HTTP_MAX_QUEUED", "-1"],
    ["SPILLWAY_HTTP_DRAIN_TIMEOUT", "soon"],
    ["SPILLWAY_HTTP_HEADERS_TIMEOUT", "1 millis"],
    ["SPILLWAY_HTTP_MAX_BODY_SIZE", "big"],
    ["SPILLWAY_HTTP_MAX_BUFFERED_BODIES", "big"],
    ["SPILLWAY_HTTP_TRUSTED_PROXIES", "10.0.0.0/8, everybody"],
    ["SPILLWAY_HTTP_MIN_BODY_RATE", "-1"],
    ["SPILLWAY_HTTP_HTTP2", "h2c"],
    ["SPILLWAY_HTTP_MAX_CONCURRENT_STREAMS", "0"],
    ["SPILLWAY_HTTP_WEB_SOCKET_SLOW_CONSUMER", "reset"],
    ["SPILLWAY_HTTP_WEB_SOCKET_PING_INTERVAL", "1 millis"]
  ] as const) {
    it.effect(`fails with a ConfigError that names ${variable}`, () =>
      Effect.gen(function* () {
        assert.include((yield* Effect.flip(read({ [variable]: value }))).message, variable)
      })
    )
  }

  it("documents each option with its default and variable", () => {
    const shown = (value: unknown) => (typeof value === "number" ? value.toLocaleString("en") : String(value))
    for (const [field, value] of Object.entries(ServerConfig.defaults)) {
      if (field === "exempt") continue
      const variable = `SPILLWAY_HTTP_${field.replaceAll(/[A-Z]/g, "_$&").toUpperCase()}`
      for (const text of [source, readme]) {
        const row = text.split("\n").find((line) => line.includes(`| \`${field}\` |`))
        assert.isTrue(
          row?.includes(variable) === true && (row.includes(shown(value)) || row.includes(String(value))),
          `${field}: ${row}`
        )
      }
      const tag = source.match(new RegExp(`@default (.*)\\n   \\*/\\n  readonly ${field}\\?`))?.[1]
      assert.strictEqual(tag, typeof value === "number" ? String(value) : JSON.stringify(value), field)
    }
  })
})
