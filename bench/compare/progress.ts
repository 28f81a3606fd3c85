/** Where a run is and how long it still takes: a line that changes on a terminal, a line for each measurement elsewhere. */

export interface Work {
  readonly name: string
  /** About how long it takes. */
  readonly seconds: number
}

/** `3:05`. */
const clock = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`
}

const bar = (share: number): string => {
  const full = Math.round(20 * Math.min(1, share))
  return `${"█".repeat(full)}${"░".repeat(20 - full)}`
}

export class Progress {
  readonly #total: number
  readonly #count: number
  readonly #isTerminal = process.stdout.isTTY === true
  readonly #start = performance.now()
  #done = 0
  #finished = 0
  #current: (Work & { readonly since: number }) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(all: ReadonlyArray<Work>) {
    this.#total = all.reduce((sum, { seconds }) => sum + seconds, 0)
    this.#count = all.length
    this.say(`${all.length} measurements, about ${clock(this.#total)} minutes`)
    if (this.#isTerminal) this.#timer = setInterval(() => this.#draw(), 500)
  }

  begin(work: Work): void {
    this.#current = { ...work, since: performance.now() }
    if (this.#isTerminal) this.#draw()
    else console.log(`[${this.#finished + 1}/${this.#count}] ${work.name}, ${clock(this.#left())} left`)
  }

  /** `remark`: what is to be said about it. */
  end(work: Work, remark?: string): void {
    if (remark !== undefined) this.say(`${work.name}: ${remark}`)
    this.#done += work.seconds
    this.#finished++
    this.#current = undefined
  }

  /** A line that stays. */
  say(line: string): void {
    if (this.#isTerminal) process.stdout.write("\r\u001B[2K")
    console.log(line)
  }

  stop(): void {
    clearInterval(this.#timer)
    if (this.#isTerminal) process.stdout.write("\r\u001B[2K")
    console.log(`It took ${clock((performance.now() - this.#start) / 1000)} minutes.`)
  }

  /** What was expected of the rest, as much longer or shorter as what is done took. */
  #left(): number {
    const elapsed = (performance.now() - this.#start) / 1000
    const running = this.#current === undefined ? 0 : (performance.now() - this.#current.since) / 1000
    const pace = this.#done === 0 ? 1 : (elapsed - running) / this.#done
    return (this.#total - this.#done) * pace - running
  }

  #draw(): void {
    const name = this.#current?.name ?? ""
    const line = `${bar(this.#done / this.#total)} ${this.#finished}/${this.#count} ${name}, ${clock(this.#left())} left`
    process.stdout.write(`\r\u001B[2K${line.slice(0, (process.stdout.columns ?? 80) - 1)}`)
  }
}
