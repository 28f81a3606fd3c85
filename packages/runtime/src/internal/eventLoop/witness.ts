/** Knows what runs on this loop, well enough to say afterwards who blocked it. */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"
import * as Tracer from "effect/Tracer"
import { Cell } from "./shared.ts"
import type { Cells } from "./shared.ts"

/** The route of `effect/http/HttpRouter`, by its key: this package knows nothing of HTTP. */
class RouteContext extends Context.Service<
  RouteContext,
  { readonly route: { readonly method: string; readonly path: string } }
>()("effect/http/HttpRouter/RouteContext") {}

type Route = RouteContext["Service"]["route"]

/** Who ran longest while the loop was silent: a label or a context, and neither where a plain callback of node ran for most of the time. */
export interface Suspect {
  readonly label: string | undefined
  readonly context: Context.Context<never> | undefined
  /** How long it ran without a break, in milliseconds. */
  readonly held: number
}

/** More routes than this have no label of their own: the labels live in another thread too. */
const maxLabels = 1024

const settled = Promise.resolve()

// Curried, which spares a look at the number of arguments each time.
const findRoute = Context.getOrUndefined(RouteContext)
const findSpan = Context.getOrUndefined(Tracer.ParentSpan)

export const routeOf = (context: Context.Context<never>): Route | undefined =>
  findRoute(context as Context.Context<RouteContext>)?.route

export const spanOf = (context: Context.Context<never>): Tracer.AnySpan | undefined =>
  findSpan(context as Context.Context<Tracer.ParentSpan>)

export const labelOfRoute = ({ method, path }: Route): string => (method === "*" ? path : `${method} ${path}`)

/**
 * A scheduler that remembers in whose context the last operation ran. The interpreter asks it before every operation whether the fiber
 * should yield, so it sees each change of context; where nothing changed that costs one comparison. What it remembers it forgets in the
 * first microtask after the fibers, so that plain callbacks of node are not laid at the door of a fiber that ran before them.
 */
export class Witness implements Scheduler {
  readonly executionMode: "sync" | "async"
  readonly #scheduler: Scheduler
  readonly #cells: Cells
  readonly #named: (id: number, label: string) => void
  readonly #labels: Array<string> = [""]
  readonly #ids = new Map<string, number>()
  readonly #idsOfRoutes = new WeakMap<Route, number>()
  #context: Context.Context<never> | undefined = undefined
  /** The context that was looked into last, and what was found, until the loop turns: a fiber that hops has mostly the same. */
  #known: Context.Context<never> | undefined = undefined
  #knownId = 0
  #suspect: Suspect | undefined = undefined
  /** How long something that is not known ran without a break, at most. */
  #unknownHeld = 0
  #turnedAt = performance.now()
  /** Since when what runs has been running, at most, and since when in its present context. Kept only while the loop is silent. */
  #since = this.#turnedAt
  #contextSince = this.#since
  /** The context in which what runs has been longest, and how long: its last one may be the one after its span has ended. */
  #longest: Context.Context<never> | undefined = undefined
  #longestHeld = 0

  constructor(scheduler: Scheduler, cells: Cells, named: (id: number, label: string) => void) {
    this.#scheduler = scheduler
    this.executionMode = scheduler.executionMode
    this.#cells = cells
    this.#named = named
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber.context !== this.#context) this.#turnTo(fiber.context)
    return this.#scheduler.shouldYield(fiber)
  }

  makeDispatcher(): SchedulerDispatcher {
    return this.#scheduler.makeDispatcher()
  }

  /** The number of a label, 0 when there are too many. */
  idOf(label: string): number {
    const known = this.#ids.get(label)
    if (known !== undefined) return known
    if (this.#labels.length > maxLabels) return 0
    const id = this.#labels.push(label) - 1
    this.#ids.set(label, id)
    this.#named(id, label)
    return id
  }

  /** Says what runs from now on, and gives what ran before. */
  enter(id: number): number {
    if (this.#cells[Cell.Armed] !== 0) this.#accuse()
    const previous = this.#cells[Cell.Label]!
    this.#cells[Cell.Label] = id
    return previous
  }

  /** The loop has turned: gives who ran longest since it did so before, if it was silent, and begins anew. */
  turned(now: number): Suspect | undefined {
    const isUnknown = 2 * this.#unknownHeld > now - this.#turnedAt
    const suspect = isUnknown ? { label: undefined, context: undefined, held: this.#unknownHeld } : this.#suspect
    this.#suspect = undefined
    this.#unknownHeld = 0
    this.#turnedAt = now
    this.#known = undefined
    this.#begin(now)
    return suspect
  }

  #turnTo(context: Context.Context<never>): void {
    const id = this.#idIn(context)
    if (this.#cells[Cell.Armed] !== 0) {
      if (this.#continues(id, context)) this.#weigh(performance.now())
      else this.#accuse()
    }
    if (this.#context === undefined) void settled.then(this.#forget)
    this.#context = context
    this.#cells[Cell.Label] = id
  }

  readonly #forget = (): void => {
    if (this.#cells[Cell.Armed] !== 0) this.#accuse()
    this.#context = undefined
    this.#cells[Cell.Label] = 0
  }

  /** Whether it is the same culprit: the same route, or the same span outside of any. */
  #continues(id: number, context: Context.Context<never>): boolean {
    if (id !== 0) return id === this.#cells[Cell.Label]
    const span = spanOf(context)
    return span !== undefined && this.#context !== undefined && span === spanOf(this.#context)
  }

  #begin(now: number): void {
    this.#since = this.#contextSince = now
    this.#longest = undefined
    this.#longestHeld = 0
  }

  /** The present context is over. */
  #weigh(now: number): void {
    const held = now - this.#contextSince
    this.#contextSince = now
    if (held < this.#longestHeld) return
    this.#longestHeld = held
    this.#longest = this.#context
  }

  /** What ran until now is over. */
  #accuse(): void {
    const now = performance.now()
    this.#weigh(now)
    const label = this.#labels[this.#cells[Cell.Label]!]
    const held = now - this.#since
    if (this.#longest === undefined && label === "") this.#unknownHeld = Math.max(this.#unknownHeld, held)
    else if (held > (this.#suspect?.held ?? 0)) {
      this.#suspect = { label: label === "" ? undefined : label, context: this.#longest, held }
    }
    this.#begin(now)
  }

  #idIn(context: Context.Context<never>): number {
    if (context === this.#known) return this.#knownId
    const route = routeOf(context)
    this.#known = context
    this.#knownId = route === undefined ? 0 : this.#idOfRoute(route)
    return this.#knownId
  }

  #idOfRoute(route: Route): number {
    const known = this.#idsOfRoutes.get(route)
    if (known !== undefined) return known
    const id = this.idOf(labelOfRoute(route))
    this.#idsOfRoutes.set(route, id)
    return id
  }
}
