"""The model as JSON: everything that was enumerated, for programs that check or draw it.

The object has these members; ``version`` grows when one of them changes its meaning:

- ``format`` (``"qrlifecycle-model"``) and ``version``;
- ``fields``: each field of a situation, with its values; ``null`` means that there is none;
- ``labels``: each label of a move, with ``by`` and ``meaning``;
- ``rows``: the table, one object for each ``source``, ``event``, ``target`` (null: internal);
- ``properties``: ``name`` and ``says`` of what holds of every situation, of every step, and of
  what can follow;
- ``initial``: the index of the first of the ``situations``;
- ``situations``: an object each, with its fields and ``rest``: whether only the world moves it on;
- ``moves``: ``source`` and ``target`` (indices), ``label``, and ``event`` (null: none).
"""

from __future__ import annotations

import json

from .exploration import Model
from .facts import Ability, Fact, StepFact
from .situation import FIELDS, Label

__all__ = ["FORMAT", "VERSION", "document"]

FORMAT = "qrlifecycle-model"
VERSION = 1


def document(model: Model) -> str:
    """The whole model and every situation of it, as one JSON object."""
    index = {situation: number for number, situation in enumerate(model.graph)}
    facts: tuple[Fact | StepFact | Ability, ...] = (
        *model.facts,
        *model.step_facts,
        *model.abilities,
    )
    parts = {
        "format": FORMAT,
        "version": VERSION,
        "fields": dict(FIELDS),
        "labels": [{"name": each, "by": each.by, "meaning": each.meaning} for each in Label],
        "rows": [
            {"source": source, "event": row.event, "target": row.target}
            for source, row in model.chart.rows
        ],
        "properties": [{"name": fact.name, "says": fact.says} for fact in facts],
        "initial": index[model.chart.beginning],
        "situations": [each._asdict() | {"rest": model.rest(each)} for each in model.graph],
        "moves": [
            {
                "source": index[situation],
                "label": move.label,
                "event": move.event,
                "target": index[move.situation],
            }
            for situation, moves in model.graph.items()
            for move in moves
        ],
    }
    return "{\n" + ",\n".join(f'"{name}": {_lines(part)}' for name, part in parts.items()) + "\n}\n"


def _lines(part: object) -> str:
    """One line for each of many things, so that two versions can be compared line by line."""
    if not isinstance(part, list):
        return json.dumps(part)
    return "[\n" + ",\n".join(f"  {json.dumps(each)}" for each in part) + "\n]"
