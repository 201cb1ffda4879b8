"""Figures, each a ratio against a named reference measured in the same run. See README.md."""
