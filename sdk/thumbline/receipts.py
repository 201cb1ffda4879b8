"""
Receipts: what lets a page vote, and only on what its back end allows.

    tlr1.<key id>.<claims>.<signature>

Claims are JSON in unpadded URL-safe base64 (RFC 4648, section 5). The signature is HMAC-SHA256 over all
before it, in the same base64. It names no algorithm: `tlr1` is this one and no other.

The signing key is derived from the SHA-256 of the write key's secret, which is what the collector
stores of it. So a back end mints with the key that it has, the collector verifies with what it has,
and a key that is revoked takes its receipts along. A key belongs to one project, and so do its receipts.

itsdangerous is loaded with the first receipt, not with this module.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import limits
from ._people import People
from ._plain import plain_text
from .errors import invalid
from .handles import Pair, plain_id, target_of

if TYPE_CHECKING:
    from itsdangerous import Signer

    from .clock import Clock
    from .handles import RaterLike, TargetLike
    from .settings import ClientSettings

__all__ = ["KINDS_OF_TARGET", "VOTE_KINDS", "Minter", "Receipt", "ReceiptRefused", "read_receipt"]

WRITE_KEY: Final = re.compile(r"tlk_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43})")

VOTE_KINDS: Final = ("thumb", "pick", "rating", "ranking", "edit", "mark", "exposure", "signal")
KINDS_OF_TARGET: Final[Mapping[str, tuple[str, ...]]] = {
    "completion": ("thumb", "rating", "edit", "mark", "exposure", "signal"),
    "comparison": ("pick", "ranking", "exposure", "signal"),
    "conversation": ("rating", "exposure", "signal"),
}
# What a page needs for the usual control. Text from strangers (edits, marks) is asked for by name.
_USUAL_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "completion": ("thumb", "exposure", "signal"),
    "comparison": ("pick", "exposure", "signal"),
    "conversation": ("rating", "exposure", "signal"),
}

_VERSION: Final = "tlr1"
_SHAPE: Final = re.compile(r"(tlr1\.([A-Za-z0-9]{8})\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]{43})")
# How far the clocks of back end and collector may be apart.
_CLOCK_TOLERANCE_S: Final = 60
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode: Final = json.JSONDecoder().decode
# From the URL-safe alphabet of base64 to the usual one.
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")

# One sentence for all of these: which of them it is would help nobody but a forger.
_NOT_VALID: Final = (
    "is not valid here: it was changed on the way, or minted with a key that this collector does not know or no longer "
    "accepts"
)


class ReceiptRefused(Exception):
    """A receipt does not hold; the text says why, and nothing that helps to forge one."""


class Receipt(NamedTuple):
    """
    What a receipt says.

    Attributes:
        target_type: `completion`, `comparison` or `conversation`.
        target_id: what may be voted on.
        rater_id: pseudonym of who may vote.
        kinds: kinds of events that it allows.
        issued_at: Unix time in seconds.
        expires_at: Unix time in seconds.
        order: ids of a comparison's answers, in the order shown.
        probability: with which this order was drawn; None where the host cannot say.
        wrote_prompt: whether the rater wrote the prompt; None where the host cannot say.
        conversation_id: the conversation that it belongs to.
        training_consent: whether the votes may train a model; None leaves `unknown`.
        app: the product.
    """

    target_type: str
    target_id: str
    rater_id: str
    kinds: tuple[str, ...]
    issued_at: int
    expires_at: int
    order: tuple[str, ...] = ()
    probability: float | None = None
    wrote_prompt: bool | None = None
    conversation_id: str | None = None
    training_consent: str | None = None
    app: str | None = None


# The fields' names among the claims, which travel with every page; in the order of the fields.
_CLAIMS: Final = ("t", "i", "r", "k", "n", "x", "o", "p", "w", "c", "g", "a")


class Minter:
    """
    Mints receipts for one client.

    Args:
        settings: the client's.
        clock: tells the time.

    Raises:
        InvalidEvent: the client's key is no write key.
    """

    def __init__(self, settings: ClientSettings, clock: Clock) -> None:
        match = WRITE_KEY.fullmatch(settings.key)
        if match is None:
            raise invalid("key", "must be a write key (tlk_...): receipts are signed with it")
        self._head = f"{_VERSION}.{match[1]}."
        self._signer = signer_of(hashlib.sha256(match[2].encode()).hexdigest())
        self._settings = settings
        self._clock = clock
        self._people = People(settings)

    def mint(
        self,
        target: TargetLike,
        rater: RaterLike,
        kinds: Iterable[str] | None,
        expires_in_s: float,
        common: Mapping[str, Any],
    ) -> str:
        """
        A receipt; see `Client.receipt`.

        Raises:
            InvalidEvent: with the field at fault.
        """
        kind, target_id, conversation_id = target_of(target)
        known = self._people.rater(rater, "rater.id")
        if known.get("kind", "human") != "human":
            raise invalid("rater.kind", "must be human: it is people who vote in a page", ["human"])
        if not 0 < expires_in_s <= limits.MAX_RECEIPT_LIFE_S:
            raise invalid("expires_in_s", f"must be above 0 and at most {limits.MAX_RECEIPT_LIFE_S} seconds")
        now_s = self._clock.now_ns() // 1_000_000_000
        own_conversation = common.get("conversation_id")
        if own_conversation is not None:
            conversation_id = plain_id(own_conversation, "conversation_id")
        app = common.get("app") or self._settings.app
        order, probability = _shown(target)
        claims = {
            "t": kind,
            "i": _id(target_id, "target_id"),
            "r": _id(known["id"], "rater.id"),
            "k": _kinds(kinds, kind),
            "n": now_s,
            "x": now_s + math.ceil(expires_in_s),
        }
        optional = {
            "o": order,
            "p": probability,
            "w": known.get("wrote_prompt"),
            "c": None if kind == "conversation" or conversation_id is None else plain_text(conversation_id),
            "g": _consent(common.get("training_consent") or self._settings.training_consent),
            "a": plain_text(app) if isinstance(app, str) else app,
        }
        claims.update({name: value for name, value in optional.items() if value is not None})
        text = self._head + _base64(_encode(claims).encode())
        receipt = f"{text}.{self._signer.get_signature(text).decode()}"
        if len(receipt) > limits.MAX_RECEIPT_LENGTH:
            raise invalid("target_id", f"ids are too long for a receipt of {limits.MAX_RECEIPT_LENGTH} characters")
        return receipt


def read_receipt(text: str, signer: Callable[[str], Signer | None], now_s: float) -> tuple[str, Receipt]:
    """
    The key id and the claims of a receipt that holds.

    Args:
        text: as the page sent it.
        signer: key id -> the signer of that key; None where there is no such key.
        now_s: Unix time.

    Raises:
        ReceiptRefused: it does not.
    """
    if len(text) > limits.MAX_RECEIPT_LENGTH:
        raise ReceiptRefused(f"is longer than {limits.MAX_RECEIPT_LENGTH} characters")
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ReceiptRefused(_why_no_receipt(text))
    signed, key_id, claims, signature = match.groups()
    own_signer = signer(key_id)
    # An unknown key takes the time that a known one takes, and holds nothing.
    receipt = _signed(own_signer or _nobody(), signed, claims, signature)
    if own_signer is None:
        raise ReceiptRefused(_NOT_VALID)
    if now_s >= receipt.expires_at:
        raise ReceiptRefused("has expired: the back end mints a new one when the page is loaded again")
    if receipt.issued_at > now_s + _CLOCK_TOLERANCE_S:
        raise ReceiptRefused("is not valid yet: the back end's clock is ahead of the collector's")
    return key_id, receipt


@lru_cache(maxsize=4096)
def _signed(signer: Signer, signed: str, claims: str, signature: str) -> Receipt:
    # A page sends several events with one receipt: that it is shown, that it is seen, the vote, its reasons. What
    # was found to hold is remembered for this signer, which goes when its key is revoked; what was refused is not.
    #
    # Text against text: another spelling of the same signature in base64 is another text. And the claims
    # are read only after that, so nothing but our own writing is ever parsed.
    if not hmac.compare_digest(signer.get_signature(signed), signature.encode()):
        raise ReceiptRefused(_NOT_VALID)
    return _parsed(claims)


def signer_of(secret_sha256: str) -> Signer:
    """
    The signer of a write key.

    Args:
        secret_sha256: SHA-256 of the key's secret, in hex.
    """
    from itsdangerous import Signer  # here, so that only those who mint or verify load it

    key = hmac.digest(secret_sha256.encode(), b"thumbline/receipt/v1", "sha256")
    # The key is derived already; what itsdangerous does by default is SHA-1.
    return Signer(key, key_derivation="none", digest_method=hashlib.sha256)


@cache
def _nobody() -> Signer:
    return signer_of(secrets.token_hex())


def _why_no_receipt(text: str) -> str:
    if not text:
        return "is empty: the back end could not mint it; its log says why, and with debug=True it raises"
    if text.startswith("tlk_"):
        return "is a write key, which no page may have: revoke that key, and mint receipts in the back end"
    return "is malformed: it must be what Client.receipt returned, unchanged and whole"


def _parsed(claims: str) -> Receipt:
    try:
        padded = claims.encode().translate(_STANDARD) + b"=" * (-len(claims) % 4)
        found = _decode(binascii.a2b_base64(padded).decode())
        found["k"] = tuple(found["k"])
        found["o"] = tuple(found.get("o", ()))
        receipt = Receipt(*[found.pop(claim, None) for claim in _CLAIMS])
        # A claim that this version does not know is one that it cannot honour.
        if found:
            raise ReceiptRefused("was minted by a newer client: update the collector")
        if _is_sound(receipt):
            return receipt
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    # Signed with a key that is known: a program of the host's own has made it.
    raise ReceiptRefused("is signed but its claims are not as docs/receipts.md has them")


def _is_sound(receipt: Receipt) -> bool:
    return (
        type(receipt.issued_at) is type(receipt.expires_at) is int
        and 0 < receipt.expires_at - receipt.issued_at <= limits.MAX_RECEIPT_LIFE_S
        and set(receipt.kinds).issubset(KINDS_OF_TARGET[receipt.target_type])
        and bool(receipt.order) == (receipt.target_type == "comparison")
        and {str}.issuperset(map(type, (receipt.target_id, receipt.rater_id, *receipt.order)))
    )


def _shown(target: TargetLike) -> tuple[tuple[str, ...] | None, float | None]:
    if not isinstance(target, Pair):
        return None, None
    order = tuple(_id(own, "completion_ids") for own in target.order)
    if not 2 <= len(order) <= limits.MAX_ANSWERS or len(set(order)) != len(order):
        raise invalid("completion_ids", f"needs the order shown: 2 to {limits.MAX_ANSWERS} different answers")
    probability = target.probability
    if probability is not None and not 0 < probability <= 1:
        raise invalid("probability", "must be above 0 and at most 1")
    return order, probability


def _kinds(kinds: Iterable[str] | None, target_type: str) -> tuple[str, ...]:
    if kinds is None:
        return _USUAL_KINDS[target_type]
    asked = set(kinds) if not isinstance(kinds, str) else {kinds}
    allowed = KINDS_OF_TARGET[target_type]
    if not asked or not asked <= set(allowed):
        raise invalid("kinds", f"must be among those of a {target_type}", list(allowed))
    return tuple(kind for kind in allowed if kind in asked)


def _id(value: str, field: str) -> str:
    if not 0 < len(value) <= limits.MAX_ID_LENGTH:
        raise invalid(field, f"must have 1 to {limits.MAX_ID_LENGTH} characters")
    return plain_text(value)  # as events of the back end have it


def _consent(value: object) -> object:
    if value not in (None, "granted", "denied", "unknown"):
        raise invalid("training_consent", "must be granted, denied or unknown", ["granted", "denied", "unknown"])
    return value


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
