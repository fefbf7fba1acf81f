"""The driver's SQL, by name."""

from offload.store.sql import load
from offload.store.sqlite.rows import JOB, JOBS_JOB, SCHEDULE

SQL = load("offload.store.sqlite.sql", job=JOB, jobs_job=JOBS_JOB, schedule=SCHEDULE)
