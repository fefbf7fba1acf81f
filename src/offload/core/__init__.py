"""What a job is: values and pure decisions, with no clock, no I/O and no event loop."""
