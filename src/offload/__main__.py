"""`python -m offload` is `offload`."""

from offload.cli.main import main

main()
