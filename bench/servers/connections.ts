/**
 * One of the servers whose memory is compared: `node connections.ts <name>`. Each process loads the modules of all of them, so that they
 * differ in nothing but the server: memory that was free after the start would be counted for those that load less.
 */
import * as node from "../connections/servers/node.ts"
import * as spillway from "../connections/servers/spillway.ts"
import * as stock from "../connections/servers/stock.ts"

const servers: Readonly<Record<string, { readonly run: () => void }>> = { node, spillway, stock }

servers[process.argv[2]!]!.run()
