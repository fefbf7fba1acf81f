"""Where jobs live: one port, and the drivers behind it."""
