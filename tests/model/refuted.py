"""Which facts of the model, or tests of the data itself, refute which datum, when it is altered.

For each datum of `qrlifecycle.states` the names of all that come first for one of its alterations
(`tests.model.alterations`); names that begin with ``test_`` are those of `tests.test_states`.
"""

from __future__ import annotations

__all__ = ["REFUTED_BY"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


REFUTED_BY: dict[str, frozenset[str]] = {
    "row idle/connected/failed, generate": _names("a_code_is_asked_for"),
    "row idle/connected/failed, generate: from idle": _names("a_code_is_asked_for"),
    "row idle/connected/failed, generate: from connected": _names("a_code_is_asked_for"),
    "row idle/connected/failed, generate: from failed": _names("a_code_is_asked_for"),
    "row idle/connected/failed, generate: target": _names(
        "a_code_is_asked_for after_a_loss inside_an_end"
    ),
    "row idle/connected/failed, generate: sources": _names("after_a_loss"),
    "row idle/connected/failed, generate: replaces": _names("nothing_is_vacuous"),
    "row generating, qr_ready": _names("row_from_generating"),
    "row generating, qr_ready: target": _names(
        "inside_an_end pending_is_taken row_from_generating"
    ),
    "row generating, qr_ready: sources": _names("nothing_is_vacuous"),
    "row generating, qr_ready: replaces": _names("nothing_is_vacuous"),
    "row generating, paired": _names("row_from_generating"),
    "row generating, paired: target": _names("nothing_left to_failed to_idle"),
    "row generating, paired: sources": _names("nothing_is_vacuous"),
    "row generating, paired: replaces": _names("nothing_is_vacuous"),
    "row generating, fail": _names("row_from_generating"),
    "row generating, fail: target": _names("nothing_left to_connected to_idle"),
    "row generating, fail: sources": _names("nothing_is_vacuous"),
    "row generating, fail: replaces qr_ready": _names("after_a_loss"),
    "row generating, fail: replaces": _names("an_end_is_kept nothing_is_vacuous"),
    "row generating, cancel": _names("cancel_is_heeded"),
    "row generating, cancel: target": _names(
        "cancel_is_heeded nothing_left to_connected to_failed"
    ),
    "row generating, cancel: sources": _names("nothing_is_vacuous"),
    "row generating, cancel: replaces qr_ready": _names("cancel_is_heeded"),
    "row generating, cancel: replaces": _names("an_end_is_kept nothing_is_vacuous"),
    "row displayed, qr_updated": _names("nothing_is_vacuous"),
    "row displayed, qr_updated: target": _names("after_a_loss"),
    "row displayed, qr_updated: sources": _names("nothing_is_vacuous owed_after_qr_updated"),
    "row displayed, qr_updated: replaces": _names("nothing_is_vacuous"),
    "row displayed, scanned": _names("nothing_is_vacuous"),
    "row displayed, scanned: target": _names("after_a_loss"),
    "row displayed, scanned: sources": _names("nothing_is_vacuous owed_after_scanned"),
    "row displayed, scanned: replaces": _names("nothing_is_vacuous"),
    "row displayed, action_required": _names("nothing_is_vacuous"),
    "row displayed, action_required: target": _names("after_a_loss"),
    "row displayed, action_required: sources": _names(
        "nothing_is_vacuous owed_after_action_required"
    ),
    "row displayed, action_required: replaces": _names("nothing_is_vacuous"),
    "row displayed, paired": _names("success_is_heard"),
    "row displayed, paired: target": _names("nothing_is_vacuous nothing_left to_failed to_idle"),
    "row displayed, paired: sources": _names("nothing_is_vacuous"),
    "row displayed, paired: replaces": _names(
        "an_end_is_kept nothing_is_vacuous only_an_end_replaces"
    ),
    "row displayed, expired": _names("row_from_displayed"),
    "row displayed, expired: target": _names("inside_an_end pending_is_taken row_from_displayed"),
    "row displayed, expired: sources": _names("nothing_is_vacuous"),
    "row displayed, expired: replaces": _names("nothing_is_vacuous"),
    "row displayed, generate": _names("another_is_asked_for"),
    "row displayed, generate: target": _names("inside_an_end nothing_is_vacuous pending_is_taken"),
    "row displayed, generate: sources": _names("after_a_loss"),
    "row displayed, generate: replaces": _names(
        "after_a_loss nothing_is_vacuous only_an_end_replaces"
    ),
    "row displayed, fail": _names("row_from_displayed"),
    "row displayed, fail: target": _names("nothing_left to_connected to_idle"),
    "row displayed, fail: sources": _names("nothing_is_vacuous"),
    "row displayed, fail: replaces expired": _names("after_a_loss"),
    "row displayed, fail: replaces generate": _names("after_a_loss"),
    "row displayed, fail: replaces": _names("an_end_is_kept nothing_is_vacuous"),
    "row displayed, cancel": _names("cancel_is_heeded"),
    "row displayed, cancel: target": _names("cancel_is_heeded nothing_left to_connected to_failed"),
    "row displayed, cancel: sources": _names("nothing_is_vacuous"),
    "row displayed, cancel: replaces expired": _names("cancel_is_heeded"),
    "row displayed, cancel: replaces generate": _names("cancel_is_heeded"),
    "row displayed, cancel: replaces": _names("an_end_is_kept nothing_is_vacuous"),
    "row connected/failed, reset": _names("an_outcome_is_put_away"),
    "row connected/failed, reset: from connected": _names("an_outcome_is_put_away"),
    "row connected/failed, reset: from failed": _names("an_outcome_is_put_away"),
    "row connected/failed, reset: target": _names(
        "an_outcome_is_put_away nothing_left to_connected to_failed"
    ),
    "row connected/failed, reset: sources": _names("after_a_loss put_away"),
    "row connected/failed, reset: replaces": _names("nothing_is_vacuous"),
    "row acquiring, leased": _names("a_lease_is_granted"),
    "row acquiring, leased: target": _names("after_a_loss inside_generating to_acquiring"),
    "row acquiring, leased: sources": _names("nothing_is_vacuous"),
    "row acquiring, leased: by": _names("a_lease_is_granted"),
    "row absent/waiting, make": _names("a_transport_is_made"),
    "row absent/waiting, make: from absent": _names("a_transport_is_made"),
    "row absent/waiting, make: from waiting": _names("a_transport_is_made"),
    "row absent/waiting, make: target": _names("closing gone inside_displayed listening waiting"),
    "row absent/waiting, make: sources": _names("nothing_is_vacuous one_socket"),
    "row absent/waiting, make: by": _names("a_transport_is_made one_socket"),
    "row opening, opened": _names("nothing_is_vacuous"),
    "row opening, opened: target": _names(
        "exclusion inside_displayed nothing_is_vacuous one_socket"
    ),
    "row opening, opened: sources": _names("nothing_is_vacuous"),
    "row opening, opened: by": _names("listening nothing_is_vacuous"),
    "row opening/listening, close": _names("one_socket"),
    "row opening/listening, close: from opening": _names("one_socket"),
    "row opening/listening, close: from listening": _names("pending_is_taken"),
    "row opening/listening, close: target": _names("after_a_fault exclusion inside_displayed"),
    "row opening/listening, close: sources": _names("closing nothing_is_vacuous"),
    "row opening/listening, close: by": _names("one_socket"),
    "row closing, closed": _names("pending_is_taken"),
    "row closing, closed: target": _names("after_a_fault closing inside_displayed no_second_try"),
    "row closing, closed: sources": _names("nothing_is_vacuous"),
    "row closing, closed: by": _names("exclusion pending_is_taken"),
    "row absent, wait": _names("nothing_is_vacuous"),
    "row absent, wait: target": _names("after_a_fault closing gone inside_displayed"),
    "row absent, wait: sources": _names("exclusion nothing_is_vacuous waiting"),
    "row absent, wait: by": _names("nothing_is_vacuous waiting"),
    "row scanning/approving/acting, qr_updated": _names("owed_after_qr_updated"),
    "row scanning/approving/acting, qr_updated: from scanning": _names("owed_after_qr_updated"),
    "row scanning/approving/acting, qr_updated: from approving": _names("owed_after_qr_updated"),
    "row scanning/approving/acting, qr_updated: from acting": _names("owed_after_qr_updated"),
    "row scanning/approving/acting, qr_updated: target": _names(
        "inside_displayed to_acting to_approving"
    ),
    "row scanning/approving/acting, qr_updated: sources": _names("nothing_is_vacuous"),
    "row scanning/approving/acting, qr_updated: by": _names(
        "deadline_approval owed_after_qr_updated to_scanning"
    ),
    "row scanning/acting, scanned": _names("owed_after_scanned"),
    "row scanning/acting, scanned: from scanning": _names("owed_after_scanned"),
    "row scanning/acting, scanned: from acting": _names("owed_after_scanned"),
    "row scanning/acting, scanned: target": _names("inside_displayed to_acting to_scanning"),
    "row scanning/acting, scanned: sources": _names("nothing_is_vacuous scanned_once"),
    "row scanning/acting, scanned: by": _names("deadline_action owed_after_scanned to_approving"),
    "row scanning/approving/acting, action_required": _names("owed_after_action_required"),
    "row scanning/approving/acting, action_required: from scanning": _names(
        "owed_after_action_required"
    ),
    "row scanning/approving/acting, action_required: from approving": _names(
        "owed_after_action_required"
    ),
    "row scanning/approving/acting, action_required: from acting": _names(
        "owed_after_action_required"
    ),
    "row scanning/approving/acting, action_required: target": _names(
        "inside_displayed to_approving to_scanning"
    ),
    "row scanning/approving/acting, action_required: sources": _names("nothing_is_vacuous"),
    "row scanning/approving/acting, action_required: by": _names(
        "deadline_approval owed_after_action_required to_acting"
    ),
    "row scanning, expired": _names("expiry_is_heard"),
    "row scanning, expired: target": _names("deadline_code inside_displayed"),
    "row scanning, expired: sources": _names(
        "deadline_action deadline_approval nothing_is_vacuous"
    ),
    "row scanning, expired: by": _names("expiry_is_heard to_scanning"),
    "REGIONS": _names("after_a_loss beginning exclusion nothing_left"),
    "region request of generating": _names("inside_generating"),
    "region request of generating: first": _names("after_a_loss inside_generating"),
    "region request of generating: requesting": _names("test_each_phase_belongs_to_one_region"),
    "region transport of displayed": _names("inside_displayed"),
    "region transport of displayed: first": _names(
        "closing inside_displayed listening one_socket waiting"
    ),
    "region transport of displayed: opening": _names("test_each_phase_belongs_to_one_region"),
    "region transport of displayed: listening": _names("test_each_phase_belongs_to_one_region"),
    "region transport of displayed: closing": _names("test_each_phase_belongs_to_one_region"),
    "region transport of displayed: waiting": _names("test_each_phase_belongs_to_one_region"),
    "region person of displayed": _names("inside_displayed"),
    "region person of displayed: first": _names("inside_displayed to_acting to_approving"),
    "region person of displayed: approving": _names("nothing_is_vacuous"),
    "region person of displayed: acting": _names("nothing_is_vacuous"),
    "deadline of acquiring": _names(
        "deadline_action deadline_approval deadline_code deadline_request nothing_is_vacuous"
    ),
    "deadline of requesting": _names(
        "after_a_loss deadline_action deadline_approval deadline_lease nothing_is_vacuous"
    ),
    "deadline of absent": _names("nothing_is_vacuous"),
    "deadline of opening": _names("nothing_is_vacuous"),
    "deadline of listening": _names("nothing_is_vacuous"),
    "deadline of closing": _names("nothing_is_vacuous"),
    "deadline of waiting": _names("nothing_is_vacuous"),
    "deadline of scanning": _names(
        "deadline_action deadline_approval deadline_lease deadline_request nothing_is_vacuous"
    ),
    "deadline of approving": _names(
        "deadline_action deadline_code deadline_lease deadline_request nothing_is_vacuous"
    ),
    "deadline of acting": _names(
        "deadline_approval deadline_code deadline_lease deadline_request nothing_is_vacuous"
    ),
    "OUTCOMES": _names(
        "nothing_left test_what_ends_an_attempt_is_what_leads_from_under_way_to_an_end"
    ),
    "OUTCOMES: paired": _names("inside_an_end"),
    "OUTCOMES: fail": _names("inside_an_end"),
    "OUTCOMES: cancel": _names("inside_an_end"),
    "ENDS: idle": _names("nothing_left"),
    "ENDS": _names("exclusion inside_an_end"),
    "ENDS: connected": _names("nothing_left"),
    "ENDS: failed": _names("nothing_left"),
    "REASON_OF_DEADLINE: attempt": _names("after_a_loss"),
    "REASON_OF_DEADLINE: lease": _names("pending_expired"),
    "REASON_OF_DEADLINE: request": _names("after_a_loss"),
    "REASON_OF_DEADLINE": _names("nothing_is_vacuous"),
    "REASON_OF_DEADLINE: approval": _names("pending_expired"),
    "REASON_OF_DEADLINE: action": _names("pending_expired"),
    "SOCKET_OWNER": _names("exclusion"),
    "INITIAL": _names("beginning"),
}
