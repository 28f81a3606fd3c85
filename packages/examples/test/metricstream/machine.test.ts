import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Event } from "@spillway/examples/metricstream/events"
import {
  parseDiskBytes,
  parseNetworkBytes,
  readMachine,
  toEvents
} from "@spillway/examples/metricstream/sampler/machine"
import type { Reading } from "@spillway/examples/metricstream/sampler/machine"

const reading = (fields: Partial<Reading>): Reading => ({
  time: 0,
  cores: [],
  bytes: new Map(),
  gauges: new Map(),
  ...fields
})
const valuesOf = (before: Partial<Reading>, now: Partial<Reading>) =>
  Object.fromEntries(toEvents(reading(before), reading(now)).map(({ name, value }) => [name, value]))

describe("machine", () => {
  it("reads what whole disks have moved", () => {
    const diskstats = `   7       0 loop0 11 0 28 0 0 0 0 0 0 0 0
 254       0 vda 100 5 2048 50 30 7 512 12 0 60 62
 254       1 vda1 90 5 1024 50 30 7 512 12 0 60 62
 259       0 nvme0n1 1 0 8 0 1 0 16 0 0 0 0
 259       1 nvme0n1p1 1 0 8 0 1 0 16 0 0 0 0
`
    assert.deepStrictEqual(Object.fromEntries(parseDiskBytes(diskstats)), {
      "machine.disk.vda.read_bytes_per_second": 2048 * 512,
      "machine.disk.vda.written_bytes_per_second": 512 * 512,
      "machine.disk.nvme0n1.read_bytes_per_second": 8 * 512,
      "machine.disk.nvme0n1.written_bytes_per_second": 16 * 512
    })
  })

  it("reads what networks in use have moved", () => {
    const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
  eth0:1234 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0
  ifb0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
`
    assert.deepStrictEqual(Object.fromEntries(parseNetworkBytes(netDev)), {
      "machine.network.eth0.received_bytes_per_second": 1234,
      "machine.network.eth0.sent_bytes_per_second": 99
    })
  })

  it("turns counters into rates and leaves out what has no earlier reading or went back", () => {
    const before = {
      time: 1000,
      bytes: new Map([
        ["grew", 100],
        ["reset", 500]
      ]),
      cores: [{ busy: 10, total: 100 }]
    }
    const now = {
      time: 3000,
      bytes: new Map([
        ["grew", 300],
        ["reset", 5],
        ["new", 7]
      ]),
      cores: [
        { busy: 60, total: 300 },
        { busy: 1, total: 1 }
      ],
      gauges: new Map([["load", 0.5]])
    }
    assert.deepStrictEqual(valuesOf(before, now), { grew: 100, load: 0.5, "machine.cpu.0.busy_percent": 25 })
  })

  it("makes events of this machine that the server takes", () => {
    const before = readMachine(1_790_000_000_000)
    const events = toEvents(before, { ...readMachine(1_790_000_001_000) })
    assert.includeMembers(
      events.map(({ name }) => name),
      ["machine.memory.used_bytes", "machine.load.1m", "machine.disk.free_bytes"]
    )
    for (const event of events) Schema.asserts(Event, event)
  })
})
