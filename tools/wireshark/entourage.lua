-- The sub-NAI of Mobile IPv4 messages, beside what Wireshark's own dissector for them shows.
--
-- Carrier A is extension 255 (RFC 4064), carrier B extension 134 (RFC 3115) under the enterprise number of the
-- preference; sub-type 1 holds the sub-NAI alone, sub-type 2 the NAI and the sub-NAI together.
--
-- A post-dissector, because no table of Wireshark's Mobile IP dissector can be joined.

local entourage = Proto("entourage", "Entourage session")

entourage.prefs.sub_nai_vendor = Pref.uint("Enterprise number of carrier B", 0,
    "What sub_nai_vendor says in the agents' configuration; 0: only carrier A is looked for")

local sub_nai_field = ProtoField.string("entourage.sub_nai", "Sub-NAI", base.UNICODE)
local nai_field = ProtoField.string("entourage.nai", "NAI", base.UNICODE, "As extension 131 or sub-type 2 says")
local carrier_field = ProtoField.string("entourage.carrier", "Carrier", base.ASCII, "A: extension 255, B: extension 134")
local sub_type_field = ProtoField.uint16("entourage.sub_type", "Sub-type", base.DEC,
    { [1] = "sub-NAI", [2] = "NAI and sub-NAI" })
entourage.fields = { sub_nai_field, nai_field, carrier_field, sub_type_field }

local malformed = ProtoExpert.new("entourage.malformed", "Malformed sub-NAI",
    expert.group.MALFORMED, expert.severity.ERROR)
entourage.experts = { malformed }

local mip = Field.new("mip")

-- Octets in front of the extensions, by message type (RFC 5944 3.3 and 3.4, RFC 3543 3.3 and 3.4).
local FIXED = { [1] = 24, [3] = 20, [7] = 20, [15] = 12 }
-- Extensions with a 16-bit length at +2 (RFC 5944 1.10, RFC 3115 2.1).
local LONG = { [36] = true, [38] = true, [40] = true, [41] = true, [42] = true, [43] = true, [47] = true, [48] = true,
               [50] = true, [127] = true }
local PAD, NAI, NORMAL_VENDOR, EXPERIMENTAL = 0, 131, 134, 255
local AUTHENTICATION = { [32] = true, [33] = true, [34] = true, [36] = true }
local LONGEST = 64

-- What is wrong with the octets of a sub-NAI; nil if nothing is.
local function complaint(octets)
    if #octets == 0 or #octets > LONGEST then
        return string.format("sub-NAI of %d octets", #octets)
    end
    local at = 1
    while at <= #octets do
        local first = octets:byte(at)
        local length, point, least = 1, first, 0
        if first >= 0xf0 and first < 0xf5 then
            length, point, least = 4, first % 0x08, 0x10000
        elseif first >= 0xe0 and first < 0xf0 then
            length, point, least = 3, first % 0x10, 0x800
        elseif first >= 0xc2 and first < 0xe0 then
            length, point, least = 2, first % 0x20, 0x80
        elseif first >= 0x80 then
            return "sub-NAI is not UTF-8"
        end
        for next = at + 1, at + length - 1 do
            local octet = octets:byte(next)
            if octet == nil or octet < 0x80 or octet >= 0xc0 then
                return "sub-NAI is not UTF-8"
            end
            point = point * 0x40 + octet % 0x40
        end
        if point < least or point > 0x10ffff or (point >= 0xd800 and point < 0xe000) then
            return "sub-NAI is not UTF-8"
        end
        if point < 0x20 or (point >= 0x7f and point < 0xa0) then
            return "sub-NAI with a control character"
        end
        at = at + length
    end
    return nil
end

-- The octets of a range that may be empty: TvbRange:raw() will not have that.
local function octets_of(tvb, at, length)
    return length > 0 and tvb:raw(at, length) or ""
end

-- Shows one carrier whose value is `length` octets at `at`. Returns the sub-NAI if it is a good one.
local function show(tvb, tree, carrier, whole, type_range, at, length, nai)
    local shown, sub_type = tree:add(entourage, whole), type_range:uint()
    shown:add(carrier_field, whole, carrier)
    shown:add(sub_type_field, type_range, sub_type)
    local session_nai = nai and octets_of(tvb, nai.at, nai.length)
    local nai_at, nai_length = nai and nai.at, nai and nai.length
    if sub_type == 2 then
        local inner = length > 0 and tvb:range(at, 1):uint()
        if not inner or inner + 1 > length then
            shown:add_proto_expert_info(malformed, "sub-NAI of sub-type 2 ends within its NAI")
            return nil
        end
        nai_at, nai_length = at + 1, inner
        at, length = at + 1 + inner, length - 1 - inner
        if session_nai and session_nai ~= octets_of(tvb, nai_at, nai_length) then
            shown:add_proto_expert_info(malformed, "sub-NAI of sub-type 2 names another NAI")
        end
    end
    if nai_length and nai_length > 0 then
        local item = shown:add_packet_field(nai_field, tvb:range(nai_at, nai_length), ENC_UTF_8)
        if sub_type ~= 2 then
            item:set_generated()
        end
    end
    local why = complaint(octets_of(tvb, at, length))
    if length > 0 then
        shown:add_packet_field(sub_nai_field, tvb:range(at, length), ENC_UTF_8)
    end
    if why then
        shown:add_proto_expert_info(malformed, why)
        return nil
    end
    local sub_nai = tvb:range(at, length):string(ENC_UTF_8)
    shown:append_text(": " .. sub_nai)
    return sub_nai
end

-- The sub-NAI in the extension at `at`, whose body is `length` octets from `body` on; nil if it is none.
local function carried(tvb, kind, body, length)
    if kind == EXPERIMENTAL and length >= 1 then
        return "A", tvb:range(body, 1), body + 1, length - 1
    end
    local vendor = entourage.prefs.sub_nai_vendor
    if kind == NORMAL_VENDOR and length >= 8 and vendor ~= 0 and tvb:range(body + 2, 4):uint() == vendor then
        return "B", tvb:range(body + 6, 2), body + 8, length - 8
    end
    return nil
end

-- One Mobile IP message from `start` to `finish`.
local function message(tvb, start, finish, pinfo, tree)
    local fixed = FIXED[tvb:range(start, 1):uint()]
    if not fixed then
        return
    end
    local at, nai, sub_nais, authenticated = start + fixed, nil, 0, false
    while at < finish do
        local kind = tvb:range(at, 1):uint()
        if kind == PAD then
            at = at + 1
        else
            local header = LONG[kind] and 4 or 2
            if at + header > finish then
                return
            end
            local length = header == 4 and tvb:range(at + 2, 2):uint() or tvb:range(at + 1, 1):uint()
            if at + header + length > finish then
                return -- Wireshark's own dissector says so
            end
            local carrier, type_range, value_at, value_length = carried(tvb, kind, at + header, length)
            if kind == NAI then
                nai = nai or { at = at + header, length = length }
            elseif carrier and type_range:uint() >= 1 and type_range:uint() <= 2 then
                local whole = tvb:range(at, header + length)
                local sub_nai = show(tvb, tree, carrier, whole, type_range, value_at, value_length, nai)
                if sub_nai then
                    pinfo.cols.info:append(" [" .. sub_nai .. "]")
                end
                -- Behind the first authentication a foreign agent may have put one of its own.
                sub_nais = sub_nais + (authenticated and 0 or 1)
                if sub_nais > 1 and not authenticated then
                    tree:add_proto_expert_info(malformed, "two sub-NAIs")
                end
            end
            authenticated = authenticated or AUTHENTICATION[kind] or false
            at = at + header + length
        end
    end
end

function entourage.dissector(tvb, pinfo, tree)
    for _, found in ipairs({ mip() }) do
        -- In a fragmented packet the octets of the message are not those of the frame: ask for theirs.
        local octets = found.range
        message(octets:tvb(), 0, octets:len(), pinfo, tree)
    end
end

register_postdissector(entourage)
