/**
 * Stage 3: typed events.
 *
 * Stage 2 gave back whatever came. A server that works with what comes has two questions before its work begins.
 *
 * When is it all here? TCP brings bytes, not messages: one `write` of a client may arrive in ten reads, in the middle of a number or of a
 * letter, or two requests in one. So a body is assembled first, within a size and a time, and only a whole one goes on.
 *
 * And is it what I work with? Here the bytes go through one type, `Event`. What fits comes out as a value that the compiler knows, so that
 * no handler has an `if` for a field that might be missing; what does not fit is refused, at the place that does not fit. This is
 * parsing instead of validating: a check that leaves you with the same unknown value has to be made again by everyone who gets it. And as
 * the type is what runs, it is also what is true: the documentation of the protocol, as JSON Schema at `GET /schema`, is made from it.
 *
 * Everything else has an answer too, one of a short list, and none ends the process:
 *
 *     not HTTP at all, two lengths, no Host             400 and the connection ends
 *     not JSON: cut off, empty, not UTF-8               400 that says where
 *     JSON that is no event                             422 that names the place, as a JSON Pointer
 *     not said to be JSON, or compressed                415
 *     too large                                         413, before it is read if its length says so
 *     does not come, or ends in the middle              408
 *     another path, another method                      404, 405
 *
 * `npm run stage -- 3` serves until Ctrl-C, with lines to try; `npm run stage -- 3 --demo` sends good and bad bodies, byte by byte.
 */
import * as JsonBody from "@spillway/http/JsonBody"
import * as MethodNotAllowed from "@spillway/http/MethodNotAllowed"
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Console, Effect, Layer, Ref, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import * as Demo from "./stage-3.demo.ts"
import * as Cli from "./support/cli.ts"

// #region event
/** One measurement. */
export const Event = Schema.Struct({
  name: Schema.NonEmptyString.annotate({ description: "What is measured", examples: ["cpu.load"] }),
  value: Schema.Finite.annotate({ description: "How much" }),
  timestamp: Schema.optionalKey(
    // The range of a `Date`: what `describe` does with it cannot fail.
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8.64e15 })).annotate({
      description: "When, in milliseconds since 1970"
    })
  ),
  tags: Schema.optionalKey(Schema.Record(Schema.String, Schema.String).annotate({ description: "Where, by whom, …" }))
}).annotate({ identifier: "Event", description: "One measurement" })
export type Event = typeof Event.Type

/** What a client sends: an event, or some. */
export const Intake = Schema.Union([Schema.Array(Event).check(Schema.isBetweenLength(1, 100)), Event])
// #endregion

// #region intake
/** A handler of events gets events: nothing in it asks whether a field is there. */
const describe = ({ name, tags = {}, timestamp, value }: Event): string => {
  const when = timestamp === undefined ? "" : ` at ${new Date(timestamp).toISOString()}`
  const where = Object.entries(tags).map(([key, value]) => ` ${key}=${value}`)
  return `${name} = ${value}${when}${where.join("")}`
}

const postEvents = (accepted: Ref.Ref<number>) =>
  Effect.gen(function* () {
    const body = yield* JsonBody.decode(Intake)
    const events = "name" in body ? [body] : body
    yield* Ref.update(accepted, (count) => count + events.length)
    return HttpServerResponse.jsonUnsafe({ accepted: events.map(describe) }, { status: 202 })
  })
// #endregion

// #region schema
/** The protocol, for people and for their tools: made from the type that decodes, so that it says what the server does. */
const { definitions, schema } = Schema.toJsonSchemaDocument(Intake)

const getSchema = HttpServerResponse.jsonUnsafe(
  { $schema: "https://json-schema.org/draft/2020-12/schema", ...schema, $defs: definitions },
  { contentType: "application/schema+json" }
)
// #endregion

const getCount = (accepted: Ref.Ref<number>) =>
  Effect.map(Ref.get(accepted), (accepted) => HttpServerResponse.jsonUnsafe({ accepted }))

const routes = Layer.unwrap(
  Effect.map(Ref.make(0), (accepted) => {
    const routes = [
      HttpRouter.route("POST", "/events", postEvents(accepted)),
      HttpRouter.route("GET", "/events", getCount(accepted)),
      HttpRouter.route("GET", "/schema", getSchema)
    ]
    return HttpRouter.addAll([...routes, ...MethodNotAllowed.routes(routes)])
  })
)

/** Its limits are small, so that they are soon met. It sheds nobody: what a server says that has too much to do is `docs/overload.md`. */
const server = (port: number) =>
  Server.layerConfig({
    port,
    maxBodySize: "64 KiB",
    headersTimeout: "2 seconds",
    bodyTimeout: "2 seconds",
    queueTarget: "Infinity",
    maxQueueWait: "5 seconds"
  })

const lines = (url: string) => `The event server listens on ${url} until Ctrl-C. Try, in another terminal:

  curl ${url}/schema
  curl --json '{"name": "cpu.load", "value": 0.42}' ${url}/events
  curl --json '{"name": "cpu.load", "value": "high"}' ${url}/events
  curl --json '{"name": "cpu.load", "value": 1e999}' ${url}/events
  npm run stage -- 3 --demo
      good and bad inputs, sent byte by byte
`

const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(lines(url))))

/** The server, until it is interrupted. */
export const serve = (port: number) =>
  Layer.mergeAll(announce, HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })).pipe(
    Layer.provide(server(port)),
    Layer.launch
  )

/** The stage as a command. */
export const command = Command.make(
  "stage-3",
  {
    demo: Flag.Boolean("demo").pipe(
      Flag.withDescription("Send it good and bad bodies, byte by byte, instead of serving"),
      Flag.withDefault(false)
    ),
    port: Cli.port
  },
  Effect.fnUntraced(function* ({ demo, port }) {
    yield* demo ? Demo.run : serve(port)
  }, Cli.explained)
).pipe(
  Command.withDescription("Typed events: whatever is not one gets the answer that fits, and never ends the server"),
  Command.withAlias("3")
)

export const program = Cli.toProgram(command)

if (import.meta.main) Main.run(program)
