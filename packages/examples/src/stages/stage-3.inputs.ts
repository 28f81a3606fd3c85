/** What the demo of stage 3 sends, and the status that each has to get. */
import * as HttpRequest from "@spillway/http/testing/HttpRequest"
import { Buffer } from "node:buffer"

export interface Input {
  readonly title: string
  readonly status: number
  readonly bytes: Uint8Array
  /** Whether the client closes its side after the last byte; it waits for its answer in any case. */
  readonly closes?: boolean | undefined
}

/** The server takes bodies up to 64 KiB. */
const limit = 64 * 1024

const target = { port: 80, host: "127.0.0.1" }
const json = { "Content-Type": "application/json" }

/** A whole request to `POST /events`. */
const post = (body: string | Uint8Array, headers: Readonly<Record<string, string>> = json): Uint8Array =>
  HttpRequest.encode(target, { method: "POST", path: "/events", headers, body })

/** The same body in chunks, of one byte each if no more is said. */
const chunked = (body: string, size = 1): Uint8Array => {
  const bytes = Buffer.from(body)
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size)
    chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"))
  }
  const head = HttpRequest.encode(target, {
    method: "POST",
    path: "/events",
    headers: { ...json, "Transfer-Encoding": "chunked" }
  })
  return Buffer.concat([head, ...chunks, Buffer.from("0\r\n\r\n")])
}

const load = '{"name": "cpu.load", "value": 0.42}'
const half = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length - 10)

// #region inputs
const good: ReadonlyArray<Input> = [
  { title: "one event", status: 202, bytes: post(load) },
  {
    title: "an array of two, with all fields",
    status: 202,
    bytes: post(`[${load}, {"name": "temp", "value": -3, "timestamp": 1700000000000, "tags": {"room": "cellar"}}]`)
  },
  {
    title: "letters of several bytes, cut between reads",
    status: 202,
    bytes: post('{"name": "Größe 🌊", "value": 1}')
  },
  { title: "a chunk for each byte", status: 202, bytes: chunked(load) }
]

const malformed: ReadonlyArray<Input> = [
  { title: "cut off", status: 400, bytes: post('{"name": "cpu.load", "val') },
  { title: "no JSON", status: 400, bytes: post("name=cpu.load&value=0.42") },
  { title: "nothing", status: 400, bytes: post("") },
  { title: "bytes that are no UTF-8", status: 400, bytes: post(Uint8Array.of(0x22, 0xff, 0xfe, 0x22)) },
  { title: "50,000 opening brackets", status: 400, bytes: post("[".repeat(50_000)) }
]

const noEvent: ReadonlyArray<Input> = [
  { title: "a text for a number", status: 422, bytes: post('{"name": "cpu.load", "value": "NaN"}') },
  { title: "a number beyond all numbers", status: 422, bytes: post('{"name": "cpu.load", "value": 1e999}') },
  { title: "a field that is missing", status: 422, bytes: post('{"name": "cpu.load"}') },
  { title: "the second one of three is wrong", status: 422, bytes: post(`[${load}, {"name": ""}, ${load}]`) },
  {
    title: "a time that no calendar has",
    status: 422,
    bytes: post('{"name":"a","value":1,"timestamp":8640000000000001}')
  },
  { title: "null", status: 422, bytes: post("null") }
]

const notTaken: ReadonlyArray<Input> = [
  { title: "not said to be JSON", status: 415, bytes: post(load, { "Content-Type": "text/plain" }) },
  { title: "compressed", status: 415, bytes: post(load, { ...json, "Content-Encoding": "gzip" }) },
  { title: "1 GB announced", status: 413, bytes: post("", { ...json, "Content-Length": "1000000000" }) },
  { title: "chunks without end", status: 413, bytes: chunked(" ".repeat(2 * limit), 8192) },
  { title: "ends in the middle of the body", status: 408, bytes: half(post(load)), closes: true },
  { title: "stops in the middle of the body", status: 408, bytes: half(post(load)) },
  { title: "stops in the middle of the head", status: 408, bytes: post(load).subarray(0, 40) }
]

const garbage: ReadonlyArray<Input> = [
  { title: "bytes at random", status: 400, bytes: Buffer.from("9b1f00ff7c3a0d0ae2880a1b", "hex") },
  { title: "a TLS handshake", status: 400, bytes: Buffer.from("16030100a5010000a10303", "hex") },
  { title: "two lengths", status: 400, bytes: post(load, { ...json, "Content-length": "35", "Content-Length": "2" }) },
  { title: "a length that is no number", status: 400, bytes: post(load, { ...json, "Content-Length": "0x23" }) },
  { title: "a head without end", status: 431, bytes: post(load, { ...json, Cookie: "crumb ".repeat(4096) }) },
  { title: "another path", status: 404, bytes: HttpRequest.encode(target, { path: "/event" }) },
  { title: "another method", status: 405, bytes: HttpRequest.encode(target, { method: "DELETE", path: "/events" }) }
]
// #endregion

/** All of them, by what they have in common. */
export const inputs: Readonly<Record<string, ReadonlyArray<Input>>> = {
  "Good events": good,
  "No JSON": malformed,
  "JSON, but no event": noEvent,
  "Not taken": notTaken,
  "Garbage, and what is not there": garbage
}
