"""The treacherous changes: each looks harmless, and breaks a promise.

This room must never know how they are applied.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHANGES", "Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """A treacherous change.

    Attributes:
        name: what somebody might call it who means no harm.
        promise: the number of the promise it breaks.
        file: the module's file, below the package.
        edits: text that stands there once, and what it becomes.
        tests: ids of the tests, bearing the promise's number, that must each catch it.
    """

    name: str
    promise: int
    file: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]


LIFECYCLE = "tests/lifecycle/test_promises.py::test_promise"
LINK = "tests/test_link.py::test_promise"
STATUS = "tests/test_status.py::test_promise"
REAL = "tests/properties/test_real_server.py::test_promises"
SMALL = "tests/treachery/test_small_worlds.py::test_promise"

EVERY_WAY_OUT = f"{LIFECYCLE}_1_the_socket_is_gone_before_anybody_is_told_of_the_next_state"
GOODBYE = f"{LIFECYCLE}_2_a_goodbye_has_its_time_and_no_more_even_under_a_cancellation"
ONE_AFTER_ANOTHER = f"{LINK}_3_the_old_socket_is_gone_before_the_next_is_made"
GOES_ON = f"{LIFECYCLE}_5_a_cancellation_from_outside_goes_on"
NO_TEXT = f"{LIFECYCLE}_6_no_text_shows_the_code"

CHANGES = (
    Change(
        "skip the close when a code expires",
        1,
        "attempt.py",
        (
            (
                "                await stay.link.close()",
                "                step = stay.leaving\n"
                "                if step is None or step.event is not Event.EXPIRED:\n"
                "                    await stay.link.close()",
            ),
        ),
        (EVERY_WAY_OUT,),
    ),
    Change(
        "publish the state before closing",
        1,
        "attempt.py",
        (
            (
                "            try:\n                await self._clear(stay)\n",
                "            self._standing.commit(stay.leaving)\n"
                "            try:\n                await self._clear(stay)\n",
            ),
            (
                "                assert stay.leaving is not None\n"
                "                self._standing.commit(stay.leaving)\n",
                "                pass\n",
            ),
        ),
        (EVERY_WAY_OUT,),
    ),
    Change(
        "commit a row out of `displayed` at once",
        1,
        "standing.py",
        (
            (
                "if stay is None or (row.internal and stay.leaving is None):",
                "if stay is None or stay.leaving is None:",
            ),
        ),
        (f"{SMALL}_1_holds_in_a_world_of_codes",),
    ),
    Change(
        "count only a transport that listens as an open socket",
        1,
        "lifecycle.py",
        (("stay.link.transport is not None", "stay.link.listening"),),
        (f"{SMALL}_1_holds_in_a_world_of_codes",),
    ),
    Change(
        "make a transport although leaving is decided",
        1,
        "link.py",
        (("await anyio.lowlevel.checkpoint_if_cancelled()  # leaving", "pass  # leaving"),),
        ("tests/test_stay.py::test_promise_1_no_transport_is_made_once_leaving_is_decided",),
    ),
    Change(
        "drop the shield around the goodbye",
        2,
        "link.py",
        ((", shield=True", ""),),
        (GOODBYE,),
    ),
    Change(
        "no deadline for the goodbye",
        2,
        "link.py",
        (("anyio.move_on_after(self._policy.close_timeout,", "anyio.move_on_after(math.inf,"),),
        (GOODBYE,),
    ),
    Change(
        "no force after the goodbye",
        2,
        "link.py",
        (
            (
                "            self._abort(transport, how)\n            logger.info",
                "            self.transport = None\n            logger.info",
            ),
        ),
        (GOODBYE,),
    ),
    Change(
        "wait for the wait before the next opening even when leaving",
        2,
        "link.py",
        (
            (
                "            await anyio.sleep(wait)",
                "            with anyio.CancelScope(shield=True):\n"
                "                await anyio.sleep(wait)",
            ),
        ),
        (f"{LINK}_2_cancel_between_two_openings_leaves_at_once",),
    ),
    Change(
        "forget the old socket on reconnect",
        3,
        "link.py",
        (
            (
                "            await self.close()\n            if not self._may",
                "            self.transport, self.listening = None, False\n"
                "            if not self._may",
            ),
        ),
        (ONE_AFTER_ANOTHER,),
    ),
    Change(
        "open the new transport before closing the old one",
        3,
        "link.py",
        (
            ('        "transport",\n    )', '        "transport",\n        "old",\n    )'),
            (
                "            await self.close()\n            if not self._may",
                "            self.old, self.transport = self.transport, None\n"
                "            self.listening = False\n"
                "            if not self._may",
            ),
            (
                '        logger.info("connected for QR display")',
                '        if (old := getattr(self, "old", None)) is not None:\n'
                "            await old.aclose()\n"
                "            old.abort()\n"
                '        logger.info("connected for QR display")',
            ),
        ),
        (ONE_AFTER_ANOTHER,),
    ),
    Change(
        "forget an opening that was interrupted",
        3,
        "link.py",
        (("await self.close()  # an opening", "pass  # an opening"),),
        (
            "tests/test_stay.py::"
            "test_promise_3_an_opening_that_was_interrupted_is_closed_before_the_next",
        ),
    ),
    Change(
        "let a second pair() in",
        3,
        "lifecycle.py",
        (("        if standing.thread is not None:\n", "        if standing.thread == 0:\n"),),
        (f"{LIFECYCLE}_3_a_second_pair_is_refused_and_opens_no_socket",),
    ),
    Change(
        "hand the code out before listening",
        4,
        "attempt.py",
        (("            if self._policy.show_at_once:\n", "            if True:\n"),),
        (f"{LIFECYCLE}_4_the_code_is_handed_out_once_the_transport_listens",),
    ),
    Change(
        "no status read on opening",
        4,
        "attempt.py",
        (("            stay.reader.want()\n", "            pass\n"),),
        (
            f"{STATUS}_4_a_success_before_the_opening_is_found_on_opening",
            f"{STATUS}_4_a_success_while_the_link_was_down_is_found_on_opening_anew",
        ),
    ),
    Change(
        "no status read on opening anew: it has just been read",
        4,
        "attempt.py",
        (
            (
                "        if stay.reader is not None:\n            stay.reader.want()\n",
                "        if stay.reader is not None and not (stay.link and stay.link._breaks):\n"
                "            stay.reader.want()\n",
            ),
        ),
        (
            f"{STATUS}_4_a_success_while_the_link_was_down_is_found_on_opening_anew",
            f"{SMALL}_4_the_status_is_read_on_opening_anew",
        ),
    ),
    Change(
        "no status read before giving up",
        4,
        "attempt.py",
        (("        await self._look_again(stay)\n", ""),),
        (
            f"{STATUS}_4_a_success_that_nobody_heard_is_found_before_the_code_is_given_up",
            f"{STATUS}_4_no_deadline_gives_up_without_a_last_look",
        ),
    ),
    Change(
        "show a code that was read while no link is there",
        4,
        "attempt.py",
        (
            (
                "if not (self._policy.show_at_once or stay.link is None or stay.link.listening):",
                "if self._policy.expiry_grace < 0:",
            ),
        ),
        (f"{STATUS}_4_a_newer_code_is_kept_back_until_a_transport_listens",),
    ),
    Change(
        "deliver the success twice, lest it be missed",
        4,
        "standing.py",
        (
            (
                '            self.watchers.tell("on_connected", step.outcome)\n',
                '            self.watchers.tell("on_connected", step.outcome)\n' * 2,
            ),
        ),
        (f"{STATUS}_4_success_by_two_ways_at_once_is_delivered_once",),
    ),
    Change(
        "tell of a success as soon as it is read",
        4,
        "attempt.py",
        (
            (
                '            logger.info("connected, found by check_status")\n',
                '            logger.info("connected, found by check_status")\n'
                "            assert stay.leaving is not None\n"
                '            self._standing.watchers.tell("on_connected", stay.leaving.outcome)\n',
            ),
        ),
        (f"{STATUS}_4_success_found_by_the_status_is_delivered_once",),
    ),
    Change(
        "swallow a cancellation: the outcome says so",
        5,
        "attempt.py",
        (
            (
                "        except BaseException:\n            stay.end(CANCELLED)\n"
                "            raise\n        finally",
                "        except BaseException:\n            stay.end(CANCELLED)\n        finally",
            ),
        ),
        (GOES_ON,),
    ),
    Change(
        "a cancellation overrules a success that is closing",
        5,
        "attempt.py",
        (
            (
                "                await self._clear(stay)\n            finally:\n",
                "                await self._clear(stay)\n            except BaseException:\n"
                "                stay.leaving = CANCELLED\n                raise\n"
                "            finally:\n",
            ),
        ),
        (f"{LIFECYCLE}_5_a_success_that_is_closing_survives_a_native_cancellation",),
    ),
    Change(
        "walk on when a goodbye was cancelled natively",
        5,
        "attempt.py",
        (("            if standing.stay is not None:\n", "            if False:\n"),),
        (f"{LIFECYCLE}_5_a_native_cancellation_in_a_goodbye_ends_in_idle",),
    ),
    Change(
        "say goodbye even when nothing can be awaited",
        5,
        "link.py",
        (("            self._abort(self.transport, Closing.FORCED)\n", "            pass\n"),),
        ("tests/test_stay.py::test_promise_5_a_coroutine_that_is_closed_shuts_its_socket_at_once",),
    ),
    Change(
        "the payload in a repr",
        6,
        "codes.py",
        (("(<hidden>{life})", "({self.reveal()!r}{life})"),),
        ("tests/test_qr.py::test_promise_6_only_reveal_shows_the_payload",),
    ),
    Change(
        "the payload in a log line",
        6,
        "attempt.py",
        (
            (
                "            if signal.qr == stay.code:\n",
                '            logger.debug("a newer code: %s", signal.qr.reveal())\n'
                "            if signal.qr == stay.code:\n",
            ),
        ),
        (NO_TEXT,),
    ),
    Change(
        "the payload in a log line, as it is handed out",
        6,
        "attempt.py",
        (
            (
                "            self._shown = True\n",
                "            self._shown = True\n"
                '            logger.debug("handed out: %s", stay.code.reveal())\n',
            ),
        ),
        (NO_TEXT,),
    ),
    Change(
        "the payload in an exception's text",
        6,
        "codes.py",
        (("a {name} is a secret", "a {name} of {self.__payload!r} is a secret"),),
        ("tests/test_qr.py::test_promise_6_a_code_cannot_be_pickled_or_copied",),
    ),
    Change(
        "the text of anybody's exception in a log line",
        6,
        "watchers.py",
        (('if isinstance(error, QRLifecycleError) else ""', 'if str(error) else ""'),),
        (NO_TEXT,),
    ),
    Change(
        "keep the code after `displayed`",
        6,
        "standing.py",
        (("                self.stay.forget()\n", ""),),
        (f"{LIFECYCLE}_6_the_code_is_forgotten_when_displayed_is_left",),
    ),
    Change(
        "accept a foreign bot's message",
        7,
        "transports/messages.py",
        (('_is_foreign(payload, OWNERS["bot"], bot_id) or ', ""),),
        ("tests/test_messages.py::test_promise_7_what_is_for_another_is_foreign",),
    ),
    Change(
        "let a malformed message raise",
        7,
        "transports/messages.py",
        (
            (
                "except (ValueError, TypeError, LookupError, AttributeError, RecursionError):",
                "except ValueError:",
            ),
        ),
        (
            "tests/test_messages.py::test_promise_7_what_cannot_be_read_is_malformed_and_raises_nothing",
        ),
    ),
    Change(
        "keep every signal until somebody asks",
        7,
        "transports/buffer.py",
        (("                self._signals.remove(kept)\n", ""),),
        ("tests/test_buffer.py::test_promise_7_a_flood_costs_no_memory",),
    ),
    Change(
        "keep the signals that were refused, for a report",
        7,
        "attempt.py",
        (
            (
                'logger = logging.getLogger("qrlifecycle")\n',
                'logger = logging.getLogger("qrlifecycle")\nREFUSED: list[Signal] = []\n',
            ),
            (
                "            self._standing.count({signal.event.value: 1})\n",
                "            REFUSED.append(signal)\n"
                "            self._standing.count({signal.event.value: 1})\n",
            ),
        ),
        (f"{LIFECYCLE}_7_a_flood_of_signals_is_not_kept",),
    ),
    Change(
        "let a signal out of place raise",
        7,
        "attempt.py",
        (
            (
                "        except EventRefused:\n            self._standing.count",
                "        except ZeroDivisionError:\n            self._standing.count",
            ),
        ),
        (f"{LIFECYCLE}_7_a_signal_out_of_place_raises_nothing",),
    ),
    Change(
        "call a link listening while it is being closed",
        7,
        "link.py",
        (
            (
                "        self.listening = False\n        how = Closing.FORCED\n",
                "        how = Closing.FORCED\n",
            ),
        ),
        (f"{SMALL}_7_a_link_that_breaks_as_it_opens_raises_nothing",),
    ),
    Change(
        "let the client's tasks end when they like",
        8,
        "transports/socketio.py",
        (
            (
                "        while self._tasks:\n            await asyncio.wait(",
                "        while self._client is None:\n            await asyncio.wait(",
            ),
            (
                "                task.cancel()\n        with suppress(ValueError)",
                "                pass\n        with suppress(ValueError)",
            ),
        ),
        (f"{REAL}_1_3_5_8_hold_against_the_real_server",),
    ),
    Change(
        "keep a descriptor for each attempt",
        8,
        "lifecycle.py",
        (
            (
                "        standing.thread = threading.get_ident()\n",
                "        standing.thread = threading.get_ident()\n"
                '        __import__("os").dup(1)\n',
            ),
        ),
        (
            f"{LIFECYCLE}_8_no_descriptor_is_left",
            "tests/properties/test_real_server.py::"
            "test_promise_8_the_descriptors_are_back_where_they_were",
        ),
    ),
    Change(
        "wake the reader of the status by a timer",
        8,
        "status.py",
        (
            (
                "                with anyio.move_on_after(self._policy.status_interval):\n"
                "                    await self._wanted.wait()\n",
                "                import asyncio\n\n"
                "                interval = min(self._policy.status_interval, 60)\n"
                "                asyncio.get_running_loop().call_later(interval, self.want)\n"
                "                await self._wanted.wait()\n",
            ),
        ),
        (f"{SMALL}_8_no_timer_is_left",),
    ),
    Change(
        "leave the reader of the status to itself",
        8,
        "attempt.py",
        (("                stay.reader.stop()\n", "                pass\n"),),
        (f"{STATUS}_8_nobody_reads_on_when_pair_has_returned",),
    ),
    Change(
        "let the reader of the status stop when it likes",
        8,
        "status.py",
        (("        self._scope.cancel()\n", "        self._satisfied = None\n"),),
        (f"{STATUS}_8_nobody_reads_on_when_pair_has_returned",),
    ),
)
