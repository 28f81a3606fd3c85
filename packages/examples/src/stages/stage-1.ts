/**
 * Stage 1: why a blocking server freezes.
 *
 * The first server that one writes is a loop: accept a connection, read the request, answer it, close, take the next one.
 *
 *     for (;;) {
 *       const connection = accept()
 *       const request = read(connection)    // stands here until the client has sent one
 *       write(connection, handle(request))
 *       close(connection)
 *     }
 *
 * It is correct, and it freezes as soon as somebody connects and sends nothing: the loop stands in `read`, and looks at nobody else. That
 * takes no attacker. A browser opens connections before it has anything to send, a phone loses its network in the middle of a request, a
 * load balancer keeps connections ready.
 *
 * This stage proves it on a server that runs, and then repeats the proof on one that waits for all of its clients at once. Each is a process
 * of its own:
 *
 * 1. A request, with nobody else there: this is what a request takes.
 * 2. Clients connect and say nothing.
 * 3. One more client sends a complete and valid request. What becomes of it?
 * 4. If it still waits when our patience is over, the silent ones hang up. What becomes of it now?
 *
 * `npm run stage -- 1` runs it; `npm run stage -- 1 --help` tells what can be changed.
 */
import type * as RawClient from "@spillway/http/testing/RawClient"
import * as SilentClient from "@spillway/http/testing/SilentClient"
import * as Main from "@spillway/runtime/Main"
import { Console, Duration, Effect, Exit, Option, Scope } from "effect"
import { Command } from "effect/cli"
import * as Client from "./support/client.ts"
import * as Cli from "./support/cli.ts"
import * as Server from "./support/server.ts"
import * as Story from "./support/story.ts"

export interface Options {
  /** How many clients connect and say nothing. */
  readonly silent: number
  /** Seconds that the client with the request waits before the silent ones hang up. */
  readonly patience: number
  /** Seconds that the server waits for a client that says nothing. */
  readonly receiveTimeout: number
}

/** What became of a request that came behind silent clients. */
export interface Observation {
  readonly architecture: string
  /** How long a request took with nobody else there. */
  readonly alone: Duration.Duration
  /** If it was answered before the silent clients hung up: how long it took, and how many of them were still connected. */
  readonly beside: { readonly duration: Duration.Duration; readonly stillSilent: number } | undefined
  /** If it was not: how long after they had hung up. */
  readonly afterHangUp: Duration.Duration | undefined
  /** CPU time of the server while the request waited, in milliseconds; `undefined` where the system does not tell. */
  readonly cpuMillis: number | undefined
}

const architectures = new URL("../architectures/main.ts", import.meta.url)

/** Once nothing is in its way a request takes milliseconds. */
const allowance = "10 seconds"

// #region observe
const observe = Effect.fnUntraced(function* (architecture: string, options: Options, tell: Story.Tell) {
  const { patience, receiveTimeout, silent } = options
  const timeout = `${receiveTimeout * 1000} millis`
  const env = { ARCHITECTURE_RECEIVE_TIMEOUT: timeout, SPILLWAY_HTTP_HEADERS_TIMEOUT: timeout }
  const server = yield* Server.start(architectures, [architecture], env)
  const url = `${server.url}/fast`
  yield* tell(`it listens: ${server.url}, process ${server.pid}`)

  const alone = yield* Client.typical(Effect.map(Client.ask(url), ({ duration }) => duration))
  yield* tell(`GET /fast, with nobody else there: answered after ${Story.format(alone)}`)

  const crowd = yield* Scope.fork(yield* Effect.scope)
  const connections = yield* Scope.provide(SilentClient.connect(server.url, silent), crowd)
  yield* tell(`${silent} clients connect, and say nothing`)

  const cpuBefore = Server.cpuMillis(server.pid)
  const request = yield* Client.send(url)
  yield* tell("one more connects, and sends GET /fast: a complete and valid request")
  const answered = yield* watch(request.answer, patience, tell)
  const cpuAfter = Server.cpuMillis(server.pid)
  const cpuMillis = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore
  const seen = { architecture, alone, cpuMillis }
  if (Option.isSome(answered)) {
    const { duration, status } = answered.value
    const stillSilent = yield* countOpen(connections)
    yield* tell(`${Story.good(`${status} after ${Story.format(duration)}`)}, ${company(stillSilent)}`)
    return { ...seen, beside: { duration, stillSilent }, afterHangUp: undefined } satisfies Observation
  }

  yield* Scope.close(crowd, Exit.void)
  yield* tell("the silent clients hang up")
  const [afterHangUp, { duration, status }] = yield* Effect.timed(Effect.timeout(request.answer, allowance))
  yield* tell(`${status} after ${Story.format(duration)}: ${Story.format(afterHangUp)} after they hung up`)
  return { ...seen, beside: undefined, afterHangUp } satisfies Observation
}, Effect.scoped)
// #endregion

/** Waits for the answer, and says five times that there is none. */
const watch = Effect.fnUntraced(function* <A, E>(answer: Effect.Effect<A, E>, patience: number, tell: Story.Tell) {
  const steps = 5
  for (let step = 1; step <= steps; step++) {
    const answered = yield* Effect.timeoutOption(answer, Duration.seconds(patience / steps))
    if (Option.isSome(answered)) return answered
    yield* tell(Story.bad(`… unanswered for ${((patience * step) / steps).toFixed(1)} s`))
  }
  return Option.none<A>()
})

/** How many connections the server has not ended. What it did before it answered may arrive after the answer. */
const countOpen = (connections: ReadonlyArray<RawClient.Connection>) =>
  Effect.map(
    Effect.forEach(connections, ({ ended }) => Effect.timeoutOption(ended, "200 millis"), { concurrency: "unbounded" }),
    (endings) => endings.filter(Option.isNone).length
  )

const company = (stillSilent: number): string =>
  stillSilent > 0 ? `while ${stillSilent} of them stay connected` : "once the server has given all of them up"

/** Observes the blocking server and the event-driven one, and tells what happens meanwhile. */
export const prove = Effect.fnUntraced(function* (options: Options) {
  const tell = yield* Story.begin
  yield* Story.title("sequential: one connection at a time, from its accept to its close")
  const sequential = yield* observe("sequential", options, tell)
  yield* Story.title("event-driven: one thread too, but it waits for all of its connections at once")
  const eventDriven = yield* observe("event-driven", options, tell)
  yield* Story.title("What happened to the request")
  yield* Console.log(summary(options, sequential, eventDriven))
  return { sequential, eventDriven }
})

const fate = ({ afterHangUp, beside }: Observation, { patience }: Options): string => {
  if (beside !== undefined) return `${Story.format(beside.duration)}, ${company(beside.stillSilent)}`
  return `nothing in ${patience} s; then ${Story.format(afterHangUp!)} after they hung up`
}

const summary = (options: Options, sequential: Observation, eventDriven: Observation): string => {
  const { receiveTimeout, silent } = options
  const row = (seen: Observation) => [seen.architecture, Story.format(seen.alone), fate(seen, options)]
  const cpu =
    sequential.cpuMillis === undefined ? "" : ` While the request waited it used ${sequential.cpuMillis} ms of CPU.`
  return `${Story.table([["", "alone", `beside ${silent} silent clients`], row(sequential), row(eventDriven)])}

The blocking server was not busy.${cpu}
It stood in a read, for a client that had nothing to say, and looked at nobody else. Left alone it
gives each silent client ${receiveTimeout} s, one after the other: ${silent} of them cost everybody else ${silent * receiveTimeout} s, and they
need only connect again. A shorter timeout makes the freeze shorter, and cuts off honest clients
that are slow; it does not end it: try --silent 10 --receive-timeout 1 --patience 20.

The event-driven server has one thread too, but never stands in a read: it asks the kernel which of
all its connections have something to read. A silent client costs it some memory, and no time.

Read both: packages/examples/src/architectures/sequential.ts and eventDriven.ts. Next: npm run stage -- 2`
}

/** The stage as a command. */
export const command = Command.make(
  "stage-1",
  {
    silent: Cli.integer("silent", {
      description: "How many clients connect and say nothing",
      minimum: 1,
      maximum: 4000,
      fallback: 20,
      variable: "STAGE_SILENT"
    }),
    patience: Cli.seconds("patience", {
      description: "How long the valid request waits before they hang up",
      minimum: 0.5,
      maximum: 3600,
      fallback: 5,
      variable: "STAGE_PATIENCE"
    }),
    receiveTimeout: Cli.seconds("receive-timeout", {
      description: "How long the servers wait for a silent client",
      minimum: 1,
      maximum: 3600,
      fallback: 30,
      variable: "STAGE_RECEIVE_TIMEOUT"
    })
  },
  (options) => Cli.explained(Effect.asVoid(prove(options)))
).pipe(
  Command.withDescription("Proves why a blocking server freezes: silent clients, and then one with a valid request"),
  Command.withAlias("1")
)

export const program = Cli.toProgram(command)

if (import.meta.main) Main.run(program)
