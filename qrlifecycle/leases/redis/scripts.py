"""What is done at the Redis server, in one step each: six scripts in Lua.

Keys, all with one tag, so that they are in one slot of a cluster:

``{qrl}:session:<id>``
    A process, as long as it lives: it is renewed by one command, whatever the process holds.
``{qrl}:lease:<key>``
    A hash: who holds the lease (``holder``), of which ``session`` and ``process``, with which
    ``token``, ``since`` when, on which ``machine``; and who came to take it over (``claim``,
    ``claim_process``). It is good as long as its session is, so nothing is renewed for it.
``{qrl}:asks:<process>``
    A hash: which of its holders were asked to leave, of which key and by whom, in two lines; for
    what is published may be lost.
``{qrl}:server``
    A hash: the server that grants (``run``), and until when it grants nothing new (``until``).
``{qrl}:token``
    The last token.

What is published, to ``{qrl}:to:<process>``, is a hint and no more: a JSON array of a word
(``leave``, ``free``, ``superseded``), a key and a holder; and, but for ``free``, the name of the
machine that takes over, which is empty where somebody asked the holder to leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1

__all__ = ["ACQUIRE", "ASK", "BEGIN", "FIND", "RENEW", "UPDATE", "Script"]

KEPT = 2 * 24 * 3600 * 1000
"""Milliseconds for which a lease that is known to its holder is kept without a word: longer than
`CONFIRM_AGAIN`, after which each is confirmed once more. It only bounds what dead processes leave
behind."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name by which a server knows it once it has run it."""

    text: str = field(repr=False)
    repeatable: bool = True
    """Whether it may be run once more where nobody knows whether it was run: it leaves the same,
    and its answer is as good."""
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


# After a restart or a failover a server knows nothing, or old things. So for one time to live it
# grants nothing new, and those who hold a lease say so again; NFSv4 calls it the grace period. The
# id of a run tells one server, and one run of it, from another.
HEAD = f"""
local prefix, ttl = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function grace()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local known = redis.call('HMGET', prefix .. 'server', 'run', 'until')
  if known[1] ~= run then
    redis.call('HSET', prefix .. 'server', 'run', run, 'until', now + ttl)
    return ttl
  end
  return tonumber(known[2]) - now
end
local function alive(session)
  return session and redis.call('EXISTS', prefix .. 'session:' .. session) == 1
end
-- What was sent under an earlier session may be heard late, when it was given up: a name is greater
-- than that of the session before.
local function overtaken(session, known)
  return known and known > session and alive(known)
end
-- It is a hint and no more: where the user may not publish, all else is done as it is.
local function tell(process, word, key, holder, by)
  redis.pcall('PUBLISH', prefix .. 'to:' .. process, cjson.encode({{word, key, holder, by}}))
end
local function ask(process, key, holder, by)
  redis.call('HSET', prefix .. 'asks:' .. process, holder, key .. '\\n' .. by)
  redis.call('PEXPIRE', prefix .. 'asks:' .. process, 4 * ttl)
  tell(process, 'leave', key, holder, by)
end
local function keep(lease) redis.call('PEXPIRE', lease, {KEPT}) end
"""

BEGIN = Script(
    HEAD
    + """
-- 3 session, 4 process, 5 machine, 6 first or more, then: key, holder, token of what the process
-- still holds. Gives back the holders of what somebody else has by now; false if there was more to
-- say and there is no such session: what was said before is not known any more.
local session, process, machine = ARGV[3], ARGV[4], ARGV[5]
grace()
if ARGV[6] == 'first' then
  redis.call('SET', prefix .. 'session:' .. session, process, 'PX', ttl)
elseif redis.call('PEXPIRE', prefix .. 'session:' .. session, ttl) == 0 then
  return false
end
local last = tonumber(redis.call('GET', prefix .. 'token')) or 0
local greatest
local gone = {}
for i = 7, #ARGV, 3 do
  local lease, holder, token = prefix .. 'lease:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HMGET', lease, 'holder', 'since', 'session')
  if known[1] and known[1] ~= holder then
    gone[#gone + 1] = holder
  elseif not overtaken(session, known[3]) then
    redis.call('HSET', lease, 'holder', holder, 'session', session, 'process', process,
      'machine', machine, 'token', token, 'since', known[2] or now)
    keep(lease)
    if tonumber(token) > last then last, greatest = tonumber(token), token end
  end
end
if greatest then redis.call('SET', prefix .. 'token', greatest) end
return gone
"""
)
"""A session, new or anew."""

RENEW = Script(
    HEAD
    + """
-- 3 session, 4 process. Gives back what was asked for of its holders; false if there is no session.
if redis.call('PEXPIRE', prefix .. 'session:' .. ARGV[3], ttl) == 0 then return false end
local asks = prefix .. 'asks:' .. ARGV[4]
local asked = redis.call('HGETALL', asks)
if #asked > 0 then redis.call('DEL', asks) end
return asked
""",
    repeatable=False,  # who was asked to leave is said once
)
"""A session goes on."""

ACQUIRE = Script(
    HEAD
    + """
-- 3 session, 4 process, 5 machine, 6 key, 7 holder, 8 take_over or reject, 9 whether it claimed it
local session, process, machine = ARGV[3], ARGV[4], ARGV[5]
local key, holder, mode, claimed = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
if not alive(session) then return {'no session'} end
local wait = grace()
if wait > 0 then return {'grace', wait} end
local lease = prefix .. 'lease:' .. key
local known = redis.call('HMGET', lease, 'holder', 'session', 'process', 'token', 'claim',
  'claim_process', 'machine')
if known[1] == holder then  -- the answer was lost, or came too late to count
  if not overtaken(session, known[2]) then
    redis.call('HSET', lease, 'session', session, 'process', process)
  end
  return {'held', known[4]}
end
if known[1] and alive(known[2]) then
  if mode == 'reject' then return {'taken'} end
  if known[5] ~= holder then
    if claimed == '1' then return {'superseded'} end
    if known[5] then tell(known[6], 'superseded', key, known[5], machine) end
    redis.call('HSET', lease, 'claim', holder, 'claim_process', process)
  end
  ask(known[3], key, known[1], machine)
  return {'wait', redis.call('PTTL', prefix .. 'session:' .. known[2]), known[7]}
end
local token = math.max(time[1] * 1000000 + time[2],
  (tonumber(redis.call('GET', prefix .. 'token')) or 0) + 1)
token = string.format('%.0f', token)
redis.call('SET', prefix .. 'token', token)
redis.call('DEL', lease)
redis.call('HSET', lease, 'holder', holder, 'session', session, 'process', process,
  'machine', machine, 'token', token, 'since', now)
redis.call('PEXPIRE', lease, 2 * ttl)  -- until its holder is known to know
return {'held', token}
"""
)
"""A lease, if nobody has it; else its holder is asked to leave."""

UPDATE = Script(
    HEAD
    + """
-- groups of 3: a word, key, holder; in order
for i = 3, #ARGV, 3 do
  local word, key, holder = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local lease = prefix .. 'lease:' .. key
  local known = redis.call('HMGET', lease, 'holder', 'claim', 'claim_process', 'process')
  if word == 'end' then
    redis.call('DEL', prefix .. 'session:' .. holder, prefix .. 'asks:' .. key)
  elseif word == 'confirm' then
    if known[1] == holder then keep(lease) end
  else
    if known[2] == holder then redis.call('HDEL', lease, 'claim', 'claim_process') end
    if known[1] == holder then
      redis.call('DEL', lease)
      redis.call('HDEL', prefix .. 'asks:' .. known[4], holder)
      if known[2] and known[2] ~= holder then tell(known[3], 'free', key, known[2]) end
    end
  end
end
return 1
"""
)
"""Many confirmations and releases at once."""

FIND = Script(
    HEAD
    + """
-- 3 key. In the grace period nobody knows of whom nothing is known.
local known = redis.call('HMGET', prefix .. 'lease:' .. ARGV[3], 'session', 'machine', 'since',
  'token')
if alive(known[1]) then return {'holder', known[2], known[3], known[4]} end
local wait = grace()
if wait > 0 then return {'grace', wait} end
return {'nobody'}
"""
)
"""Who holds a lease."""

ASK = Script(
    HEAD
    + """
-- 3 key
local known = redis.call('HMGET', prefix .. 'lease:' .. ARGV[3], 'session', 'process', 'holder')
if alive(known[1]) then
  ask(known[2], ARGV[3], known[3], '')
  return {'holder'}
end
local wait = grace()
if wait > 0 then return {'grace', wait} end
return {'nobody'}
"""
)
"""Ask the holder of a lease to leave."""
