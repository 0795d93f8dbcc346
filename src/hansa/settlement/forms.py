"""In which form a bank is told: one writer and one check for each message definition. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hansa.kernel import Problem
from hansa.settlement.iso20022 import PACS_008, PACS_009, PAIN_001, form_of
from hansa.settlement.model import FileRecord, Instruction
from hansa.settlement.pacs import validate_pacs, write_pacs008, write_pacs009
from hansa.settlement.pain001 import validate_pain001, write_pain001


@dataclass(frozen=True, slots=True)
class Form:
    """A message definition in which payments are instructed. between_banks: each side must have a BIC."""

    name: str
    write: Callable[[FileRecord, Sequence[Instruction]], bytes]
    validate: Callable[[bytes], list[Problem]]
    between_banks: bool = False


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form(form_of(PAIN_001), write_pain001, validate_pain001),
        Form(form_of(PACS_008), write_pacs008, validate_pacs),
        Form(form_of(PACS_009), write_pacs009, validate_pacs, between_banks=True),
    )
}
"""By name, such as ``pacs.009.001.08``."""
