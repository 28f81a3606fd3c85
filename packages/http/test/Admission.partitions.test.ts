import { Admission, type Priority } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"

const setUp = (options: Partial<Admission.Options> = {}) => {
  const log: Array<string> = []
  const turns: Array<() => void> = []
  const time = { now: 0 }
  const door = Admission.make({
    maxConcurrent: 4,
    maxQueued: 9,
    maxWait: 1000,
    now: () => time.now,
    random: () => 0,
    defer: (run) => turns.push(run),
    partitions: [3, 1],
    ...options
  })
  const guest = (name: string, partition: number, priority?: Priority.Priority): Admission.Visitor => ({
    partition,
    priority,
    admitted: () => void log.push(`${name} admitted`),
    refused: (reason) => void log.push(`${name} ${reason}`)
  })
  /** Turns of the event loop: one in which somebody arrives who waits starts nothing, the next does. */
  const turn = () => {
    for (let i = 0; i < 2; i++) turns.splice(0).forEach((run) => run())
  }
  for (let i = 0; i < 4; i++) door.enter(guest("a", 0))
  log.length = 0
  return { door, guest, log, time, turn }
}

describe("Admission with partitions", () => {
  it("lets in one whose partition has less than its share, although another has all permits", () => {
    const { door, guest, log, turn } = setUp()
    for (const name of ["b", "c"]) door.enter(guest(name, 1))
    assert.deepStrictEqual(log, ["b admitted"])
    turn()
    assert.deepStrictEqual(log, ["b admitted"])
    door.leave(1, "success", 1)
    turn()
    assert.deepStrictEqual(log, ["b admitted", "c admitted"])
    assert.strictEqual(door.stats.running, 5)
  })

  it("needs no place for one that waits for its turn and has a permit guaranteed", () => {
    const { door, guest, log, time, turn } = setUp({ maxQueued: 0 })
    time.now = 2
    for (const name of ["b", "c"]) door.enter(guest(name, 1))
    assert.deepStrictEqual(log, ["c QueueFull"])
    turn()
    assert.deepStrictEqual(log, ["c QueueFull", "b admitted"])
  })

  it("gives the permit of a pause back to its partition, and takes one of that to resume", () => {
    const { door, guest, log, time, turn } = setUp()
    const b = guest("b", 1)
    door.enter(b)
    door.pause(1)
    assert.strictEqual(door.stats.running, 4)
    door.resume(b)
    assert.deepStrictEqual(log, ["b admitted", "b admitted"])
    door.pause(1)
    // Handlers have had their time in this turn.
    time.now = 2
    door.resume(b)
    assert.deepStrictEqual([log.length, door.stats.resuming], [2, 1])
    turn()
    assert.deepStrictEqual([log.length, door.stats.running], [3, 5])
    door.leave(1, "success", 1)
    assert.strictEqual(door.stats.running, 4)
  })

  it("lets one of a partition that has less than its share of the places take that of another", () => {
    const { door, guest, log, turn } = setUp({ maxQueued: 4 })
    door.enter(guest("b", 1))
    for (let i = 0; i < 4; i++) door.enter(guest(`a${i}`, 0))
    for (const name of ["c", "d"]) door.enter(guest(name, 1))
    assert.deepStrictEqual([log, door.stats.queued], [["b admitted", "d QueueFull"], 4])
    turn()
    door.leave(1, "success", 1)
    turn()
    assert.deepStrictEqual(log, ["b admitted", "d QueueFull", "a3 Displaced", "c admitted"])
  })

  it("displaces nothing critical for what is less urgent, although its partition has less than its share of the places", () => {
    const { door, guest, log, turn } = setUp({ maxQueued: 4 })
    door.enter(guest("b", 1))
    for (let i = 0; i < 4; i++) door.enter(guest(`a${i}`, 0, "critical"))
    for (const priority of ["sheddable", "normal", "critical"] as const) door.enter(guest(priority, 1, priority))
    turn()
    assert.deepStrictEqual(log, ["b admitted", "sheddable QueueFull", "normal QueueFull", "a3 Displaced"])
  })

  it("lets in less than twice the limit, however many partitions there are", () => {
    const { door, guest, log, turn } = setUp({ partitions: Array.from({ length: 50 }, () => 1), maxQueued: 99 })
    for (let i = 1; i < 50; i++) door.enter(guest(`${i}`, i))
    for (let i = 0; i < 20; i++) turn()
    assert.deepStrictEqual([log.length, door.stats.running, door.stats.queued], [3, 7, 46])
  })
})
