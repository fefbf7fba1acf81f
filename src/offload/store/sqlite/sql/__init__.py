"""The driver's statements, by name."""
