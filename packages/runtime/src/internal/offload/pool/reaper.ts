/**
 * What becomes of a thread that runs a task for which nobody waits any more: the task gets its grace to stop, then the thread is
 * killed, at the least cost to its other tasks.
 */
import type { PoolTask } from "./poolTask.ts"
import type { After } from "./workerCrew.ts"
import type { WorkerThread } from "./workerThread.ts"

const isUseless = ({ request, settled }: PoolTask): boolean => settled && request.mayKill

/** How long a thread that runs an abandoned task may leave a ping unanswered, in milliseconds. */
const signOfLife = 100

export interface ReaperOptions {
  /** Milliseconds. */
  readonly killGrace: number
  readonly after: After
  /** A thread takes no more tasks and is to be rid of those that it has not begun. */
  readonly condemned: (worker: WorkerThread) => void
}

export class Reaper {
  readonly #options: ReaperOptions

  constructor(options: ReaperOptions) {
    this.#options = options
  }

  /** Gives an abandoned task that still runs its grace, unless it may run on. */
  watch(worker: WorkerThread, task: PoolTask): void {
    const { after, killGrace } = this.#options
    if (task.request.mayKill && killGrace !== Infinity && task.worker === worker) {
      if (killGrace === 0) this.#condemn(worker, task)
      else task.cancelTimer = after(killGrace, () => this.#condemn(worker, task))
    }
    this.killIfUseless(worker)
  }

  /**
   * Kills a condemned worker as soon as nobody waits for anything it holds, so that a kill costs no other task. A cooperative one may
   * end by itself even then.
   */
  killIfUseless(worker: WorkerThread): void {
    if (worker.state === "condemned" && worker.tasks.every((task) => task === undefined || isUseless(task)))
      worker.kill()
  }

  /** Takes a worker that still runs an abandoned task out of service, to be killed. */
  #condemn(worker: WorkerThread, task: PoolTask): void {
    if ((worker.state !== "ready" && worker.state !== "retiring") || task.worker !== worker) return
    worker.state = "condemned"
    this.#options.condemned(worker)
    this.killIfUseless(worker)
    this.#watchCondemned(worker)
  }

  /**
   * Neighbours that began may finish, as long as the thread's event loop turns. A loop that stands still finishes nothing: its thread
   * is killed, and they fail with it.
   */
  #watchCondemned(worker: WorkerThread): void {
    if (worker.state !== "condemned") return
    worker.ping()
    this.#options.after(signOfLife, () => {
      if (worker.state !== "condemned") return
      if (worker.responsive) this.#watchCondemned(worker)
      else worker.kill()
    })
  }
}
