/** One of the servers that are overloaded: `node overload.ts <name> [options as JSON]`. Prints its URL. */
const [, , name, options] = process.argv

if (name === "ours") (await import("../overload/servers/ours.ts")).run(options)
else if (name === "stock") (await import("../overload/servers/stock.ts")).run()
else if (name === "fastify" || name === "under-pressure" || name === "piscina") {
  await (await import("../overload/servers/fastify.ts")).run(name, options)
} else throw new Error(`there is no server ${name}`)
