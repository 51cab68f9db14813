/**
 * What Valkey does on its side: Lua scripts, each of them atomic. All take three keys and write only to them: the stream; the
 * number of the rows in it that its length does not say, since an entry may hold several (`StreamEntry.ts`): an entry of n rows
 * counts n - 1 there, from its publication to its acknowledgement; and the stream's fence. Where all entries hold one row, or
 * nobody has a lease, there is no such key. None assumes that the stream or the group is there.
 *
 * What a reader asks for carries the fence of its lease (0: it has none), and is refused with `FENCED` and the higher fence where
 * a later owner has been here. Where the fence is missing or lower (a new owner; a Valkey that failed over to an older copy) it is
 * set by the way.
 *
 * Three kinds of consumers are in the group: those that read, and two that never do: `RELEASED` holds what was given back, for whoever
 * asks next, `WAITING` what was postponed.
 */
import { SCRAPE_ROWS_MAX } from "../StreamEntry.ts"
import { script } from "./ValkeyServer.ts"

/** Holds what was given back. The parentheses keep it apart from the names of real consumers. */
const RELEASED = "(released)"
/** Holds what was postponed. */
const WAITING = "(waiting)"

/** ARGV[1] is the fence. It is added to rather than set: that needs no right that the scripts do not need anyway. */
const FENCED = `
local mine = tonumber(ARGV[1])
if mine > 0 then
  local text = redis.call('GET', KEYS[3])
  local seen = text and #text <= 15 and string.match(text, '^%d+$') and tonumber(text) or 0
  if seen > mine then return redis.error_reply('FENCED ' .. text) end
  if text and seen == 0 then redis.call('DEL', KEYS[3]) end
  if seen < mine then redis.call('INCRBY', KEYS[3], string.format('%.0f', mine - seen)) end
end
`

/** How many rows more than one an entry holds, by its fields; whatever somebody else wrote there. */
const MORE_ROWS = `
local function more_rows(fields)
  if #fields ~= 8 or fields[5] ~= 'rows' then return 0 end
  local rows = tonumber(string.match(fields[6], '^[1-9]%d*$'))
  if rows and rows <= ${SCRAPE_ROWS_MAX} then return rows - 1 end
  return 0
end
`

/**
 * Claims what is pending, adds it to entries as {id, times handed out, fields}, and drops what is gone from the stream from the group.
 * Returns how many rows that were, and how many entries to ask for next: one where they hold several rows, else a hundred; nil where
 * nothing was there.
 */
const CLAIM = `${MORE_ROWS}
local function claim(pending, entries)
  local key, group, me = KEYS[1], ARGV[2], ARGV[3]
  local ids, deliveries, rows, count = {}, {}, 0, nil
  for i, one in ipairs(pending) do
    ids[i] = one[1]
    deliveries[one[1]] = one[4]
  end
  for _, entry in ipairs(redis.call('XCLAIM', key, group, me, 0, unpack(ids))) do
    if entry then
      entries[#entries + 1] = {entry[1], deliveries[entry[1]] + 1, entry[2]}
      rows = rows + 1 + more_rows(entry[2])
      count = more_rows(entry[2]) > 0 and 1 or 100
      deliveries[entry[1]] = nil
    end
  end
  for id in pairs(deliveries) do redis.call('XACK', key, group, id) end
  return rows, count
end
`

/**
 * Publishes all entries or none.
 * ARGV: most rows, most bytes, most rows that may be there already, number of rows, then runs of: server_id,
 * exporter_name, count, snapshot × count; or, with a count of 0, the rows of a scrape, and the scrape.
 * Returns {0} | {1, length} over the bound of rows | {2, length, bytes} over the bound of bytes.
 *
 * Asking for the memory in every call costs a few microseconds, whatever the length of the stream: Valkey samples. Where
 * it may not be asked, only the number of rows counts.
 */
export const PUBLISH = script(`
local length = redis.call('XLEN', KEYS[1])
if length == 0 then redis.call('DEL', KEYS[2]) else length = length + tonumber(redis.call('GET', KEYS[2]) or 0) end
if length > tonumber(ARGV[3]) or length + tonumber(ARGV[4]) > tonumber(ARGV[1]) then return {1, length} end
local bytes = redis.pcall('MEMORY', 'USAGE', KEYS[1])
if type(bytes) == 'number' and bytes >= tonumber(ARGV[2]) then return {2, length, bytes} end
local i, more = 5, 0
while i < #ARGV do
  local server, exporter, count = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if count == 0 then
    redis.call('XADD', KEYS[1], '*', 'server_id', server, 'exporter_name', exporter, 'rows', ARGV[i + 3], 'scrape', ARGV[i + 4])
    more = more + tonumber(ARGV[i + 3]) - 1
    i = i + 5
  else
    for j = i + 3, i + 2 + count do
      redis.call('XADD', KEYS[1], '*', 'server_id', server, 'exporter_name', exporter, 'snapshot', ARGV[j])
    end
    i = i + 3 + count
  end
end
if more > 0 then redis.call('INCRBY', KEYS[2], more) end
return {0}
`)

/**
 * Hands out new entries of about so many rows, without waiting. ARGV: fence, group, this consumer, rows.
 * Returns JSON, '' where there is nothing: an array of runs [server_id, exporter_name, [id, snapshot, id, snapshot, …]], and
 * of [id, [field, value, …]] for what looks otherwise. One text costs Node a fraction of thousands of small ones
 * (bench/stream.ts).
 *
 * How many rows an entry holds is known once it is read: it takes one at a time where they hold several, else a thousand.
 */
export const READ = script(`${FENCED}${MORE_ROWS}
local most, rows, count = tonumber(ARGV[4]), 0, 1
local runs, run, server, exporter = {}, nil, nil, nil
while rows < most do
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', count, 'STREAMS', KEYS[1], '>')
  if not reply then break end
  local entries = reply[1][2]
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    if #fields == 6 and fields[1] == 'server_id' and fields[3] == 'exporter_name' and fields[5] == 'snapshot' then
      if run == nil or fields[2] ~= server or fields[4] ~= exporter then
        server, exporter, run = fields[2], fields[4], {}
        runs[#runs + 1] = {server, exporter, run}
      end
      run[#run + 1] = entry[1]
      run[#run + 1] = fields[6]
    else
      runs[#runs + 1] = {entry[1], fields}
      run = nil
    end
    rows = rows + 1 + more_rows(fields)
  end
  if #entries < count then break end
  count = run and math.min(most - rows, 1000) or 1
end
if #runs == 0 then return '' end
return cjson.encode(runs)
`)

/**
 * Acknowledges, and removes what nobody needs any more.
 * ARGV: fence, group, number of ids that the consumer holds, number of others, the ids that it holds, the others, each with the number
 * of rows beyond one that its entry has, then ids acknowledged
 * earlier. What the consumer holds is acknowledged together, the others (which it does not hold, or which have several rows) one
 * by one, and removed at once if they were still to be acknowledged; what was acknowledged earlier is removed one by one too.
 * Returns {how many of the first were acknowledged, the floor}: every entry below the floor is gone. '' where there is no
 * stream.
 *
 * The floor is the lowest id that any group has pending or has not read. Cutting off what lies below it costs a tenth of
 * removing each entry by its id; ids above it wait for it to rise (see the caller), so that an entry that stays pending for
 * long cannot keep the stream from shrinking. No removal touches what another group has not finished.
 */
export const ACKNOWLEDGE = script(`${FENCED}
local key, group = KEYS[1], ARGV[2]
local last = 4 + tonumber(ARGV[3])
local acknowledged = 0
for i = 5, last, 1000 do
  acknowledged = acknowledged + redis.call('XACK', key, group, unpack(ARGV, i, math.min(i + 999, last)))
end
local remove, fewer = {}, 0
local earlier = last + 2 * tonumber(ARGV[4])
for i = last + 1, earlier, 2 do
  if redis.call('XACK', key, group, ARGV[i]) == 1 then
    remove[#remove + 1] = ARGV[i]
    fewer = fewer + tonumber(ARGV[i + 1])
  end
end
for i = earlier + 1, #ARGV do remove[#remove + 1] = ARGV[i] end
if fewer > 0 and redis.call('INCRBY', KEYS[2], -fewer) <= 0 then redis.call('DEL', KEYS[2]) end
if redis.call('EXISTS', key) == 0 then return {acknowledged, ''} end

-- Ids are compared as text: a number in Lua holds 53 bits of the 64.
local function below(a, b)
  local ams, aseq = string.match(a, '(%d+)-(%d+)')
  local bms, bseq = string.match(b, '(%d+)-(%d+)')
  if ams == bms then ams, bms = aseq, bseq end
  if #ams ~= #bms then return #ams < #bms end
  return ams < bms
end
local function after(id)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  if #seq > 15 then return id end
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end
local own, others
for _, info in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local of = {}
  for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
  local first = after(of['last-delivered-id'])
  if of.pending > 0 then
    local pending = redis.call('XPENDING', key, of.name)[2]
    if below(pending, first) then first = pending end
  end
  if of.name == group then own = first
  elseif others == nil or below(first, others) then others = first end
end
if own == nil then return {acknowledged, ''} end

local floor = own
if others ~= nil and below(others, own) then floor = others end
redis.call('XTRIM', key, 'MINID', floor)
for _, id in ipairs(remove) do
  if others == nil or below(id, others) then redis.call('XDEL', key, id) end
end
return {acknowledged, floor}
`)

/**
 * Takes over what was given back and what silent consumers hold, and removes consumers that are silent and hold nothing.
 * ARGV: fence, group, this consumer, at most about so many rows, silent means idle for so many milliseconds.
 * Returns {1 if there is more, entries as {id, times handed out, fields}, 1 if there is something that was postponed, which stays};
 * one is taken at a time where they hold several rows, else a hundred. Entries that are gone from the stream are
 * dropped from the group.
 */
export const TAKE_OVER = script(`${FENCED}${CLAIM}
local key, group, me, most, silent = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local entries, rows, more, count, waits = {}, 0, 0, 1, 0
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
  local of = {}
  for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
  if of.name == '${WAITING}' and of.pending > 0 then
    waits = 1
  elseif of.name ~= me and (of.name == '${RELEASED}' or of.name == '${WAITING}' or of.idle >= silent) then
    local left = of.pending
    while left > 0 and rows < most do
      local pending = redis.call('XPENDING', key, group, '-', '+', math.min(most - rows, count), of.name)
      if #pending == 0 then break end
      left = left - #pending
      local claimed, following = claim(pending, entries)
      rows, count = rows + claimed, following or count
    end
    if left > 0 then more = 1 else redis.call('XGROUP', 'DELCONSUMER', key, group, of.name) end
  end
end
return {more, entries, waits}
`)

/**
 * Hands out again some of what this consumer holds already.
 * ARGV: fence, group, this consumer, then ids and how often each was handed out, in turn (at most 1 000 ids).
 * Returns entries as {id, times handed out, fields}.
 */
export const TAKE_AGAIN = script(`${FENCED}
local key, group, me = KEYS[1], ARGV[2], ARGV[3]
local entries, ids, deliveries = {}, {}, {}
for i = 4, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  deliveries[ARGV[i]] = tonumber(ARGV[i + 1])
end
for _, entry in ipairs(redis.call('XCLAIM', key, group, me, 0, unpack(ids))) do
  if entry then
    entries[#entries + 1] = {entry[1], deliveries[entry[1]] + 1, entry[2]}
    deliveries[entry[1]] = nil
  end
end
for id in pairs(deliveries) do redis.call('XACK', key, group, id) end
return entries
`)

/** Hands ids that this consumer holds to one that never reads. ARGV: fence, group, this consumer, ids. Returns how many it handed over. */
const handing = (to: string, options: string) =>
  script(`${FENCED}
local key, group, me = KEYS[1], ARGV[2], ARGV[3]
local handed = 0
for i = 4, #ARGV do
  if redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1, me)[1] then
    redis.call('XCLAIM', key, group, '${to}', 0, ARGV[i], ${options})
    handed = handed + 1
  end
end
return handed
`)

/** Gives ids back. */
export const RELEASE = handing(RELEASED, "'JUSTID'")

/** Postpones ids; how often they were handed out is counted anew. */
export const POSTPONE = handing(WAITING, "'RETRYCOUNT', 0, 'JUSTID'")

/**
 * Takes some of what was postponed, in order. ARGV: fence, group, this consumer, from which id on ('-': the first), at most about so
 * many rows. Returns {from where on to take the next, '' where these are the last, entries as {id, times handed out, fields}}.
 * Entries that are gone from the stream are dropped from the group.
 */
export const TAKE_WAITING = script(`${FENCED}${CLAIM}
local key, group, from, most = KEYS[1], ARGV[2], ARGV[4], tonumber(ARGV[5])
local entries, rows, count = {}, 0, 1
while rows < most do
  local pending = redis.call('XPENDING', key, group, from, '+', math.min(most - rows, count), '${WAITING}')
  if #pending == 0 then return {'', entries} end
  from = '(' .. pending[#pending][1]
  local claimed, following = claim(pending, entries)
  rows, count = rows + claimed, following or count
end
return {from, entries}
`)

/**
 * Gives back up to 1 000 of all that this consumer holds, and removes the consumer when it holds nothing.
 * ARGV: fence, group, this consumer. Returns 1 if there is more.
 */
export const LEAVE = script(`${FENCED}
local key, group, me = KEYS[1], ARGV[2], ARGV[3]
local pending = redis.call('XPENDING', key, group, '-', '+', 1000, me)
if #pending == 0 then
  redis.call('XGROUP', 'DELCONSUMER', key, group, me)
  return 0
end
local gone = {}
for _, one in ipairs(pending) do gone[one[1]] = true end
local ids = {}
for i, one in ipairs(pending) do ids[i] = one[1] end
ids[#ids + 1] = 'JUSTID'
for _, id in ipairs(redis.call('XCLAIM', key, group, '${RELEASED}', 0, unpack(ids))) do gone[id] = nil end
for id in pairs(gone) do redis.call('XACK', key, group, id) end
return 1
`)

/** Removes a stream that holds nothing, with what is beside it. ARGV: fence. Returns 1 if it did. */
export const RETIRE = script(`${FENCED}
if redis.call('XLEN', KEYS[1]) > 0 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
`)

/**
 * ARGV: group. Returns {rows, pending rows, bytes or -1, id of the first entry or '', the server's clock in milliseconds, rows that
 * were postponed}. Where entries hold several rows, the first thousand that are pending or postponed are looked at, and others
 * count as one row.
 */
export const STATS = script(`${MORE_ROWS}
local key, group = KEYS[1], ARGV[1]
local pending, waiting = 0, 0
local summary = redis.pcall('XPENDING', key, group)
if type(summary[1]) == 'number' then
  pending = summary[1]
  for _, consumer in ipairs(summary[4] or {}) do
    local count = tonumber(consumer[2])
    if consumer[1] == '${WAITING}' then waiting = count end
    if consumer[1] == '${WAITING}' or consumer[1] == '${RELEASED}' then pending = pending - count end
  end
end
local length = redis.call('XLEN', key)
local more = length > 0 and tonumber(redis.call('GET', KEYS[2]) or 0) or 0
if more > 0 and pending + waiting > 0 then
  for _, one in ipairs(redis.call('XPENDING', key, group, '-', '+', 1000)) do
    local entry = one[2] ~= '${RELEASED}' and redis.call('XRANGE', key, one[1], one[1])[1]
    local further = entry and more_rows(entry[2]) or 0
    if one[2] == '${WAITING}' then waiting = waiting + further else pending = pending + further end
  end
end
local bytes = redis.pcall('MEMORY', 'USAGE', key)
if bytes == false then bytes = 0 elseif type(bytes) ~= 'number' then bytes = -1 end
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
local time = redis.call('TIME')
return {length + more, pending, bytes, first and first[1] or '', time[1] .. string.sub('000000' .. time[2], -6, -4), waiting}
`)
