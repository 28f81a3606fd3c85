/** `import "node:http"` evaluates all its exports, one of which loads undici: 20 ms at the start of every thread. */
export const http = process.getBuiltinModule("node:http")
