"""How jobs are run: claim, run, finish."""
