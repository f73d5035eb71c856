"""A cluster of three database nodes with two of each tier, on this machine or in containers."""
