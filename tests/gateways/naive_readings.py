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
    """A reading of one service: what stands in its gateway, and what would stand there.

    Args:
        name: what is read into the service.
        file: the gateway's; or another below the package, with its folder.
        test: who finds it out.
        old: what stands there.
        new: what would stand there.
    """
    service = f"{file}.py" if "/" in file else f"gateways/{file}.py"
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
    reading(
        "the state `close` is a failure",
        "evolution",
        "evolution_traps.py::test_right_after_a_scan_the_state_is_close_and_nothing_is_begun",
        '    if state != "connecting":  # nobody knows',
        '    if state == "close":\n'
        "            return refusal_told(Reason.CODES_USED_UP, NO_MORE_CODES)\n"
        '        if state != "connecting":  # nobody knows',
    ),
    reading(
        "refused is a refusal, and the limit comes first",
        "evolution",
        "evolution_traps.py::test_the_limit_is_one_end_though_it_is_told_twice_and_late_news_follow",
        'if state == "refused":\n        return refusal_told(Reason.CODES_USED_UP, NO_MORE_CODES)',
        'if state == "refused":\n        return refusal_told(Reason.REFUSED_BY_SERVICE, "refused")',
    ),
    reading(
        "open is whoever it was before",
        "evolution",
        "evolution.py::test_whose_it_is_is_written_down_later_than_that_it_is_open",
        'if ours and one.get("connectionStatus") == "open" and one.get("ownerJid"):',
        'if ours and one.get("ownerJid"):',
    ),
    reading(
        "all that is listed of an instance may be kept",
        "evolution",
        "evolution.py::test_an_instance_that_is_open_is_paired_and_no_token_is_kept",
        'return Paired(text_of(one["ownerJid"], "ownerJid"), _told_in(one))',
        'return Paired(text_of(one["ownerJid"], "ownerJid"), one)',
    ),
    reading(
        "a code is its picture",
        "evolution",
        "evolution_traps.py::test_the_messages_of_one_instance",
        'code = text_of(fields.get("code"), "code")',
        'code = text_of(fields.get("base64"), "base64")',
    ),
    reading(
        "a namespace that is not there never will be",
        "transports/handshake",
        "evolution_traps.py::test_a_namespace_that_is_not_there_yet_may_come",
        'TransportUnreachable("the server has no such namespace", ending=Ending.NOT_CONNECTED)',
        'TransportRefused("the server has no such namespace", ending=Ending.REFUSED)',
    ),
    reading(
        "a round is told of to its own instance",
        "evolution",
        "evolution_traps.py::test_the_messages_of_everybody",
        'owner={"instance": self.account},',
        "owner={},",
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
    reading(
        "starting a session gives its code",
        "wppconnect",
        "wppconnect.py::test_a_code_of_before_is_none",
        'await self._ask("POST", "start-session", json_body={"waitQrCode": False})',
        'said = await self._ask("POST", "start-session", json_body={"waitQrCode": False})\n'
        '                if code := text_of(said.get("urlcode"), "urlcode"):\n'
        "                    return QRCode(code)",
    ),
    reading(
        "HTTP 400 to a secret is a bad request",
        "wppconnect",
        "wppconnect.py::test_a_wrong_secret",
        "if answer.status_code == 400:",
        "if False:",
    ),
    reading(
        "a session that shows no code must be started",
        "wppconnect",
        "wppconnect.py::test_a_session_that_is_starting_is_not_started",
        'if status == "CLOSED" and anyio',
        "if anyio",
    ),
    reading(
        "connected says whose it is",
        "wppconnect",
        "wppconnect.py::test_a_session_that_is_connected_is_paired_though_a_code_is_there",
        'case "CONNECTED":\n                return await self._linked()',
        'case "CONNECTED":\n                return Paired()',
    ),
    reading(
        "what is told is told to its own session",
        "wppconnect",
        "wppconnect_traps.py::test_the_messages_of_a_session",
        'owner={"session": self.account},\n            signals=SIGNALS,',
        "owner={},\n            signals=SIGNALS,",
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
    reading(
        "FAILED is the person's no",
        "waha",
        "waha.py::test_a_round_of_codes_that_nobody_scans_is_used_up",
        "if self._codes >= CODES_OF_A_ROUND or late or not self._whole:",
        "if False:",
    ),
    reading(
        "there is a code for as long as it is to be scanned",
        "waha",
        "waha.py::test_each_answer_of_the_real_service_is_read",
        'if (text := text_of(answer.json_object().get("value"), "value")) is None:',
        'if (text := str(answer.json_object()["value"])) is None:',
    ),
    reading(
        "all sessions are ours",
        "waha",
        "waha.py::test_somebody_elses_messages_are_dropped_as_such",
        'owner={"session": self.account},',
        "",
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
    reading(
        "what is told is told to its own device",
        "gowa",
        "gowa.py::test_what_a_message_means",
        "return heard.signal if heard.key == (self.account,) else None",
        "return heard.signal",
    ),
    reading(
        "HTTP 401 is about our password",
        "gowa",
        "gowa.py::test_whatsapp_out_of_its_reach_is_no_fault_of_our_password",
        'if code == "AUTHENTICATION_ERROR":',
        "if False:",
    ),
    reading(
        "no event, no end of a code",
        "code_on_screen",
        "gowa.py::test_a_code_dies_with_the_process_that_made_it",
        "if error.ending in AWAY and self._place is not None:",
        "if False:",
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
    reading(
        "a server names its interval",
        "device_flow",
        "device_flow.py::test_the_interval_is_the_servers",
        'interval = _seconds(body.get("interval")) or INTERVAL',
        'interval = _seconds(body["interval"]) or INTERVAL',
    ),
    reading(
        "a server gives the whole address",
        "device_flow",
        "device_flow.py::test_without_the_whole_address_the_picture_is_the_page_to_type_at",
        '_page(body, "verification_uri_complete", "verification_uri", "verification_url"),',
        '_page(body, "verification_uri_complete"),',
    ),
    reading(
        "a token says whose it is",
        "device_flow",
        "device_flow.py::test_a_success_has_the_subject_and_the_tokens",
        'return Paired(unverified_subject(body.get("id_token")), body)',
        'return Paired(unverified_subject(_text(body, "id_token")), body)',
    ),
)
"""One for each trap that a gateway's page tells of, as far as it is a trap of reading."""


if __name__ == "__main__":
    main(sys.argv[1:], READINGS)
