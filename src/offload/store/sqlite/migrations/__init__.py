"""Numbered scripts, applied once each and in order; `PRAGMA user_version` says how far."""
