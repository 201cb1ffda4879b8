"""`python -m thumbline_ingest` is the `thumbline` command."""

from .cli import main

main(prog_name="thumbline")
