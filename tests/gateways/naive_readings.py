"""What somebody reads into a service who has not met its traps: each is a change of the gateway.

``python -m tests.gateways.naive_readings [NAME ...]`` prints, as JSON, how each test went; see
`tests.treachery`.
"""

from __future__ import annotations

import sys

from ..treachery.__main__ import main
from ..treachery.changes import Change

__all__ = ["READINGS"]

HERE = "tests/gateways/test"


def reading(name: str, file: str, test: str, old: str, new: str) -> Change:
    """A reading of one service: what stands in its gateway, and what would stand there."""
    service = f"gateways/{file}.py"
    return Change(name, 0, service, ((old, new),), (f"{HERE}_{test}",))


READINGS = (
    # Evolution API
    reading(
        "an answer is a code",
        "evolution",
        "evolution.py::test_a_fresh_instance_has_no_code_yet_and_is_asked_again",
        "    if code is None:\n        return None\n    return QRCode(code",
        '    return QRCode(code or "none"',
    ),
    reading(
        "closed is closed for good",
        "evolution",
        "evolution.py::test_what_says_nothing",
        'if state == "close" and isinstance(number, int) and number in REASONS:\n'
        "        reason, why = REASONS[number]",
        'if state == "close":\n        reason, why = REASONS[401]',
    ),
    reading(
        "two may ask for a code at once",
        "base",
        "evolution_traps.py::test_two_that_ask_in_the_same_instant_make_one_connection",
        "if not self.one_request_at_a_time:",
        "if True:",
    ),
    reading(
        "HTTP 400 to a WebSocket is a server that is not there",
        "evolution",
        "evolution_traps.py::test_the_real_servers_no_to_a_websocket_is_a_refusal",
        "if error.status != 400:",
        "if True:",
    ),
    reading(
        "events are told without being asked for",
        "evolution",
        "evolution.py::test_what_an_instance_tells_already_stays_as_it_is",
        "if not self._global:\n            await self._switch_events_on()",
        "if False:\n            await self._switch_events_on()",
    ),
    reading(
        "all that came along may be handed on",
        "evolution",
        "evolution.py::test_what_is_not_known_is_not_handed_on",
        'return Paired(text_of(data.get("wuid"), "wuid"), _told_in(data))',
        'return Paired(text_of(data.get("wuid"), "wuid"), data)',
    ),
    # WPPConnect
    reading(
        "a code is a code, whatever the status",
        "wppconnect",
        "wppconnect.py::test_a_code_of_before_is_none",
        '    if body.get("status") != "QRCODE":\n        return None\n',
        "",
    ),
    reading(
        "a success on the socket is one",
        "wppconnect",
        "wppconnect_traps.py::test_a_success_that_the_status_does_not_confirm_is_none",
        "confirm_success=True,",
        "",
    ),
    reading(
        "a closed session says nothing",
        "wppconnect",
        "wppconnect.py::test_what_the_status_means",
        "return expiry_told(CLOSED)",
        "return None",
    ),
    # WAHA
    reading(
        "`me` is a success",
        "waha",
        "waha.py::test_each_answer_of_the_real_service_is_read",
        "return None if _paired(me) is None else self._round.told.tell_once(Scanned())",
        "return _paired(me)",
    ),
    reading(
        "stopped is a failure",
        "waha",
        "waha.py::test_each_answer_of_the_real_service_is_read",
        "return expiry_told(\n",
        "return refusal_told(\n                    Reason.REFUSED_BY_SERVICE,\n",
    ),
    reading(
        "HTTP 422 to a start is a refusal",
        "waha",
        "waha.py::test_who_started_it_first_does_not_matter",
        "if answer.status_code == 422:  # started already",
        "if answer.status_code == 499:  # started already",
    ),
    reading(
        "close code 4001 is a broken connection",
        "waha",
        "waha.py::test_not_to_be_listened_to_is_known_before_a_code_is_shown",
        'owner={"session": self.account},\n            refusing={*REFUSING, TURNED_AWAY},',
        'owner={"session": self.account},\n            refusing=REFUSING,',
    ),
    # GOWA
    reading(
        "LOGIN_SUCCESS is ours",
        "gowa",
        "gowa.py::test_what_a_message_means",
        '        return StatusChanged()\n    result = message.get("result")',
        '        return Paired()\n    result = message.get("result")',
    ),
    reading(
        "each screen may ask for a code of its own",
        "gowa",
        "gowa.py::test_two_screens_of_one_device_show_one_code",
        "code = None if live is None else live.copy(unless=self._mine.shown)",
        "code = None if live is None else live.copy() and None",
    ),
    reading(
        "a JID is a success",
        "gowa",
        "gowa.py::test_a_jid_is_no_success",
        "                return await self._asked()\n            await anyio.sleep(0.5)",
        "                return await self._asked()\n            return self._success(status)",
    ),
    reading(
        "`qr_duration` is the code's life",
        "gowa",
        "gowa.py::test_a_code_is_a_picture_from_where_we_know_the_service",
        "2 * half if is_positive(half)",
        "half if is_positive(half)",
    ),
    # RFC 8628
    reading(
        "slow_down is for once",
        "device_flow",
        "device_flow.py::test_slow_down_is_five_seconds_more_for_good",
        "self._interval = max(self._interval + INTERVAL, named or 0.0)",
        "self._wait = max(self._interval + INTERVAL, named or 0.0)",
    ),
    reading(
        "the status of an answer says how it went",
        "device_flow",
        "device_flow.py::test_a_poll_is_read_by_its_error",
        'if failure is not None and body.get("error") is None:',
        "if failure is not None:",
    ),
    reading(
        "a poll may be cut off",
        "device_flow",
        "device_flow.py::test_promise_4_a_token_on_its_way_is_not_lost_to_the_codes_end",
        "finish_reads=True,",
        "",
    ),
    reading(
        "invalid_grant is a refusal",
        "device_flow",
        "device_flow.py::test_a_poll_is_read_by_its_error",
        'DEAD = frozenset({"expired_token", "code_expired", "invalid_grant"})',
        'DEAD = frozenset({"expired_token", "code_expired"})',
    ),
)
"""One for each trap that a gateway's page tells of, as far as it is a trap of reading."""


if __name__ == "__main__":
    main(sys.argv[1:], READINGS)
