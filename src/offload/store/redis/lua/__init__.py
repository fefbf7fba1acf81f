"""The scripts, one file each; those that others begin with are named in their first line."""
