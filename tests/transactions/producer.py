"""Enqueues in transactions of a database of its own, to be killed: `QUEUE DATABASE WHAT`."""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Sequence

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from offload import Queue, current_job
from offload.core.job import Job, NewJob
from offload.transactions.outbox import OutboxTable
from offload.transactions.relay import Relay
from offload.transactions.sources import source

queue = Queue(sys.argv[1], synchronous="NORMAL")
engine = create_engine(sys.argv[2])


@queue.task(name="record")
def record(number: int) -> int:
    return number


@queue.task(name="pay", max_retries=3, retry_backoff=0.001)
def pay(amount: int) -> str:
    with Session(engine) as session:
        with current_job.transaction(session) as first:
            if first:
                said = {"job": current_job.id, "said": amount}
                session.execute(text("INSERT INTO effects VALUES (:job, :said)"), said)
                first.result = f"paid under lease {current_job.fencing_token}"
        if first:  # the transaction is committed, and nobody knows that the job is done
            os.kill(os.getpid(), signal.SIGKILL)
        return str(first.result)


def put(first: int) -> None:
    """Write a number and enqueue its job, in one transaction; commit."""
    with Session(engine) as session:
        session.execute(text("INSERT INTO effects VALUES ('-', :number)"), {"number": first})
        record.apply_async([first], connection=session)
        session.commit()


def die_before_the_relay() -> None:
    """Die right after the commit; nobody relays here."""
    queue.outbox(engine, relay=False)
    for number in range(20):
        put(number)
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_relay() -> None:
    """Die when the jobs are in the queue, and still in the outbox."""
    queue.outbox(engine, relay=False)
    for number in range(20):
        put(number)

    async def enqueue(jobs: Sequence[NewJob]) -> Sequence[Job]:
        await record.jobs.enqueue(jobs)
        os.kill(os.getpid(), signal.SIGKILL)
        return []

    table = OutboxTable("offload_outbox")
    asyncio.run(_look(Relay(source(engine), table, enqueue, 3600.0)))


async def _look(relay: Relay) -> None:
    await relay.look()


def go_on() -> None:
    """Put one after the other, say each when it is committed, and relay meanwhile."""
    queue.outbox(engine)
    for number in itertools.count(int(sys.argv[4])):
        put(number)
        os.write(1, b"%d\n" % number)


def work() -> None:
    """Run jobs."""
    queue.run_worker()


if __name__ == "__main__":
    globals()[sys.argv[3]]()
