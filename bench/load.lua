-- A wrk script that sends the requests of a file in turn. A line of the file is METHOD, path and body, separated by
-- tabs. At the end it prints its report as one line of JSON.

function init(arguments)
  requests, at = {}, 0
  for line in io.lines(arguments[1]) do
    local method, path, body = line:match("^(%S+)\t([^\t]+)\t?(.*)$")
    if body ~= "" then wrk.headers["Content-Type"] = "application/json" else body = nil end
    wrk.method, wrk.path, wrk.body = method, path, body
    requests[#requests + 1] = wrk.format()
  end
  if #requests == 1 then
    request = nil  -- wrk then repeats the request itself, at less than half the cost of a call of Lua
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors, slow, at = summary.errors, 0, #latency
  while at > 0 do
    local us, count = latency(at)
    if us <= 500000 then break end
    slow, at = slow + count, at - 1
  end
  io.write(string.format(
    '\n{"requests": %d, "duration_s": %.6f, "p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, ' ..
    '"over_500_ms": %d, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, slow,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
