-- For wrk: a POST with a body that fits into the packet of its head.
wrk.method = "POST"
wrk.body = string.rep("x", 100)
wrk.headers["Content-Type"] = "text/plain"
