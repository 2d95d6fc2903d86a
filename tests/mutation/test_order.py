"""The order in which tests look at a mutant."""

from __future__ import annotations

from .order import Note, Order, Spent

NOTES = {
    "far": Note(1, Spent(0.01, 0.01), {"g": {9}}),
    "near": Note(0, Spent(0.02, 0.02), {"f": {1, 2}}),
    "same line": Note(1, Spent(0.02, 0.02), {"f": {1, 3}, "g": {9}}),
    "same line, slow": Note(0, Spent(0.1, 2.0), {"f": {1, 3}}),
    "same line, own": Note(0, Spent(0.1, 0.1), {"f": {1, 3}}),
}


def test_those_that_run_the_line_come_first() -> None:
    """Then those that run the function; of each, what is slow or not the module's own is last."""
    order = Order(NOTES)
    assert order.running("f", {"f"}, 3) == [
        "same line, own",
        "same line",
        "same line, slow",
        "near",
    ]


def test_a_line_counts_in_the_functions_that_differ_alone() -> None:
    """Who runs a line of another function, however near, is not asked."""
    assert Order(NOTES).running("g", {"g"}, 3) == ["far", "same line"]
    assert Order(NOTES).running("h", {"h"}, 3) == []


def test_who_has_noticed_a_mutant_of_a_scope_is_asked_sooner() -> None:
    """Of those that run the line; in other scopes nothing changes."""
    order = Order(NOTES)
    before = order.running("f", {"f"}, 3)
    order.noticed("f", "same line, slow")
    order.noticed("f", "near")
    assert order.running("f", {"f"}, 3) == [
        "same line, slow",
        "same line, own",
        "same line",
        "near",
    ]
    assert order.running("of another", {"f"}, 3) == before


def test_all_tests_begin_with_some() -> None:
    """None is left out, and none comes twice."""
    every = Order(NOTES).all("", ["far"])
    assert every[0] == "far"
    assert sorted(every) == sorted(NOTES)
