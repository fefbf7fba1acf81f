"""Empty jobs through procrastinate: `python postgres_procrastinate.py URL COUNT CONCURRENCY`.

Prints the jobs a second. Results are not stored, for it has none. Jobs that have ended are deleted,
which is quicker than to keep them.
"""

import asyncio
import sys
import time

from procrastinate import App, PsycopgConnector


async def main(url: str, count: int, concurrency: int) -> float:
    """Return the jobs a second of one worker, which ends when there is nothing left to do."""
    app = App(connector=PsycopgConnector(conninfo=url, max_size=concurrency))

    @app.task(name="noop")  # type: ignore[untyped-decorator] # theirs, which mypy does not see
    async def noop() -> None: ...

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await noop.batch_defer_async(*({} for _ in range(count)))
        began = time.perf_counter()
        await app.run_worker_async(
            concurrency=concurrency, wait=False, delete_jobs="always", install_signal_handlers=False
        )
        rate = count / (time.perf_counter() - began)
        assert not list(await app.job_manager.list_jobs_async(status="todo"))
    return rate


if __name__ == "__main__":
    url, count, concurrency = sys.argv[1:]
    print(asyncio.run(main(url, int(count), int(concurrency))))
