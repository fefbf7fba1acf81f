"""Other queues, each in its fastest sane configuration, in a venv of their own."""
