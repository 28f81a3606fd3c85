import * as LatencyHistogram from "../LatencyHistogram.ts"
import type { Failures, Report, Second } from "../OpenLoop.ts"
import type { Result } from "./LoadConnection.ts"
import { round } from "./report.ts"

type Failure = keyof Failures

class SecondRecorder {
  offered = 0
  answered = 0
  useful = 0
  readonly latencies = LatencyHistogram.make()
}

/** Counts what became of requests. All times are in milliseconds. */
export class LoadRecorder {
  readonly #useful: (status: number) => boolean
  readonly #seconds: Array<SecondRecorder> = []
  readonly #statuses = new Map<string, number>()
  readonly #errors = new Map<string, number>()
  readonly #latencies = LatencyHistogram.make()
  readonly #others = LatencyHistogram.make()
  readonly #lags = LatencyHistogram.make()
  readonly #failures: Record<Failure, number> = { timedOut: 0, notSent: 0, refused: 0, broken: 0, malformed: 0 }
  #offered = 0
  #answered = 0
  #usefulCount = 0
  #late = 0
  #stall = 0

  constructor(useful: (status: number) => boolean) {
    this.#useful = useful
  }

  /** A request was due `at`, from the start, and noticed so much later. */
  onDue(at: number, lag: number): void {
    this.#offered++
    this.#second(at).offered++
    this.#lags.record(lag)
  }

  /** The generator did not run for so long. */
  onPause(millis: number): void {
    this.#stall = Math.max(this.#stall, millis)
  }

  /** A request had to wait for a free connection. */
  onLate(): void {
    this.#late++
  }

  onResult(at: number, latency: number, result: Result | Failure, code: string | undefined): void {
    if (code !== undefined) add(this.#errors, code)
    if (typeof result === "string") {
      this.#failures[result]++
      return
    }
    const second = this.#second(at)
    const isUseful = this.#useful(result)
    add(this.#statuses, String(result))
    this.#answered++
    second.answered++
    ;(isUseful ? this.#latencies : this.#others).record(latency)
    second.latencies.record(latency)
    if (!isUseful) return
    this.#usefulCount++
    second.useful++
  }

  report(seconds: number): Report {
    const lags = this.#lags.summary()
    return {
      seconds: round(seconds),
      offered: this.#offered,
      answered: this.#answered,
      useful: this.#usefulCount,
      goodput: seconds === 0 ? 0 : round(this.#usefulCount / seconds),
      statuses: Object.fromEntries(this.#statuses),
      failures: { ...this.#failures },
      errors: Object.fromEntries(this.#errors),
      late: this.#late,
      latencyMillis: this.#latencies.summary(),
      otherLatencyMillis: this.#others.summary(),
      lagMillis: { p50: lags?.p50 ?? 0, p99: lags?.p99 ?? 0, max: lags?.max ?? 0, stall: round(this.#stall) },
      timeline: Array.from(this.#seconds, toSecond)
    }
  }

  #second(at: number): SecondRecorder {
    return (this.#seconds[Math.floor(at / 1000)] ??= new SecondRecorder())
  }
}

const add = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

const toSecond = (recorded: SecondRecorder | undefined, second: number): Second => {
  const { answered, latencies, offered, useful } = recorded ?? new SecondRecorder()
  const summary = latencies.summary()
  const [p50, p99, max] = [summary?.p50, summary?.p99, summary?.max]
  return { second, offered, answered, useful, p50, p99, max }
}
