"""People as the server may know them: in events and in receipts the same person is the same pseudonym."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import invalid
from .handles import Rater, plain_id
from .pseudonym import Pseudonymizer, pepper_from_key

if TYPE_CHECKING:
    from .settings import ClientSettings


class People:
    """Replaces raw user ids by pseudonyms, as one client does."""

    def __init__(self, settings: ClientSettings) -> None:
        pepper = (
            settings.pepper.encode("utf-8", "surrogatepass")
            if settings.pepper is not None
            else pepper_from_key(settings.key)
        )
        self._pseudonym = Pseudonymizer(pepper)

    def rater(self, rater: object, field: str) -> dict[str, Any]:
        """
        A rater as an event carries it.

        Args:
            rater: a user id or a `Rater`.
            field: named when it is neither.

        Raises:
            InvalidEvent: it is neither, or empty.
        """
        if not isinstance(rater, Rater):
            return {"id": self._hashed(plain_id(rater, field), field)}
        known = {} if rater.wrote_prompt is None else {"wrote_prompt": rater.wrote_prompt}
        if rater.pseudonymous or rater.kind != "human":
            return {"id": rater.id, "kind": rater.kind, **known}
        return {"id": self._hashed(plain_id(rater.id, field), field), "kind": rater.kind, **known}

    def _hashed(self, user_id: str, field: str) -> str:
        if not user_id:  # its hash would look like a person
            raise invalid(field, "must not be empty")
        return self._pseudonym(user_id)
