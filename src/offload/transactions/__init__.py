"""The program's own databases: jobs enqueued in its transactions, effects that happen once."""
