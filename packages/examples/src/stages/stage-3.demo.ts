/** Sends good and bad bodies to the server of stage 3, byte by byte, and shows what each is answered. */
import * as HttpAnswer from "@spillway/http/testing/HttpAnswer"
import * as RawClient from "@spillway/http/testing/RawClient"
import { Console, Data, Effect } from "effect"
import * as Client from "./support/client.ts"
import * as Server from "./support/server.ts"
import * as Story from "./support/story.ts"
import { inputs } from "./stage-3.inputs.ts"
import type { Input } from "./stage-3.inputs.ts"

/** An input was answered with another status than it has to be, or not at all. */
export class Unexpected extends Data.TaggedError("Unexpected")<{ readonly titles: ReadonlyArray<string> }> {
  override get message() {
    return `answered otherwise than they have to be: ${this.titles.join(", ")}`
  }
}

export interface Answered {
  readonly title: string
  readonly expected: number
  /** `undefined` if the connection ended without an answer. */
  readonly status: number | undefined
  readonly body: string
}

/** Up to so many bytes are sent one by one; of what is longer, the rest follows at once. */
const oneByOne = 400

// #region send
/** Sends each byte by itself. A pause between them lets the server read each by itself too. */
const send = Effect.fnUntraced(function* (url: string, { bytes, closes, status: expected, title }: Input) {
  const connection = yield* RawClient.connect(url)
  for (const byte of bytes.subarray(0, oneByOne)) {
    yield* connection.write(Uint8Array.of(byte))
    yield* Effect.sleep("1 millis")
  }
  yield* connection.write(bytes.subarray(oneByOne))
  if (closes === true) yield* connection.end
  const { answers } = yield* Effect.timeout(connection.answers(1), "10 seconds")
  const [answer] = answers
  const body = answer === undefined ? "" : HttpAnswer.text(answer)
  return { title, expected, status: answer?.status, body } satisfies Answered
}, Effect.scoped)
// #endregion

/** What an answer says, in one line: what was accepted, or what is wrong and where. */
const gist = ({ body }: Answered): string => {
  const {
    accepted,
    detail,
    errors = []
  } = JSON.parse(body || "{}") as {
    readonly accepted?: ReadonlyArray<string>
    readonly detail?: string
    readonly errors?: ReadonlyArray<{ readonly path: string; readonly message: string }>
  }
  const places = errors.map(({ message, path }) => `${path === "" ? "all of it" : path}: ${message}`)
  return (accepted ?? (places.length > 0 ? places : [detail ?? ""])).join("; ").slice(0, 100)
}

const line = (answered: Answered): string => {
  const { expected, status, title } = answered
  const color = status === expected ? Story.good : Story.bad
  return `  ${color(String(status ?? "none"))}  ${title.padEnd(44)}${Story.faint(gist(answered))}`
}

/** Sends all inputs, prints the answers, and looks whether the server is still the same and has taken only what is good. */
export const run = Effect.gen(function* () {
  const { pid, url } = yield* Server.start(new URL("./stage-3.ts", import.meta.url))
  yield* Console.log(`The event server listens on ${url}, as process ${pid}. Each input is sent byte by byte.`)
  const all: Array<Answered> = []
  for (const [group, members] of Object.entries(inputs)) {
    yield* Story.title(group)
    const answered = yield* Effect.forEach(members, (input) => send(url, input), { concurrency: "unbounded" })
    for (const one of answered) yield* Console.log(line(one))
    all.push(...answered)
  }
  const { body } = yield* Client.ask(`${url}/events`)
  const unexpected = all.filter(({ expected, status }) => status !== expected)
  yield* Console.log(
    `\n${all.length} inputs, ${all.length - unexpected.length} answered as they have to be. GET /events: ${body}`
  )
  if (unexpected.length > 0) return yield* new Unexpected({ titles: unexpected.map(({ title }) => title) })
  return { answers: all, accepted: (JSON.parse(body) as { readonly accepted: number }).accepted }
}).pipe(Effect.scoped)
