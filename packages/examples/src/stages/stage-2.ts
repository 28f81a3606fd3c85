/**
 * Stage 2: the asynchronous echo server.
 *
 * Stage 1 froze since its server waited for one client at a time. This one waits for all of them at once. Each request has a fiber: a
 * computation that reads like a loop of `read` and `write`, and that is set aside whenever it has to wait: that costs a little memory, and no
 * thread. The one thread there is runs whichever fiber can go on.
 *
 *     handler of A   read… . . . . . . . . write   read… . . . . . .
 *     handler of B   . . .  read write . . . . . . .  read write . .      `.` set aside: no thread is held
 *     the thread     A      B    B         A          B    B
 *
 * So a client that sends a byte a second costs a connection and nothing else, and a quick one is answered as if it were alone.
 *
 * The body goes back as it comes: the response is made of the stream that the request is. Nothing collects it, so a body may be larger than
 * the memory of the machine. The response pulls, and pulls only when its client has taken what was written before; then nothing is read from the
 * request either, its client's kernel fills up, and that client has to wait. This is back-pressure: at each moment the server holds a
 * few chunks of 64 KiB for each connection, whoever is slow, and however long the body is.
 *
 * `npm run stage -- 2` serves until Ctrl-C, with lines to try; `npm run stage -- 2 --demo` has 200 slow clients and a quick one try it.
 */
import * as MethodNotAllowed from "@spillway/http/MethodNotAllowed"
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Console, Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Demo from "./stage-2.demo.ts"
import * as Cli from "./support/cli.ts"

// #region echo
const echo = Effect.map(HttpServerRequest.HttpServerRequest, (request) => HttpServerResponse.stream(request.stream))

const routes = [HttpRouter.route("POST", "/echo", echo)]

const server = (port: number) =>
  Server.layerConfig({
    port,
    maxBodySize: "1 TiB", // none of it is kept, so its size does not matter
    rateGrace: "1 minute", // somebody who types sends less than 240 bytes a second
    queueTarget: "Infinity", // hundreds who come in the same moment may wait for their turn,
    maxQueueWait: "5 seconds" // but not for longer than this
  })
// #endregion

const lines = (url: string) => `The echo server listens on ${url} until Ctrl-C. Try, in another terminal:

  curl -d 'Hello!' ${url}/echo
      the body comes back
  curl -sNT . -X POST ${url}/echo
      type lines: each comes back as soon as you end it; Ctrl-D ends the body
  head -c 1G /dev/zero | curl -sT - -X POST ${url}/echo | wc -c
      a gigabyte comes back, of which the server never holds more than a little
  npm run stage -- 2 --demo
      200 slow clients, and a quick one among them
`

const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(lines(url))))

/** The server, until it is interrupted. */
export const serve = (port: number) =>
  Layer.mergeAll(
    announce,
    HttpRouter.serve(HttpRouter.addAll([...routes, ...MethodNotAllowed.routes(routes)]), {
      disableLogger: true,
      disableListenLog: true
    })
  ).pipe(Layer.provide(server(port)), Layer.launch)

/** The stage as a command. */
export const command = Command.make(
  "stage-2",
  {
    demo: Flag.Boolean("demo").pipe(
      Flag.withDescription("Try it, with slow clients, a quick one and a large body, instead of serving"),
      Flag.withDefault(false)
    ),
    port: Cli.port,
    clients: Cli.integer("clients", {
      description: "Demo: how many slow clients",
      minimum: 1,
      maximum: 5000,
      fallback: 200
    }),
    seconds: Cli.integer("seconds", {
      description: "Demo: for how long each of them sends",
      minimum: 1,
      maximum: 3600,
      fallback: 5
    }),
    megabytes: Cli.integer("megabytes", {
      description: "Demo: how large the large body is, in MiB",
      minimum: 1,
      maximum: 65_536,
      fallback: 256
    })
  },
  Effect.fnUntraced(function* ({ demo, port, ...options }) {
    yield* demo ? Demo.run(options) : serve(port)
  }, Cli.explained)
).pipe(
  Command.withDescription("An asynchronous echo server: many clients at once, and slow ones do not delay the others"),
  Command.withAlias("2")
)

export const program = Cli.toProgram(command)

if (import.meta.main) Main.run(program)
