"""The dashboard study: its days are what they say, and its books agree. Real sockets, no wait."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .dashboard.day import LIFETIMES, Act, Assumptions, Day, Moment, make_day
from .dashboard.designs import DESIGNS, CodePollingTab, LifecycleTab, PagePollingTab
from .dashboard.living import Account, live
from .dashboard.page import MARKS
from .dashboard.socket_tabs import SocketPerPageTab, SocketPerVisitTab
from .dashboard.study import KINDS, ORDINARY, PAIRING, Lived, Study, percentile, plans
from .dashboard.tab import Tab
from .dashboard.tables import share, tables

BUSY = Assumptions(
    visits=3, hours=0.05, pages=2, minutes_on_page=0.1, code_share=1, codes_per_visit=2,
    form_seconds=2, abandonment=0.4,
)  # fmt: skip
"""A short day in which everything happens."""

ENDS = {Act.SCAN, Act.EXPIRE, Act.GIVE_UP}

days = st.builds(
    make_day,
    st.builds(
        Assumptions,
        visits=st.integers(1, 12),
        pages=st.floats(1, 9),
        minutes_on_page=st.floats(0.01, 20),
        code_share=st.floats(0, 1),
        codes_per_visit=st.integers(1, 4),
        form_seconds=st.floats(0.1, 60),
        scan_delay=st.floats(1, 200),
        abandonment=st.floats(0, 1),
    ),
    st.integers(0, 1000),
)


def visits_of(day: Day) -> Iterator[list[Moment]]:
    """Each visit's moments, in order."""
    moments = sorted(day.moments, key=lambda moment: (moment.visit, moment.order))
    for _, visit in groupby(moments, key=lambda moment: moment.visit):
        yield list(visit)


# The day


def test_the_same_seed_makes_the_same_day() -> None:
    """A day is its assumptions and its seed, and nothing else."""
    assert make_day(BUSY, 7) == make_day(BUSY, 7)
    assert make_day(BUSY, 7).moments != make_day(BUSY, 8).moments


@given(days)
@settings(max_examples=50)
def test_time_goes_on(day: Day) -> None:
    """A day's moments are in order, and so are each visit's."""
    for moments in (day.moments, *visits_of(day)):
        assert all(one.at <= other.at for one, other in pairwise(moments))


@given(days)
@settings(max_examples=50)
def test_nothing_happens_to_a_code_before_it_is_shown(day: Day) -> None:
    """A code is shown in an open dialog on a page, and ends once, in one of three ways."""
    for visit in visits_of(day):
        acts = [moment.act for moment in visit]
        assert acts[0] is Act.PAGE
        assert acts[-1] is Act.LEAVE
        assert acts.count(Act.LEAVE) == 1
        dialog = code = False
        for act in acts:
            assert code is (act is Act.ROTATE or act in ENDS)
            assert dialog or act not in {Act.CODE, Act.SHUT}
            assert not (dialog and act in {Act.PAGE, Act.WIZARD, Act.LEAVE})
            dialog = act is Act.WIZARD or (dialog and act is not Act.SHUT)
            code = act is Act.CODE or act is Act.ROTATE


@given(days)
@settings(max_examples=50)
def test_a_code_is_replaced_when_it_has_lived(day: Day) -> None:
    """The n-th code of a round comes when those before it have run out, as long as nobody scans."""
    for visit in visits_of(day):
        shown, lifetimes = 0, iter(LIFETIMES)
        for moment in visit:
            if moment.act is Act.CODE:
                shown, lifetimes = moment.at, iter(LIFETIMES)
            elif moment.act is Act.ROTATE:
                shown += next(lifetimes) * 1000
                assert moment.at == pytest.approx(shown, abs=1)
            elif moment.act is Act.SCAN:
                assert moment.at - shown <= next(lifetimes) * 1000 + 1


@given(days)
@settings(max_examples=50)
def test_as_many_codes_are_shown_as_assumed(day: Day) -> None:
    """The share of visits that show a code is met exactly, whatever the seed."""
    assumed = day.assumptions
    showing = sum(any(moment.act is Act.CODE for moment in visit) for visit in visits_of(day))
    assert abs(showing - assumed.visits * assumed.code_share) <= 0.5
    assert day.count(Act.CODE) == showing * assumed.codes_per_visit
    assert sum(day.count(end) for end in ENDS) == day.count(Act.CODE)


def test_nobody_scans_what_everybody_abandons() -> None:
    """With an abandonment of all codes there is no scan; with none there is no other end."""
    assert make_day(replace(BUSY, abandonment=1), 7).count(Act.SCAN) == 0
    hasty = make_day(replace(BUSY, abandonment=0, scan_delay=1), 7)
    assert hasty.count(Act.SCAN) == hasty.count(Act.CODE)


def test_a_change_changes_nothing_else() -> None:
    """Slower scans leave every arrival and every page's stay as it was."""
    slow, quick = (make_day(replace(BUSY, scan_delay=delay), 7) for delay in (50, 5))
    for one, other in zip(visits_of(slow), visits_of(quick), strict=True):
        assert one[0] == other[0]
        assert sum(m.act is Act.PAGE for m in one) == sum(m.act is Act.PAGE for m in other)


# Living it


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets want real time."""
    return "asyncio"


@pytest.fixture(scope="module")
def busy() -> Day:
    """The short day."""
    day = make_day(BUSY, 7)
    assert all(day.count(act) for act in Act)
    return day


def held(day: Day, begins: set[Act], ends: set[Act]) -> float:
    """Seconds between moments that begin something and those that end it, of all visits."""
    total = 0
    for visit in visits_of(day):
        began: int | None = None
        for moment in visit:
            if began is not None and moment.act in ends:
                total, began = total + moment.at - began, None
            if began is None and moment.act in begins:
                began = moment.at
    return total / 1000


@pytest.mark.anyio
async def test_ours_holds_a_socket_exactly_while_a_code_is_shown(busy: Day) -> None:
    """One opening for each code, and as many socket-seconds as codes were on screen."""
    account = await live(busy, LifecycleTab)
    assert account.openings == account.codes == busy.count(Act.CODE)
    assert account.socket_seconds == held(busy, {Act.CODE}, ENDS)
    assert account.socket_log_lines == 2 * account.openings
    assert len(account.successes) == busy.count(Act.SCAN)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_socket_per_page_dialog_and_code_holds_all_three(busy: Day) -> None:
    """An opening for each page, each dialog and each code, for as long as each is there."""
    account = await live(busy, SocketPerPageTab)
    assert account.openings == sum(busy.count(act) for act in (Act.PAGE, Act.WIZARD, Act.CODE))
    assert account.socket_seconds == pytest.approx(
        held(busy, {Act.PAGE}, {Act.LEAVE})
        + held(busy, {Act.WIZARD}, {Act.SHUT})
        + held(busy, {Act.CODE}, ENDS)
    )
    assert account.log_lines == 3 * account.openings + account.codes
    assert len(account.successes) == busy.count(Act.SCAN)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_socket_per_visit_is_opened_once(busy: Day) -> None:
    """One opening for each visit, from its first page to its end."""
    account = await live(busy, SocketPerVisitTab)
    assert account.openings == busy.count(Act.LEAVE)
    assert account.socket_seconds == held(busy, {Act.PAGE}, {Act.LEAVE})
    assert len(account.successes) == busy.count(Act.SCAN)


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("design", "begins", "ends"),
    [
        pytest.param(CodePollingTab, Act.CODE, ENDS, id="code"),
        pytest.param(PagePollingTab, Act.PAGE, {Act.LEAVE}, id="page"),
    ],
)
async def test_polling_asks_each_second(design: type[Tab], begins: Act, ends: set[Act]) -> None:
    """A request for each second while a code, or a page, is shown; success waits for the next."""
    busy = make_day(replace(BUSY, abandonment=0, scan_delay=4), 7)
    account = await live(busy, design)
    assert account.openings == account.socket_seconds == account.socket_log_lines == 0
    polls = account.requests - account.codes
    assert abs(polls - held(busy, {begins}, ends)) <= busy.count(begins)
    assert len(account.successes) == busy.count(Act.SCAN)


class LeakingTab(SocketPerVisitTab):
    """Forgets a socket that it still holds."""

    name = "a leak"

    async def open_wizard(self) -> None:
        """Where it forgets it."""
        self.forgotten = self._open.pop("visit")

    async def leave(self) -> None:
        """Closes it too late."""
        await self.forgotten.close()
        await super().leave()


@pytest.mark.anyio
async def test_a_leak_is_noticed() -> None:
    """A day in which the server sees more sockets than the clients say is broken off."""
    day = make_day(replace(BUSY, visits=1, abandonment=1), 7)
    with pytest.raises(RuntimeError, match="1 sockets are open at the server"):
        await live(day, LeakingTab, patience=0.2)


# What is said of it


def account_of(design: type[Tab], openings: int, seconds: float) -> Account:
    """A made-up account."""
    return Account(
        design=design.name, codes=2, openings=openings, socket_seconds=seconds, most=2,
        heartbeats=int(seconds // 25), log_lines=3 * openings + 2, socket_log_lines=2 * openings,
        requests=openings + 2, connections=openings + 1, bytes_in=100, bytes_out=200,
        cpu_seconds=0.5, memory_kilobytes=128, successes=(0.002, 0.5),
        open_sockets=((0, 1), (9, 0)),
    )  # fmt: skip


@pytest.fixture
def study() -> Study:
    """A made-up study: ours opens 1 socket for 5 s, the others 200 for 1000 s."""
    nobody = replace(account_of(Tab, 0, 0), cpu_seconds=0.25)
    others = (account_of(design, 200, 1000) for design in DESIGNS if design is not LifecycleTab)
    accounts = (nobody, *others, account_of(LifecycleTab, 1, 5))
    lived = tuple(Lived(plan.name, plan.varied, plan.assumptions, accounts) for plan in plans())
    return Study(7, 1, "a machine", lived)


def test_a_study_survives_json(study: Study) -> None:
    """What is read again is what was written."""
    assert Study.from_json(json.loads(json.dumps(study.to_json()))) == study


def test_each_design_and_each_change_is_in_a_table(study: Study) -> None:
    """The tables name both days, every design and every change, and the share that is saved."""
    text = "\n".join(table.plain() for table in tables(study))
    for name in (ORDINARY, PAIRING, *(design.name for design in DESIGNS)):
        assert name in text
    assert text.count("(the ordinary day)") == len({plan.varied for plan in plans()} - {""})
    assert "99.50 %" in text
    assert all(len(row) == len(table.head) for table in tables(study) for row in table.rows)


def test_a_difference_within_the_noise_is_not_said_to_be_nothing(study: Study) -> None:
    """CPU above that of a day on which nobody listens is at least a tenth of that day's."""
    ours = study.ordinary.of(LifecycleTab)
    assert study.ordinary.cpu(ours) == 0.25
    assert study.ordinary.cpu(replace(ours, cpu_seconds=0.24)) == 0.025


def test_a_share_is_never_rounded_up_to_all() -> None:
    """What is nearly all is not said to be all, and what is nearly 99 % not 99 %."""
    assert [share(value) for value in (0.99999, 0.98999, 0.99, 0.5)] == [
        "99.99 %", "98.9 %", "99.00 %", "50.0 %",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([1.0], 99, 1.0), ([1.0, 2.0], 50, 1.0), (list(map(float, range(1, 201))), 99, 198.0)],
)
def test_a_percentile_is_one_of_the_values(
    values: list[float], percent: float, expected: float
) -> None:
    """The nearest rank: the smallest value that so many per cent are not above."""
    assert percentile(values, percent) == expected


def test_a_smaller_study_still_shows_codes() -> None:
    """However few visits are lived of a day, one of them shows a code."""
    for plan in plans(0.001):
        assert make_day(plan.assumptions, 7).count(Act.CODE) >= 1
    assert {plan.name for plan in plans() if not plan.varied} == set(KINDS)


def test_the_page_keeps_its_own_words(study: Study, tmp_path: Path) -> None:
    """Only what stands between the marks is made; to make it again changes nothing."""
    pytest.importorskip("matplotlib", reason="the plot needs the extra 'plot'")
    from .dashboard import page

    written = tmp_path / "measured.md"
    written.write_text("before\n<!-- made: finding -->\nold\n<!-- end -->\nafter\n")
    page.write(study, tmp_path)
    text = written.read_text()
    assert text.startswith("before\n<!-- made: finding -->\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "**99.50 %**" in text
    assert "old" not in text
    assert page.fill(text, study) == text
    assert "<svg" in (tmp_path / "images" / "measured.svg").read_text()


def test_the_front_pages_figures_are_the_pages() -> None:
    """What the front page says of the two days was measured last; so was what the README says."""
    top = Path(__file__).parents[2]
    finding = MARKS.search((top / "docs" / "measured.md").read_text())
    assert finding is not None
    figures = re.findall(r"\*\*([\d.]+ %)\*\*", finding[0])
    front = (top / "docs" / "index.md").read_text()
    section = front.partition("## What it saves")[2].partition("```")[0]
    assert re.findall(r"[\d.]+\s%", section.replace("\n", " ")) == figures
    assert re.findall(r"[\d.]+ %", (top / "README.md").read_text()) == figures[:1]
