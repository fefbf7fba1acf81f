"""The driver's statements."""
