/** What an event loop and the thread that watches it share. The watching thread imports this, so nothing of Effect may be here. */

/** The cells of the shared memory, each an `Int32`. */
export const Cell = {
  /** Counts the turns of the loop's heartbeat. */
  Beat: 0,
  /** 1 once the heart has not beaten for half of the threshold. The loop sets it back. */
  Armed: 1,
  /** The number of the label of what runs now, 0 for none. */
  Label: 2,
  /** Milliseconds of the present silence in which the watching thread did not run either. */
  Away: 3,
  /** Milliseconds of the present silence in which the watching thread ran. */
  Silent: 4,
  /** 1 tells the watching thread to let go of the loop: to end its inspector session, if it has one. */
  Stop: 5,
  /** 1 once it has. */
  Stopped: 6
} as const

export type Cells = Int32Array<SharedArrayBuffer>

export const makeCells = (): Cells => new Int32Array(new SharedArrayBuffer(Object.keys(Cell).length * 4))

/** The thread is the watch of this loop. */
export interface Boot {
  readonly cells: Cells
  /** Between two looks, in milliseconds. */
  readonly period: number
  /** When silence is a block, in milliseconds. */
  readonly threshold: number
  /** When the watching thread says so itself, in milliseconds. */
  readonly stuckAfter: number
  /** How long it does not say the same again, in milliseconds. */
  readonly logInterval: number
  readonly stack: boolean
  readonly threadId: number
  readonly isMain: boolean
}

/** Where a function was when it was looked at. Lines and columns count from 1. */
export interface Frame {
  readonly functionName: string
  readonly url: string
  readonly line: number
  readonly column: number
}

/** What the inspector saw of a blocked thread. */
export interface Sight {
  /** The beat after which the loop was silent. */
  readonly beat: number
  readonly frames: ReadonlyArray<Frame>
  readonly route: string | undefined
  readonly span: string | undefined
}

/** `[number, text]` names a label, `"stop"` ends the thread. */
export type ToWatch = readonly [id: number, label: string] | "stop"

export type FromWatch = { readonly type: "watching" } | ({ readonly type: "sight" } & Sight)

const isUsers = ({ url }: Frame): boolean =>
  url !== "" && !url.startsWith("node:") && !/[/\\]effect[/\\](src|dist)[/\\]/.test(url)

/** The innermost function that is neither node's nor Effect's, or the innermost of all. */
export const culpritOf = (frames: ReadonlyArray<Frame>): Frame | undefined => frames.find(isUsers) ?? frames[0]

export const formatFrame = ({ column, functionName, line, url }: Frame): string =>
  `${functionName === "" ? "<anonymous>" : functionName} (${url}:${line}:${column})`
