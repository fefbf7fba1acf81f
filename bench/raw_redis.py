"""The raw loop on Redis: rows in hashes, a line of ready jobs, two scripts and a bare program.

What the library cannot beat, and is measured against: claim a batch, decode, call, encode, finish,
fenced. Leases are in a list, or nobody would find what a dead worker holds. The ends of a batch
and the claim of the next go out together. Ids are UUIDs, as any program would use, made before
the clock starts.
"""

import json
import socket
import time
import uuid
from collections.abc import Sequence
from typing import Any

import hiredis

from bench.tasks import Clock
from offload.store.redis.address import Address, address_of

BATCH = 256
CLAIM = """
local head = redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1)
if #head == 0 then return {} end
redis.call('ZREM', KEYS[1], unpack(head))
local rows, reply, put, leases = redis.call('HMGET', KEYS[2], unpack(head)), {}, {}, {}
local payloads = redis.call('HMGET', KEYS[3], unpack(head))
for place, id in ipairs(head) do
  local state, lease, attempt, started = struct.unpack('>BI4I4i8', rows[place])
  put[2 * place - 1] = id
  put[2 * place] = struct.pack('>BI4I4i8', 2, lease + 1, attempt + 1, ARGV[1])
  reply[3 * place - 2], reply[3 * place - 1], reply[3 * place] = id, lease + 1, payloads[place]
  leases[2 * place - 1], leases[2 * place] = ARGV[1] + 30000, id
end
redis.call('HSET', KEYS[2], unpack(put))
redis.call('ZADD', KEYS[6], unpack(leases))
return reply
"""
FINISH = """
local ids, put, results, ended = {}, {}, {}, {}
for place = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[place] end
local rows = redis.call('HMGET', KEYS[2], unpack(ids))
for number, id in ipairs(ids) do
  local state, lease, attempt, started = struct.unpack('>BI4I4i8', rows[number])
  local place = 3 * number - 1
  if state == 2 and lease == tonumber(ARGV[place + 1]) then
    local n = #put
    put[n + 1], put[n + 2] = id, struct.pack('>BI4I4i8', 3, lease, attempt, started)
    results[n + 1], results[n + 2] = id, ARGV[place + 2]
    ended[n + 1], ended[n + 2] = ARGV[1], id
  end
end
redis.call('HSET', KEYS[2], unpack(put))
redis.call('HSET', KEYS[4], unpack(results))
redis.call('ZADD', KEYS[5], unpack(ended))
redis.call('ZREM', KEYS[6], unpack(ids))
return #ids
"""
INSERT = """
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return redis.call('ZADD', KEYS[1], 0, ARGV[1])
"""
KEYS = (
    "{raw}:ready",
    "{raw}:row",
    "{raw}:payload",
    "{raw}:result",
    "{raw}:ended",
    "{raw}:leases",
)


class Plain:
    """A blocking connection, and nothing more."""

    def __init__(self, address: Address) -> None:
        """Connect."""
        self._socket = socket.create_connection((address.host, address.port))
        self._reader = hiredis.Reader(notEnoughData=...)

    def ask(self, *command: str | bytes | int) -> Any:
        """Send a command and wait for its reply."""
        return self.ask_all(command)[0]

    def ask_all(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """Send commands at once and wait for their replies."""
        self._socket.sendall(b"".join(map(hiredis.pack_command, commands)))  # type: ignore[arg-type]
        return [self._reply() for _ in commands]

    def _reply(self) -> object:
        while (reply := self._reader.gets()) is ...:
            self._reader.feed(self._socket.recv(1 << 20))
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        found: object = reply
        return found

    def close(self) -> None:
        """Forget what was stored, and disconnect."""
        self.ask("DEL", *KEYS)
        self._socket.close()


def insert(server: Plain, ids: Sequence[str], size: int) -> None:
    """Store as many jobs as there are ids, so many in one transaction."""
    row = b"\1" + bytes(16)
    for place in range(0, len(ids), size):
        part = ids[place : place + size]
        server.ask("MULTI")
        server.ask("HSET", KEYS[1], *(each for job_id in part for each in (job_id, row)))
        server.ask("HSET", KEYS[2], *(each for job_id in part for each in (job_id, b"[[],{}]")))
        server.ask("ZADD", KEYS[0], *(each for job_id in part for each in (0, job_id)))
        server.ask("EXEC")


def insert_singly(place: str, count: int) -> float:
    """Return the jobs a second of one transaction each."""
    server, ids = Plain(address_of(place)), _ids(count)
    script = server.ask("SCRIPT", "LOAD", INSERT)
    with Clock(count) as clock:
        for job_id in ids:
            server.ask("EVALSHA", script, len(KEYS), *KEYS, job_id, bytes(17), b"[[],{}]")
    server.close()
    return clock.rate


def insert_batch(place: str, count: int) -> float:
    """Return the jobs a second of batches of 10,000."""
    server, ids = Plain(address_of(place)), _ids(count)
    with Clock(count) as clock:
        insert(server, ids, 10_000)
    server.close()
    return clock.rate


def drain(place: str, count: int) -> float:
    """Return the jobs a second of claiming, calling and finishing in batches of 256."""
    server = Plain(address_of(place))
    insert(server, _ids(count), 10_000)
    claim, finish = (server.ask("SCRIPT", "LOAD", script) for script in (CLAIM, FINISH))
    done = 0
    with Clock(count) as clock:
        rows = server.ask("EVALSHA", claim, len(KEYS), *KEYS, _now(), BATCH)
        while rows:
            ends = ("EVALSHA", finish, len(KEYS), *KEYS, _now(), *_ends(rows))
            more = ("EVALSHA", claim, len(KEYS), *KEYS, _now(), BATCH)
            finished, rows = server.ask_all(ends, more)
            done += finished
    assert done == count
    server.close()
    return clock.rate


def _ends(rows: list[bytes | int]) -> list[bytes | int]:
    """Run a batch, and return each job's id, lease and result."""
    ends: list[bytes | int] = []
    for place in range(0, len(rows), 3):
        args, kwargs = json.loads(rows[place + 2])  # type: ignore[arg-type]  # a payload
        ends += [rows[place], rows[place + 1], json.dumps(_noop(*args, **kwargs)).encode()]
    return ends


def _ids(count: int) -> list[str]:
    return sorted(str(uuid.uuid4()) for _ in range(count))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _noop() -> object:
    return None
