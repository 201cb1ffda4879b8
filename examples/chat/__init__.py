"""A chat to try votes in; `python -m examples.chat`, or `make demo`, which starts all that it needs."""
