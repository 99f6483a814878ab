"""What the document says of each arm, as a short id: another one, and the arm is watched afresh."""

from collections.abc import Mapping

from app.core.document import ServiceDocument
from app.core.ids import stable_id

MAX_KNOWN = 20_000
"""Documents whose ids are remembered."""

_known: dict[str, tuple[ServiceDocument, dict[str, str]]] = {}


def defined(document: ServiceDocument) -> Mapping[str, str]:
    """Ids by arm, a function of ``document`` alone: remembered for as long as the service keeps this very document."""
    known = _known.get(document.service)
    if known is not None and known[0] is document:
        return known[1]
    if len(_known) >= MAX_KNOWN:
        _known.clear()
    ids = {
        arm.name: stable_id(arm, [price for price in document.prices if price.model == arm.model])[:8]
        for arm in document.arms
    }
    _known[document.service] = document, ids
    return ids
