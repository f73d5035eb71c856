"""The forms of the desk: each is shown with a key of its own, or again with its problem and what was typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.errors import Invalid, KeyReused, StoreError
from wsgi_apps.base import new_key
from wsgi_apps.pages.desk.fields import Fields
from wsgi_apps.pages.desk.formats import sentence


@dataclass(frozen=True, slots=True)
class Form:
    """A form as its page shows it. However often it is sent, its key makes it one change.

    `wrong` is the name of the field that the problem is of; it is empty when that is of no field.
    """

    key: str = field(default_factory=new_key)
    values: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    wrong: str = ""


def form_again(fields: Fields, error: StoreError) -> Form:
    """Returns the form with what was typed and the problem. It keeps its key, unless that stands for something else."""
    if isinstance(error, KeyReused):
        problem = (
            "This form was sent before with other values, and that was done: look below. Send it again if you want "
            "this as well."
        )
        return Form(values=fields.values, problem=problem)
    wrong = error.field if isinstance(error, Invalid) else ""
    return Form(fields.key, fields.values, sentence(error.message), wrong)
