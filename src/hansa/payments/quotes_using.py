"""Using quotes: each once, whoever of two comes first."""

from collections.abc import Sequence
from datetime import datetime

from hansa.kernel import HansaError
from hansa.payments import quotes_store
from hansa.payments.quotes_model import Quote, QuoteUsed, Use, misuse
from hansa.store import Tx


def use_quotes(tx: Tx, uses: Sequence[Use], at: datetime) -> list[Quote | HansaError]:
    """Use quotes, each once; in order, the quote or why it cannot be used. For the same thing again it is the same.

    Whoever comes second waits for the first one's transaction; where that is undone, the quote is free again. What a
    use came to does not matter: a quote that was used is used.
    """
    if not uses:
        return []
    partitions = {one.partition for one in uses}
    found = quotes_store.find(tx, partitions, {one.quote_id for one in uses})
    wrong = [misuse(found.get(one.quote_id), one, at) for one in uses]
    fit = {one.quote_id: one for one, error in reversed(list(zip(uses, wrong, strict=True))) if error is None}
    if fit:
        quotes_store.use(tx, list(fit.values()), at)
        found = quotes_store.find(tx, partitions, fit)
    return [
        error or (found[one.quote_id] if found[one.quote_id].used_for == one.subject_id else QuoteUsed())
        for one, error in zip(uses, wrong, strict=True)
    ]
