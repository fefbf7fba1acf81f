"""The driver's SQL, by name."""

from offload.store.sql import load
from offload.store.sqlite.rows import JOB, SCHEDULE

FREE = """(held_key IS NULL OR key_until <= :now) AND NOT EXISTS (
        SELECT 1 FROM job_dependencies JOIN jobs AS child ON child.seq = job_dependencies.job
        WHERE job_dependencies.parent = jobs.seq AND child.phase = 'blocked'
    )"""
"""That a purge may take a job: it holds no unique key, and no job that depends on it is blocked."""

SQL = load("offload.store.sqlite.sql", job=JOB, schedule=SCHEDULE, free=FREE)
