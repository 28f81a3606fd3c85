/** A server, as far as a stage can tell, that does not end when it is told to. */
process.on("SIGTERM", () => console.log("it has been told"))
setInterval(() => {}, 1000)
console.log("it listens on http://127.0.0.1:1")
