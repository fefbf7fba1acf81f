"""The reference application of offload."""
