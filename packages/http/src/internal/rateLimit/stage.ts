import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { IncomingMessage } from "node:http"
import type { LocalRateLimit } from "../../RateLimit.ts"
import type { Resolved } from "../../ServerConfig.ts"
import type { Key, Options } from "../../ServerRateLimit.ts"
import * as answers from "../answers.ts"
import type { Exchange, Incoming } from "../exchange.ts"
import type { HandshakeRefusal } from "../handshake.ts"
import { Outgoing } from "../outgoing.ts"
import { addressKey } from "./clientKeys.ts"
import type { Fields } from "./fields.ts"
import { makeRefusals } from "./refusals.ts"

interface Refusal {
  readonly reason: "RateLimited" | "Failed"
  readonly answer: answers.Answer
}

/** What a client has left, to be told with the response; nothing of those that are not limited. */
type Verdict = Result.Result<Fields | undefined, Refusal>

const unlimited: Result.Result<undefined> = Result.succeed(undefined)
const failed: Verdict = Result.fail({ reason: "Failed", answer: answers.failed })

type Server = Pick<Resolved, "trustedProxies">

/** The socket of a stream of HTTP/2 is a view that costs more than all else here. */
const socketOf = (request: IncomingMessage) => (request as Incoming).exchange?.connection.socket ?? request.socket

/** The rate limit of a server: between its connections and its door. */
export class RateLimitStage {
  readonly #limit: LocalRateLimit
  readonly #key: Key
  readonly #cost: Options["cost"]
  readonly #skip: Options["skip"]
  readonly #context: Context.Context<never>
  readonly #addressOf: (request: IncomingMessage) => string
  readonly #toAnswer = makeRefusals(answers.fromProblem, (answer, fields) =>
    answers.withFields(answer, Object.entries(fields).flat())
  )

  constructor({ cost, key, limit, skip }: Options, server: Server, context: Context.Context<never>) {
    const { trustedProxies: isTrusted } = server
    this.#limit = limit
    this.#addressOf = (request) =>
      addressKey(socketOf(request).remoteAddress, request.headers["x-forwarded-for"] as string | undefined, isTrusted)
    this.#key = key ?? this.#addressOf
    this.#cost = cost
    this.#skip = skip
    this.#context = context
  }

  /** Takes the tokens of a request, if there are enough. `now` is the monotonic clock in milliseconds. */
  #judge(request: IncomingMessage, now: number): Verdict {
    // Its functions are not ours, and nobody above could answer for them.
    try {
      if (this.#skip?.(request) === true) return unlimited
      const key = this.#key(request, this.#addressOf)
      const taken = this.#limit.takeUnsafe(key, this.#cost?.(request) ?? 1, now, this.#context)
      return Result.isSuccess(taken)
        ? Result.succeed(taken.success.headers)
        : Result.fail({ reason: "RateLimited", answer: this.#toAnswer(taken.failure) })
    } catch (defect) {
      // It ends when it is logged.
      Effect.runForkWith(this.#context)(Effect.logError("the rate limit of the server failed", defect))
      return failed
    }
  }

  /** Lets a request pass, or answers it. */
  admits(exchange: Exchange): boolean {
    const verdict = this.#judge(exchange.request, exchange.arrivedAt)
    if (Result.isSuccess(verdict)) {
      exchange.quota = verdict.success
      return true
    }
    refuse(exchange, verdict.failure)
    return false
  }

  /** The same for a WebSocket handshake, whose refusal is the end of its connection. */
  judgeHandshake(request: Incoming, now: number): Result.Result<Fields | undefined, HandshakeRefusal> {
    return Result.mapError(this.#judge(request, now), ({ answer, reason }) => ({
      reason,
      bytes: answers.toBytes(answer)
    }))
  }
}

/** The rate limit of a server that has one. */
export const stageOf = (
  options: Server & Pick<Resolved, "rateLimit">,
  context: Context.Context<never>
): RateLimitStage | undefined =>
  options.rateLimit === undefined ? undefined : new RateLimitStage(options.rateLimit, options, context)

const refuse = (exchange: Exchange, { answer, reason }: Refusal): void => {
  const { awaitsContinue, connection, hasBody, host, request, response } = exchange
  host.recorder.refused(reason)
  host.refusalPace.refused(exchange, host.now())
  if (!hasBody && response instanceof Outgoing) {
    const bytes = answers.toKeptBytes(answer, 0, host.options.keepAliveTimeout / 1000)
    if (response.sendBytes(answer.status, bytes)) return
  }
  answers.send(answer, request, response, { awaitsContinue, retryAfter: 0, close: () => connection.close() })
}
