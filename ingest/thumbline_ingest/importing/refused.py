"""What stops one record, and what stops a whole import."""

from __future__ import annotations


class Refused(Exception):
    """
    One record cannot be taken; the others can.

    Attributes:
        field: the column or field at fault; empty when it is the record itself.
        message: what is wrong, in one sentence; never with what the record holds.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field or 'record'}: {message}")
        self.field = field
        self.message = message


class NotImportable(ValueError):
    """The command cannot mean this file, map or option: nothing of it is taken. The message says what there is."""
