"""Work that lives with a request: functions that run in this process, beside its responses."""
