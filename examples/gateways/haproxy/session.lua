-- Asks the session validator about a request, and answers the client itself where that says no.

-- What an allow carries, and the variables haproxy.cfg takes it from.
local fields = { "subject", "id", "tenant", "acr", "auth-time", "expires", "scope" }

-- Fields that belong to one connection, or to the body that isn't sent along.
local not_passed = {
    ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true,
    ["upgrade"] = true, ["keep-alive"] = true, ["te"] = true, ["trailer"] = true,
    ["proxy-connection"] = true, ["expect"] = true, ["host"] = true,
    ["x-original-method"] = true, ["x-original-url"] = true,
}

local function answer(txn, status, headers, body)
    local reply = txn:reply()
    reply:set_status(status)
    for name, values in pairs(headers) do
        for _, value in pairs(values) do
            reply:add_header(name, value)
        end
    end
    reply:set_body(body or "")
    txn:done(reply)
end

local function unavailable(txn)
    answer(txn, 503, {
        ["content-type"] = { "application/problem+json" },
        ["cache-control"] = { "no-store" },
        ["retry-after"] = { "1" },
    }, '{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable"}')
end

core.register_action("session_ask", { "http-req" }, function(txn, validator, policy)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not not_passed[name] then
            -- Every line of a field that came several times: the validator refuses doubled
            -- credentials, which must not look like one here.
            local all = {}
            local index = 0
            while values[index] ~= nil do
                all[#all + 1] = values[index]
                index = index + 1
            end
            headers[name] = all
        end
    end
    headers["x-original-method"] = { txn.sf:method() }
    headers["x-original-url"] = { "http://" .. (txn.sf:req_hdr("host", 1) or "") .. txn.sf:pathq() }

    local reply = core.httpclient():get({
        url = "http://" .. validator .. "/v1/authz/original/" .. policy,
        headers = headers,
        -- HAProxy tries four times in all.
        timeout = 500,
    })
    if reply == nil or reply.status == nil or reply.status == 0 then
        return unavailable(txn)
    end
    if reply.status == 200 then
        for _, field in ipairs(fields) do
            local values = reply.headers["x-session-" .. field]
            -- An allow carries all of them; one that doesn't isn't from our validator.
            if values == nil or values[0] == nil then
                return unavailable(txn)
            end
            txn:set_var("txn.session_" .. field:gsub("-", "_"), values[0])
        end
        return
    end
    if reply.status ~= 401 and reply.status ~= 403 then
        return unavailable(txn)
    end
    local passed = {}
    for _, name in ipairs({ "content-type", "cache-control", "www-authenticate", "x-session-error" }) do
        if reply.headers[name] ~= nil then
            passed[name] = { reply.headers[name][0] }
        end
    end
    answer(txn, reply.status, passed, reply.body)
end, 2)
