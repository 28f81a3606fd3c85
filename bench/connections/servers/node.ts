/** Plain `node:http`, the way most would write it. */
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import { promisify } from "node:util"
import { answerQuestions } from "../control.ts"
import { chunk, chunkBytes, chunks, wholeResponse } from "../settings.ts"

const shared = wholeResponse()

function* fresh() {
  for (let index = 0; index < chunks; index++) yield chunk(index)
}

const collectText = (request: IncomingMessage, done: (text: string) => void): void => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => done(Buffer.concat(chunks).toString()))
}

const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
  switch (request.url) {
    case "/json":
      return collectText(request, (text) => response.end(JSON.parse(text) === undefined ? "" : "ok"))
    case "/text":
      return collectText(request, () => response.end("ok"))
    case "/shared":
      return void response.end(shared)
    case "/fresh":
      return void Readable.from(fresh(), { objectMode: false, highWaterMark: chunkBytes }).pipe(response)
    default:
      response.end("ok")
  }
}

export const run = (): void => {
  const server = createServer({ keepAliveTimeout: 300_000 }, onRequest)
  answerQuestions(promisify(server.getConnections.bind(server)))
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  process.once("SIGTERM", () => process.exit(0))
}
