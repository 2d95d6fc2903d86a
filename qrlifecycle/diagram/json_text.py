"""The picture as one JSON object."""

from __future__ import annotations

import json
from typing import Any

from ..states import INITIAL, SOCKET_OWNER, Deadline, State, Step, single_rows
from .picture import Picture, ends_of

__all__ = ["draw_json"]


def draw_json(picture: Picture) -> str:
    """The text of the object."""
    ends = ends_of(picture.table)
    drawn: dict[str, Any] = {
        "initial": INITIAL,
        "socket_owner": SOCKET_OWNER,
        "states": [
            {
                "name": state,
                "meaning": state.meaning,
                "ends": state in ends,
                "lit": state is picture.lit,
            }
            for state in State
        ],
        "rows": _rows(picture),
    }
    if picture.inside is not None:
        drawn |= _inside(picture)
    return json.dumps(drawn, indent=2)


def _rows(picture: Picture) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "event": row.event,
            "target": row.target,
            "internal": row.internal,
            "why": row.why,
            **({"replaces": row.replaces} if picture.inside is not None else {}),
        }
        for source, row in single_rows(picture.table)
    ]


def _inside(picture: Picture) -> dict[str, Any]:
    regions = list(picture.all_regions())
    return {
        "regions": [
            {"state": state, "name": region, "meaning": region.meaning, "phases": phases}
            for state, region, phases in regions
        ],
        "phases": [
            {
                "name": phase,
                "meaning": phase.meaning,
                "region": region,
                "initial": phase is phases[0],
                "deadline": picture.deadline(phase),
            }
            for _, region, phases in regions
            for phase in phases
        ],
        "phase_rows": [
            {
                "source": source,
                "by": row.by,
                "step": isinstance(row.by, Step),
                "target": row.target,
                "why": row.why,
            }
            for _, _, phases in regions
            for source, row in picture.phase_rows(phases)
        ],
        "steps": [{"name": step, "meaning": step.meaning} for step in Step],
        "deadlines": [{"name": each, "meaning": each.meaning} for each in Deadline],
    }
