"""Running an ended job's call once more, as a job of its own."""

from offload.core.errors import JobNotEnded, JobNotFound
from offload.core.job import Job
from offload.tasks.ids import new_id
from offload.tasks.ports import Jobs


async def replayed(jobs: Jobs, job_id: str, unknown: type[JobNotFound]) -> Job:
    """Enqueue a fresh job for one that has ended, and return it.

    Raises:
        JobNotEnded: it is still pending or running.
        JobNotFound: it is not there; raised as `unknown`.
    """
    asked = {job_id: new_id()}
    if fresh := await jobs.call(lambda store: store.replay(asked)):
        return fresh[job_id]
    [job] = await jobs.call(lambda store: store.get([job_id]))
    if job is None:
        raise unknown(job_id, "", f"no job {job_id}: unknown, or purged")
    raise JobNotEnded(
        job_id, "", f"job {job_id} is {job.state}: wait for its end, or cancel it, to repeat it"
    )
