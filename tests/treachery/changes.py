"""The treacherous changes: each looks harmless, and breaks a promise."""

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
MISUSE = "tests/lifecycle/test_misuse.py::test_promise"
CONNECTION = "tests/engine/test_connection.py::test_promise"
PROGRESS = "tests/engine/test_progress.py::test_promise"
OBSERVERS = "tests/engine/test_observers.py::test_promise"
STATUS = "tests/engine/test_status.py::test_promise"
LEASE = "tests/engine/test_lease.py::test_promise_9"
FINISHED = "tests/engine/test_finished_reads.py::test_promise"
SOCKETIO = "tests/socketio"
PROTOCOL = f"{SOCKETIO}/test_protocol.py::test_promise"
REAL = "tests/properties/test_real_server.py::test_promises"
SMALL = "tests/treachery/test_small_worlds.py::test_promise"

EVERY_WAY_OUT = f"{LIFECYCLE}_1_the_socket_is_gone_before_anybody_is_told_of_the_next_state"
GOODBYE = f"{LIFECYCLE}_2_a_graceful_close_has_its_time_and_no_more_even_under_a_cancellation"
ONE_AFTER_ANOTHER = f"{CONNECTION}_3_the_old_socket_is_gone_before_the_next_is_made"
INTERRUPTED = f"{CONNECTION}_3_an_opening_that_was_interrupted_is_closed_before_the_next"
GOES_ON = f"{LIFECYCLE}_5_a_cancellation_from_outside_goes_on"
FOREIGN = f"{MISUSE}_5_a_request_that_somebody_else_cancelled_is_a_fault"
NO_TEXT = f"{LIFECYCLE}_6_no_text_shows_the_code"

CHANGES = (
    Change(
        "skip the close when a code expires",
        1,
        "engine/attempt.py",
        (
            (
                "                    await incoming.connection.close()\n",
                "                    pending = self._progress.pending\n"
                "                    if pending is not None and pending.event is Event.EXPIRED:\n"
                "                        incoming.connection = None\n"
                "                    else:\n"
                "                        await incoming.connection.close()\n",
            ),
        ),
        (EVERY_WAY_OUT,),
    ),
    Change(
        "publish the state before closing",
        1,
        "engine/attempt.py",
        (
            (
                "            try:\n                if incoming.reader is not None:\n",
                "            transition = progress.pending or CANCELLED\n"
                "            outcome = progress.commit(transition)\n"
                "            try:\n                if incoming.reader is not None:\n",
            ),
            ("                outcome = self._take_row()\n", "                self._take_row()\n"),
            (
                "        transition = progress.pending or CANCELLED\n"
                "        outcome = progress.commit(transition)\n"
                "        if transition.event is Event.EXPIRED:\n"
                '            logger.info("the code ran out")\n'
                "        elif isinstance(outcome, Failed | Cancelled):\n"
                "            log_end(outcome)\n"
                "        return outcome\n",
                "        return None\n",
            ),
        ),
        (EVERY_WAY_OUT,),
    ),
    Change(
        "commit a row out of `displayed` at once",
        1,
        "engine/progress.py",
        (
            (
                "if self._state in ENDS or (row.internal and self.pending is None):",
                "if self._state in ENDS or self.pending is None:",
            ),
        ),
        (f"{SMALL}_1_holds_in_a_world_of_codes",),
    ),
    Change(
        "count only a transport that listens as an open socket",
        1,
        "lifecycle.py",
        (
            (
                "return transport is not None and transport.holds_socket",
                "connection = self._attempt and self._attempt.incoming.connection\n"
                '        return connection is not None and connection.phase == "listening"',
            ),
        ),
        (f"{SMALL}_1_holds_in_a_world_of_codes",),
    ),
    Change(
        "make a transport although leaving is decided",
        1,
        "engine/connection.py",
        (
            (
                "not even briefly.\n        await anyio.lowlevel.checkpoint_if_cancelled()\n",
                "not even briefly.\n",
            ),
        ),
        (f"{CONNECTION}_1_no_transport_is_made_once_leaving_is_decided",),
    ),
    Change(
        "a transport that is being closed is none any more",
        1,
        "engine/connection.py",
        (
            (
                "        how, cancellations =",
                "        self.transport = None\n        how, cancellations =",
            ),
        ),
        (f"{CONNECTION}_1_a_transport_is_held_until_it_is_gone",),
    ),
    Change(
        "say that the transport is gone, and then abort it",
        1,
        "engine/connection.py",
        (
            (
                "        try:\n            if (answer := cast",
                "        self.transport = None\n        try:\n            if (answer := cast",
            ),
        ),
        (f"{CONNECTION}_1_a_transport_is_held_until_it_is_gone",),
    ),
    Change(
        "an observer may as well be told at once",
        1,
        "engine/observers.py",
        (("        if self._delivering:\n            return\n", ""),),
        (f"{OBSERVERS}_1_every_observer_is_told_in_one_order",),
    ),
    Change(
        "drop the shield around the goodbye",
        2,
        "engine/connection.py",
        ((", shield=True", ""),),
        (GOODBYE,),
    ),
    Change(
        "no deadline for the goodbye",
        2,
        "engine/connection.py",
        (("anyio.move_on_after(self._policy.close_timeout,", "anyio.move_on_after(float('inf'),"),),
        (GOODBYE,),
    ),
    Change(
        "no force after the goodbye",
        2,
        "engine/connection.py",
        (
            (
                "            self._abort(transport, how)\n            if transport.holds_socket",
                "            self.transport = None\n"
                "            self.phase = NEXT_PHASE[self.phase, Step.CLOSED]\n"
                "            if transport.holds_socket",
            ),
        ),
        (GOODBYE,),
    ),
    Change(
        "force first, so that the goodbye cannot hang",
        2,
        "engine/connection.py",
        (
            (
                "                await transport.aclose()\n",
                "                transport.abort()\n                await transport.aclose()\n",
            ),
        ),
        (f"{CONNECTION}_2_a_graceful_close_comes_before_the_force",),
    ),
    Change(
        "wait for the wait before the next opening even when leaving",
        2,
        "engine/connection.py",
        (
            (
                "            await sleep_for(delay)\n",
                "            with anyio.CancelScope(shield=True):\n"
                "                await sleep_for(delay)\n",
            ),
        ),
        (f"{CONNECTION}_2_cancel_between_two_openings_leaves_at_once",),
    ),
    Change(
        "give a hook all the time it wants",
        8,
        "engine/hooks.py",
        (("anyio.move_on_after(self._timeout)", "anyio.move_on_after(float('inf'))"),),
        (f"{OBSERVERS}_8_a_hook_that_hangs_is_cancelled",),
    ),
    Change(
        "forget the old socket on reconnect",
        3,
        "engine/connection.py",
        (
            (
                "        broke_at = anyio.current_time()\n        await self.close()\n",
                "        broke_at = anyio.current_time()\n"
                "        self.transport, self.phase = None, Phase.ABSENT\n",
            ),
        ),
        (ONE_AFTER_ANOTHER,),
    ),
    Change(
        "open the new transport before closing the old one",
        3,
        "engine/connection.py",
        (
            ('        "transport",\n    )', '        "transport",\n        "old",\n    )'),
            (
                "        broke_at = anyio.current_time()\n        await self.close()\n",
                "        broke_at = anyio.current_time()\n"
                "        self.old, self.transport = self.transport, None\n"
                "        self.phase = Phase.ABSENT\n",
            ),
            (
                "        logger.log(self._level, LISTENS)\n",
                "        logger.log(self._level, LISTENS)\n"
                '        if (old := getattr(self, "old", None)) is not None:\n'
                "            await old.aclose()\n"
                "            old.abort()\n",
            ),
        ),
        (ONE_AFTER_ANOTHER,),
    ),
    Change(
        "forget an opening that was interrupted",
        3,
        "engine/connection.py",
        (
            (
                "that was then put off.\n        await self.close()\n",
                "that was then put off.\n        self.phase = Phase.ABSENT\n",
            ),
        ),
        (INTERRUPTED,),
    ),
    Change(
        "own a transport once it is open",
        3,
        "engine/connection.py",
        (
            ("        self.transport = made\n", ""),
            (
                "        self.phase = NEXT_PHASE[self.phase, Step.MAKE]\n",
                "        self.phase = Phase.OPENING\n        return made\n",
            ),
            (
                "                await self._make()\n            transport = self.transport\n",
                "                transport = await self._make()\n"
                "            else:\n                transport = self.transport\n",
            ),
            (
                "            await transport.open()\n",
                "            await transport.open()\n            self.transport = transport\n",
            ),
        ),
        (INTERRUPTED,),
    ),
    Change(
        "let a second pair() in",
        3,
        "lifecycle.py",
        (
            (
                "        if self._attempt is not None:\n            raise",
                "        if self._attempt is not None and self._attempt.thread == 0:\n"
                "            raise",
            ),
        ),
        (f"{LIFECYCLE}_3_a_second_pair_is_refused_and_opens_no_socket",),
    ),
    Change(
        "hand the code out before listening",
        4,
        "engine/attempt.py",
        (
            (
                "        incoming.read_status_beside()\n        try:\n",
                "        if progress.withheld:\n"
                "            progress.dispatch(Transition(Event.QR_UPDATED, progress.code))\n"
                "        incoming.read_status_beside()\n        try:\n",
            ),
        ),
        (f"{LIFECYCLE}_4_the_code_is_handed_out_once_the_transport_listens",),
    ),
    Change(
        "there is a code to show as soon as the service made one",
        4,
        "engine/progress.py",
        (("        self.withhold_code(code)\n", "        self._show_code(code)\n"),),
        (f"{LIFECYCLE}_4_the_code_is_handed_out_once_the_transport_listens",),
    ),
    Change(
        "no status read on opening",
        4,
        "engine/incoming.py",
        (("            self.reader.request_read()\n", "            pass\n"),),
        (
            f"{STATUS}_4_a_success_before_the_opening_is_found_on_opening",
            f"{STATUS}_4_a_success_while_the_connection_was_down_is_found_on_reconnecting",
        ),
    ),
    Change(
        "no status read on opening anew: it has just been read",
        4,
        "engine/incoming.py",
        (
            (
                "        if self.reader is not None:\n            self.reader.request_read()\n",
                "        before = self.connection and self.connection._reconnects\n"
                "        anew = before is not None and before._failures\n"
                "        if self.reader is not None and not anew:\n"
                "            self.reader.request_read()\n",
            ),
        ),
        (
            f"{STATUS}_4_a_success_while_the_connection_was_down_is_found_on_reconnecting",
            f"{SMALL}_4_the_status_is_read_on_reconnecting",
        ),
    ),
    Change(
        "no status read before giving up",
        4,
        "engine/attempt.py",
        (("        await self._check_finally()\n", ""),),
        (
            f"{STATUS}_4_a_success_that_nobody_heard_is_found_before_the_code_is_given_up",
            f"{STATUS}_4_no_deadline_gives_up_without_a_final_check",
        ),
    ),
    Change(
        "close first, and then take the last look",
        4,
        "engine/attempt.py",
        (
            (
                "        await self._check_finally()\n",
                "        if self.incoming.connection is not None:\n"
                "            await self.incoming.connection.close()\n"
                "        await self._check_finally()\n",
            ),
        ),
        (f"{STATUS}_4_a_signal_is_heard_during_the_final_check",),
    ),
    Change(
        "take what the read under way answers for the last look",
        4,
        "engine/status.py",
        (
            (
                "if read.cancel_called and anyio.current_time() < read.deadline:",
                "if answer is None and read.cancel_called and anyio.current_time() < "
                "read.deadline:",
            ),
        ),
        (f"{STATUS}_4_what_was_asked_before_a_final_check_does_not_end_it",),
    ),
    Change(
        "an answer is an answer, whichever code it was asked about",
        4,
        "engine/incoming.py",
        (
            (
                "stale = answer.code is not progress.code and not isinstance(answer.signal, FINAL)",
                "stale = False",
            ),
        ),
        (f"{STATUS}_4_what_was_read_of_an_older_code_is_stale",),
    ),
    Change(
        "show a code that was read while no transport is there",
        4,
        "engine/incoming.py",
        (
            (
                "if connection is not None and not connection.listens:",
                "if connection is None:",
            ),
        ),
        (f"{STATUS}_4_a_newer_code_is_kept_back_until_a_transport_listens",),
    ),
    Change(
        "a new phase has a new deadline, but the owner waits for the old one",
        2,
        "engine/progress.py",
        (("            scope.deadline = ends\n", "            pass\n"),),
        (f"{PROGRESS}_2_a_deadline_that_comes_nearer_is_kept",),
    ),
    Change(
        "a code that cannot be shown is the end, the first or a rotation",
        4,
        "engine/progress.py",
        (
            (
                "            self._code_is_seen = self._code_is_seen or of_code\n",
                "            self._code_is_seen = False\n",
            ),
        ),
        (f"{PROGRESS}_4_a_rotation_that_cannot_be_shown_loses_no_success",),
    ),
    Change(
        "deliver the success twice, lest it be missed",
        4,
        "engine/observers.py",
        (
            (
                "            news.put(runner.deliver, carried)\n",
                "            news.put(runner.deliver, carried)\n"
                "            if event is Event.PAIRED:\n"
                "                news.put(runner.deliver, carried)\n",
            ),
        ),
        (f"{STATUS}_4_success_by_two_ways_at_once_is_delivered_once",),
    ),
    Change(
        "tell of a success as soon as it is read",
        4,
        "engine/incoming.py",
        (
            (
                '            logger.info("connected, %s by check_status", how)\n',
                '            logger.info("connected, %s by check_status", how)\n'
                "            pending = self._progress.pending\n"
                '            runner = self._progress.observers._hooks.get("on_connected")\n'
                "            if pending is not None and runner is not None:\n"
                "                runner.deliver(pending.carried)\n",
            ),
        ),
        (f"{STATUS}_4_success_found_by_the_status_is_delivered_once",),
    ),
    Change(
        "swallow a cancellation: the outcome says so",
        5,
        "engine/attempt.py",
        (
            (
                "            progress.decide(CANCELLED)\n            return True\n",
                "            progress.decide(CANCELLED)\n            return False\n",
            ),
        ),
        (GOES_ON,),
    ),
    Change(
        "a cancellation overrules a success that is closing",
        5,
        "engine/attempt.py",
        (
            (
                "                    await incoming.connection.close()\n            finally:\n",
                "                    await incoming.connection.close()\n"
                "            except BaseException:\n"
                "                progress.pending = CANCELLED\n                raise\n"
                "            finally:\n",
            ),
        ),
        (f"{LIFECYCLE}_5_a_success_that_is_closing_survives_a_native_cancellation",),
    ),
    Change(
        "the owner decides, whatever was decided before",
        5,
        "engine/progress.py",
        (
            (
                "        self._decide(MACHINE.row(self._state, transition.event), transition)\n",
                "        self.pending = None\n"
                "        self._decide(MACHINE.row(self._state, transition.event), transition)\n",
            ),
        ),
        (f"{LIFECYCLE}_5_a_success_that_was_decided_survives_a_cancellation",),
    ),
    Change(
        "walk on when a goodbye was cancelled natively",
        5,
        "engine/attempt.py",
        (("if progress.state not in ENDS:\n", "if progress.state is None:\n"),),
        (f"{LIFECYCLE}_5_a_native_cancellation_in_a_graceful_close_ends_in_idle",),
    ),
    Change(
        "say goodbye even when nothing can be awaited",
        5,
        "engine/connection.py",
        (("            self._abort(self.transport, Closing.FORCED)\n", "            pass\n"),),
        (f"{CONNECTION}_5_a_coroutine_that_is_closed_shuts_its_socket_at_once",),
    ),
    Change(
        "every cancellation is ours",
        5,
        "engine/user_code.py",
        ((" and not _is_our_cancellation(error):", " and False:"),),
        (FOREIGN,),
    ),
    Change(
        "no cancellation without a scope is ours",
        5,
        "engine/user_code.py",
        (
            (
                "    return native_cancellations() > 0\n",
                "    return anyio.get_current_task().has_pending_cancellation()\n",
            ),
        ),
        (f"{LIFECYCLE}_5_a_native_cancellation_waits_for_no_hook",),
    ),
    Change(
        "keep what a background task raised until all of them are done",
        5,
        "engine/user_code.py",
        (
            (
                "            self._raised = self._raised or error\n"
                "            self._group.cancel_scope.cancel()\n",
                "            self._raised = self._raised or error\n",
            ),
        ),
        (f"{MISUSE}_5_an_exit_in_the_background_closes_and_comes_out",),
    ),
    Change(
        "a background task that exits has ended, and no more",
        5,
        "engine/user_code.py",
        (("            self._raised = self._raised or error\n", ""),),
        (f"{MISUSE}_5_an_exit_in_the_background_closes_and_comes_out",),
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
        "engine/incoming.py",
        (
            (
                "        if code == progress.code:\n",
                '        logger.debug("a newer code: %s", code.reveal())\n'
                "        if code == progress.code:\n",
            ),
        ),
        (NO_TEXT,),
    ),
    Change(
        "the payload in a log line, as it is handed out",
        6,
        "engine/progress.py",
        (
            ("import math\n", "import logging\nimport math\n"),
            (
                "        self.code_was_shown = True\n",
                "        self.code_was_shown = True\n"
                '        logging.getLogger("qrlifecycle").debug("handed out: %s", code.reveal())\n',
            ),
        ),
        (NO_TEXT,),
    ),
    Change(
        "the payload in an exception's text",
        6,
        "secrecy.py",
        (('raise TypeError(f"a {name} may', 'raise TypeError(f"a {name} of {self.reveal()} may'),),
        ("tests/test_qr.py::test_promise_6_a_code_cannot_be_pickled_or_copied",),
    ),
    Change(
        "the text of anybody's exception in a log line",
        6,
        "engine/user_code.py",
        (
            (
                "    if not isinstance(error, QRLifecycleError):\n        what =",
                "    if not str(error):\n        what =",
            ),
        ),
        (NO_TEXT,),
    ),
    Change(
        "a constructor that says no keeps what it was given",
        6,
        "secrecy.py",
        (("        del self, args, kwargs\n", ""),),
        ("tests/test_secrets.py::test_promise_6_what_says_no_lets_go_of_what_it_was_given",),
    ),
    Change(
        "pickle what holds a secret",
        6,
        "secrecy.py",
        (("    def __reduce__(self)", "    def not_reduced(self)"),),
        ("tests/test_secrets.py::test_promise_6_what_holds_a_secret_is_not_pickled",),
    ),
    Change(
        "an outcome keeps the frames of its error",
        6,
        "engine/failures.py",
        (("        error.__traceback__ = error.__context__ = None\n", "        pass\n"),),
        ("tests/test_secrets.py::test_promise_6_an_outcomes_error_keeps_no_frame_with_a_secret",),
    ),
    Change(
        "keep the code after `displayed`",
        6,
        "engine/progress.py",
        (
            (
                "self.pending = self.verdict = self.code = self.action = None",
                "self.pending = self.verdict = self.action = None",
            ),
        ),
        (f"{LIFECYCLE}_6_the_code_is_forgotten_when_displayed_is_left",),
    ),
    Change(
        "a slow hook is shown what it has missed",
        6,
        "engine/observers.py",
        (("                showing.forget()\n", "                pass\n"),),
        (f"{PROGRESS}_6_what_a_slow_hook_was_not_told_is_past_when_the_state_is_left",),
    ),
    Change(
        "accept a foreign bot's message",
        7,
        "transports/messages.py",
        (
            (
                "        if whose is Whose.ANOTHERS:\n            return",
                "        if whose is None:\n            return",
            ),
        ),
        ("tests/test_messages.py::test_promise_7_what_is_for_another_is_foreign",),
    ),
    Change(
        "let a malformed message raise",
        7,
        "transports/messages.py",
        (
            (
                "            raise unsaid(keys_of(owner))\n    except BaseException as error:\n",
                "            raise unsaid(keys_of(owner))\n    except ValueError as error:\n",
            ),
        ),
        (
            "tests/test_messages.py::test_promise_7_what_cannot_be_read_is_malformed_and_raises_nothing",
        ),
    ),
    Change(
        "take what names nobody for ours where each message must name its owner",
        7,
        "transports/messages.py",
        (("whose is Whose.NOBODYS and isinstance", "whose is None and isinstance"),),
        ("tests/test_messages.py::test_promise_7_what_names_nobody_is_not_ours_with_an_owner",),
    ),
    Change(
        "take a payload that is no object for an empty one",
        7,
        "transports/messages.py",
        (("    return given[0] if given else {}\n", "    return {}\n"),),
        ("tests/test_messages.py::test_promise_7_a_payload_that_is_no_object_is_not_an_empty_one",),
    ),
    Change(
        "log each message that cannot be read",
        7,
        "transports/drops.py",
        (("if alike in said or len(said) >= MOST_SAID:", "if len(said) > 1_000_000:"),),
        ("tests/test_logs.py::test_promise_7_messages_that_all_differ_are_bounded_too",),
    ),
    Change(
        "log what comes again each time",
        7,
        "logs.py",
        (("        return said[line] == 1 and", "        return"),),
        ("tests/test_logs.py::test_promise_7_what_comes_again_in_an_attempt_is_said_once",),
    ),
    Change(
        "give up without looking at what has arrived",
        4,
        "engine/attempt.py",
        (("            await incoming.connection.catch_up()\n", "            pass\n"),),
        (
            "tests/engine/test_connection.py::test_promise_4_what_has_arrived_by_the_deadline_is_heard",
        ),
    ),
    Change(
        "give up an attempt in which no code came without reading the status",
        4,
        "engine/attempt.py",
        (
            (
                "progress.code_was_shown or progress.state is State.GENERATING",
                "progress.code_was_shown",
            ),
        ),
        ("tests/engine/test_status.py::test_promise_4_where_no_code_comes_the_status_is_read",),
    ),
    Change(
        "let the first Ctrl-C have all the time it wants",
        2,
        "cli/stopping.py",
        (("if self._ask is not None and self.code is None:", "if self._ask is not None:"),),
        ("tests/test_cli.py::test_promise_2_a_second_interrupt_forces_the_exit",),
    ),
    Change(
        "print whatever is not below a space",
        7,
        "monitoring/printable.py",
        (("c if c.isprintable() else", 'c if c >= " " else'),),
        ("tests/test_cli.py::test_promise_7_foreign_text_does_nothing_to_a_terminal",),
    ),
    Change(
        "count what was dropped while the transport is still there",
        1,
        "engine/connection.py",
        (
            (
                '            if (answer := cast("object", transport.abort())) is not None:\n',
                "            self._observers.count(transport.dropped)\n"
                '            if (answer := cast("object", transport.abort())) is not None:\n',
            ),
        ),
        (
            "tests/engine/test_connection.py::test_promise_1_the_socket_is_shut_before_anything_else_is_asked_of_a_transport",
        ),
    ),
    Change(
        "wait for attachments until they come",
        7,
        "transports/client.py",
        (("            self._binary_packet = None\n", "            pass\n"),),
        (
            "tests/socketio/test_messages.py::test_promise_7_attachments_that_do_not_come_deafen_nobody",
        ),
    ),
    Change(
        "leave the answers of a polled server to whoever reads them",
        8,
        "transports/ledger.py",
        (
            (
                "            for answer in self._answers:\n                answer.close()\n",
                "",
            ),
        ),
        (
            f"{SOCKETIO}/test_polling.py::"
            "test_promise_8_an_answer_without_end_to_what_was_sent_is_let_go_of",
        ),
    ),
    Change(
        "let the client library try an opening once more",
        3,
        "transports/ledger.py",
        (("            self._session._retry_connection = False\n", ""),),
        (
            "tests/socketio/test_handshake.py::test_promise_3_an_opening_that_is_cut_off_is_tried_once",
        ),
    ),
    Change(
        "keep every signal until somebody asks",
        7,
        "transports/buffer.py",
        (("        self._signals[topic] = signal\n", "        self._signals[signal] = signal\n"),),
        ("tests/test_buffer.py::test_promise_7_a_flood_costs_no_memory",),
    ),
    Change(
        "keep the signals that were refused, for a report",
        7,
        "engine/incoming.py",
        (
            (
                '__all__ = ["Incoming"]\n',
                '__all__ = ["Incoming"]\nREFUSED: list[Signal] = []\n',
            ),
            (
                "            progress.observers.count({refused.event.value: 1})\n",
                "            REFUSED.append(signal)\n"
                "            progress.observers.count({refused.event.value: 1})\n",
            ),
        ),
        (f"{LIFECYCLE}_7_a_flood_of_signals_is_not_kept",),
    ),
    Change(
        "let a signal out of place raise",
        7,
        "engine/incoming.py",
        (
            (
                "        except EventRefused as refused:\n",
                "        except ZeroDivisionError as refused:\n",
            ),
        ),
        (f"{LIFECYCLE}_7_a_signal_out_of_place_raises_nothing",),
    ),
    Change(
        "call a transport listening while it is being closed",
        4,
        "engine/connection.py",
        (
            (
                "            self.phase = NEXT_PHASE[self.phase, Step.CLOSE]\n        how,",
                "            pass\n        how,",
            ),
            (
                "            self.phase = NEXT_PHASE[self.phase, Step.CLOSED]\n",
                "            self.phase = Phase.ABSENT\n",
            ),
        ),
        (
            "tests/test_exploration.py::"
            "test_promise_4_a_newer_code_read_while_the_connection_closes_is_kept_back",
        ),
    ),
    Change(
        "let an observer lag behind as far as it likes",
        7,
        "engine/hooks.py",
        (("    del backlog[:-BACKLOG]\n", ""),),
        (f"{OBSERVERS}_7_a_backlog_forgets_the_oldest_and_keeps_the_end",),
    ),
    Change(
        "record each rotation that a peer invents",
        7,
        "engine/recording.py",
        (("            if again or len(told) >= MOST_INTERNAL:\n", "            if again:\n"),),
        ("tests/test_records.py::test_promise_7_internal_changes_have_a_limit",),
    ),
    Change(
        "take a server's word for how long it may be silent",
        7,
        "transports/socketio/transport.py",
        (
            (
                "            if 0 < beat <= self._wire.heartbeat:  # NaN is neither\n",
                "            if beat > 0:\n",
            ),
        ),
        (
            f"{SOCKETIO}/test_hostile_peers.py::"
            "test_promise_7_a_heartbeat_that_cannot_be_meant_is_not_taken_over",
        ),
    ),
    Change(
        "keep a torn message until its attachments come",
        7,
        "transports/socketio/protocol.py",
        (
            (
                "        self._partial = None\n        packet = _if_readable(",
                "        packet = _if_readable(",
            ),
            (
                "        self._partial = None\n        return (Drop.MALFORMED,) if",
                "        return (Drop.MALFORMED,) if",
            ),
        ),
        (f"{PROTOCOL}_7_a_message_whose_attachments_do_not_come_is_dropped",),
    ),
    Change(
        "keep whatever is attached",
        7,
        "transports/socketio/protocol.py",
        (
            (
                "        if packet is not None and self._room >= 0:\n",
                "        if packet is not None:\n",
            ),
        ),
        (f"{PROTOCOL}_7_attachments_have_a_limit_together",),
    ),
    Change(
        "take an object in a list for nobody's",
        7,
        "transports/owner.py",
        ((" if isinstance(one, list) else []\n", " if one is None else []\n"),),
        (
            "tests/test_messages.py::"
            "test_promise_7_what_names_another_does_so_however_it_is_wrapped",
        ),
    ),
    Change(
        "take a server that never says anything for a healthy one",
        4,
        "transports/socketio/protocol.py",
        (
            (
                "not self.joined and not _has_sid(packet.data):\n",
                "not self.joined and not packet:\n",
            ),
        ),
        (f"{PROTOCOL}_4_a_server_of_socketio_2_is_told_apart",),
    ),
    Change(
        "let the client's tasks end when they like",
        8,
        "transports/async_client.py",
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
                "                self._attempt = Attempt(self._progress, self._service)\n",
                "                self._attempt = Attempt(self._progress, self._service)\n"
                '                __import__("os").dup(1)\n',
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
        "engine/status.py",
        (
            (
                "            with anyio.CancelScope(deadline=until) as waiting:\n"
                "                await self._requested.wait()\n",
                "            import asyncio\n\n"
                "            waiting = anyio.CancelScope()\n"
                "            interval = min(self._progress.policy.status_interval, 60)\n"
                "            asyncio.get_running_loop().call_later(interval, self.request_read)\n"
                "            await self._requested.wait()\n",
            ),
        ),
        (f"{SMALL}_8_no_timer_is_left",),
    ),
    Change(
        "leave the reader of the status to itself",
        8,
        "engine/attempt.py",
        (("                    incoming.reader.stop()\n", "                    pass\n"),),
        (f"{STATUS}_8_nobody_reads_on_when_pair_has_returned",),
    ),
    Change(
        "let the reader of the status stop when it likes",
        8,
        "engine/status.py",
        (("            self.scope.cancel()\n", "            self._backoff.reset()\n"),),
        (f"{STATUS}_8_nobody_reads_on_when_pair_has_returned",),
    ),
    Change(
        "keep a forgotten iterator, it may be asked again",
        8,
        "engine/observers.py",
        (
            (
                "        self._iterators = [ref for ref in self._iterators if ref() is not None]\n",
                "",
            ),
        ),
        (f"{OBSERVERS}_8_an_iterator_that_nobody_keeps_is_gone",),
    ),
    Change(
        "a poll that may be a write has a deadline like any other",
        4,
        "engine/status.py",
        (("math.inf if policy.finish_reads else policy.status_timeout", "policy.status_timeout"),),
        (f"{FINISHED}_4_no_deadline_of_a_read_cuts_it_off",),
    ),
    Change(
        "what is told once is told too late, when a code is being left",
        4,
        "engine/incoming.py",
        (("            self.late_success = paired\n", "            pass\n"),),
        (f"{FINISHED}_4_a_success_that_is_found_while_the_state_is_left_counts",),
    ),
    Change(
        "finish a read that nobody waits for any more",
        8,
        "engine/attempt.py",
        (
            (
                "                        self.incoming.reader.abandon()\n",
                "                        pass\n",
            ),
        ),
        (f"{FINISHED}_8_an_end_cuts_off_what_is_being_finished",),
    ),
    Change(
        "have the lease afresh for each code",
        9,
        "engine/lease.py",
        (("        if self.held:\n            return True\n", ""),),
        (f"{LEASE}_a_lease_is_held_through_refreshes_and_given_back_last",),
    ),
    Change(
        "heed a lost lease only where somebody waits by then",
        9,
        "waiting.py",
        (
            (
                "    await anyio.sleep(seconds)\n"
                "    await anyio.lowlevel.checkpoint_if_cancelled()\n",
                "    await anyio.sleep(seconds)\n",
            ),
        ),
        (f"{LEASE}_a_loss_as_a_pause_ends_is_before_the_next_request",),
    ),
    Change(
        "heed a lost lease after another code was asked for",
        9,
        "engine/lease.py",
        (
            (
                "            progress.decide(self._failure(error))\n            progress.wake()\n",
                "            if progress.pending is None:\n"
                "                progress.decide(self._failure(error))\n"
                "            progress.wake()\n",
            ),
        ),
        (f"{LEASE}_a_loss_replaces_another_code_that_was_about_to_be_asked_for",),
    ),
)
