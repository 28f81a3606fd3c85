/** Valid requests of all kinds: what the fuzz test begins with. */

const head = (...lines: ReadonlyArray<string>): string => `${lines.join("\r\n")}\r\n\r\n`

const get = (target: string, ...fields: ReadonlyArray<string>): string =>
  head(`GET ${target} HTTP/1.1`, "Host: example.com", ...fields)

const post = (target: string, body: string, ...fields: ReadonlyArray<string>): string =>
  head(`POST ${target} HTTP/1.1`, "Host: example.com", `Content-Length: ${body.length}`, ...fields) + body

const chunked = (method: string, chunks: string, ...fields: ReadonlyArray<string>): string =>
  head(`${method} /chunks HTTP/1.1`, "Host: a", "Transfer-Encoding: chunked", ...fields) + chunks

const hello = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"

const webSocket = get(
  "/ws",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)

const seeds: ReadonlyArray<string> = [
  get("/"),
  get("/a/b;c=1/%C3%A9?q=1&r=%20"),
  get("/", "User-Agent: fuzz", "Accept: text/html, */*;q=0.8", "Accept-Encoding: gzip, br", "Cookie: a=b; c=d"),
  get("/", "Connection: close"),
  get("/", "X-Empty:", "X-Spaces:  a  b  ", "X-High: \xe9\xff", 'X-Quoted: "a,b\\"c"'),
  get("/", ...Array.from({ length: 80 }, (_, i) => `X-${i}: ${i}`)),
  get("/", `X-Long: ${"y".repeat(12_000)}`),
  get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
  get("/livez"),
  get("/missing/../..//x"),
  get("http://example.com/absolute?x=1"),
  get("http://other.example:8080/"),
  `\r\n${get("/after-an-empty-line")}`,
  head("HEAD /head HTTP/1.1", "Host: [::1]:8080"),
  head("DELETE /thing HTTP/1.1", "Host: 127.0.0.1:80"),
  head("OPTIONS * HTTP/1.1", "Host: example.com"),
  head("OPTIONS /thing HTTP/1.1", "Host: example.com", "Content-Length: 0"),
  head("CONNECT example.com:443 HTTP/1.1", "Host: example.com:443"),
  head("TRACE / HTTP/1.1", "Host: example.com"),
  head("GET /old HTTP/1.0"),
  head("GET /old HTTP/1.0", "Host: a", "Connection: keep-alive"),
  head("POST /old HTTP/1.0", "Content-Length: 3") + "abc",
  post("/body", "hello world"),
  post("/body", ""),
  post("/body", "x".repeat(5000)),
  post("/body", "\u0000\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  post("/json", '{"name":"a","value":[1,2.5e3,null,true,"\\u00e9"]}', "Content-Type: application/json"),
  post("/json", "[1]", 'Content-Type: application/json; charset="utf-8"'),
  post("/body", "hello", "Expect: 100-continue"),
  post("/locked", "secret"),
  post("/locked", "x".repeat(100), "Expect: 100-continue"),
  chunked("POST", hello),
  chunked("PUT", 'a;name=value;flag;quoted="a;b\\""\r\n0123456789\r\n000\r\n\r\n'),
  chunked("PATCH", "5\r\nhello\r\n0\r\nX-Trailer: 1\r\nExpires: never\r\n\r\n", "Trailer: X-Trailer"),
  chunked("POST", hello, "Expect: 100-continue"),
  chunked("POST", hello, "Connection: close"),
  get("/1") + get("/2"),
  get("/1") + post("/2", "two") + get("/3"),
  post("/1", "one") + chunked("POST", hello) + head("HEAD /3 HTTP/1.1", "Host: a"),
  chunked("POST", hello) + get("/2", "Connection: close"),
  head("HEAD /1 HTTP/1.1", "Host: a") + get("/2"),
  post("/locked", "abc") + get("/2"),
  webSocket,
  `${webSocket}\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\x00\x00\x00\x00`
]

/** The seeds as bytes. */
export const corpus: ReadonlyArray<Buffer> = seeds.map((seed) => Buffer.from(seed, "latin1"))

/** Pieces that mean something to a parser, or to one that is careless. */
export const dictionary: ReadonlyArray<Buffer> = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  "\n\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\r\n ",
  "\x0b",
  "\x7f",
  "\x85",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding:\tchunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  " Transfer-Encoding: chunked\r\n",
  "Content-Length: 0\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: +5\r\n",
  "Content-Length: 5, 5\r\n",
  "Content-Length : 5\r\n",
  "Host: b\r\n",
  "Host: a b/c\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "Connection: upgrade\r\nUpgrade: websocket\r\n",
  "Upgrade: h2c\r\n",
  "Expect: 100-continue\r\n",
  "Expect: 200-maybe\r\n",
  "Content-Encoding: gzip\r\n",
  "HTTP/1.0",
  "HTTP/0.9",
  "HTTP/1.2",
  "HTTP/2.0",
  "HEAD ",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "0\r\n\r\n",
  "5\r\nhello\r\n",
  "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
].map((piece) => Buffer.from(piece, "latin1"))

/** Numbers at the edges of what a parser may hold, and what is no number to a strict one. */
export const numbers: ReadonlyArray<Buffer> = [
  "",
  "0",
  "00",
  "1",
  "-1",
  "+1",
  "1.0",
  "1e3",
  "0x5",
  "5_0",
  "7fffffff",
  "80000000",
  "ffffffff",
  "100000000",
  "2147483647",
  "2147483648",
  "4294967296",
  "9007199254740993",
  "9223372036854775807",
  "18446744073709551615",
  "18446744073709551616",
  "ffffffffffffffff",
  "10000000000000000",
  "0000000000000000000000000000000000000005"
].map((number) => Buffer.from(number, "latin1"))
