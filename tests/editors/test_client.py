"""A conversation with the API: what is paid and reserved, how faults end, and that the stand-in is strict."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from agent.core.errors import BadInput, HarnessError, Paused, SpendingCapReached, Unreachable
from agent.core.records import SpendRecord
from agent.editors import models
from agent.editors.client import with_timeout
from agent.editors.spending import Spending
from agent.store.ledger import Ledger
from tests.support import claude
from tests.support.claude import KEY, text, usage, use
from tests.support.editing import BRIEF, DEEPER, IDEA, RESUME, Bench, edit, opened
from tests.support.project import ROOT


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield from opened(tmp_path)


# --- money ------------------------------------------------------------------------------------------------


def test_what_is_paid_is_right_to_the_cent_with_cached_tokens(bench: Bench) -> None:
    bench.server.reply(edit(), used=usage(1_000, 2_000, cached=40_000, read=0))
    bench.server.reply(text("done"), used=usage(500, 300, cached=2_000, read=40_000))
    bench.write()
    first, second = (record for record in bench.records if record.settled)
    assert (first.usd, second.usd) == (0.122, 0.017)  # 2e-3 + 20e-3 + 100e-3; 1e-3 + 3e-3 + 5e-3 + 8e-3
    assert (second.cache_write_tokens, second.cache_read_tokens, second.variant) == (2_000, 40_000, "1A")
    assert bench.usd == pytest.approx(0.139)


def test_a_reservation_holds_the_most_that_the_call_can_cost(bench: Bench) -> None:
    bench.server.tokens = 20_000
    bench.server.reply(edit())
    bench.server.reply(text("done"))
    bench.write()
    assert bench.records[0].usd == pytest.approx(0.32 + 2.5e-6 * (20_000 * 1.05 + 200))
    assert bench.records[0].output_tokens == 32_000


GARBAGE = [b"<html>", b"{}", b"[]", b'"x"', b"[" * 100_000, b"[" * 90 + b"]" * 90, b"\xff\xfe"]
USAGES = [b'{"input_tokens": -5}', b'{"input_tokens": "9", "output_tokens": 1}', b"null", b'{"input_tokens": 9}']


@pytest.mark.parametrize("body", [*GARBAGE, *(b'{"usage": %s}' % used for used in USAGES)])
def test_garbage_is_no_draft_and_its_reservation_stays_in_full(bench: Bench, body: bytes) -> None:
    bench.server.raw(body)
    draft = bench.write()
    assert "no reply of the API" in draft.failure
    assert [record.settled for record in bench.records] == [False]


@pytest.mark.parametrize("body", [*GARBAGE, b'{"input_tokens": -5}'])
def test_a_garbled_count_fails_the_draft_before_anything_is_paid(bench: Bench, body: bytes) -> None:
    bench.server.raw(body, counting=True)
    assert "how many tokens" in bench.write().failure
    assert bench.records == []


def capped(bench: Bench, cap: str) -> None:
    caps = models.read({}).caps.model_copy(update={cap: 33_500 if "tokens" in cap else Decimal("0.33")})
    bench.changes = {"caps": caps}
    for n in range(4):
        bench.server.reply(edit(f"t{n}"), used=usage(1_000, 500))


@pytest.mark.parametrize("cap", ["usd_per_variant", "tokens_per_variant"])
def test_a_variants_cap_fails_its_draft_before_the_call_that_could_exceed_it(bench: Bench, cap: str) -> None:
    capped(bench, cap)
    assert bench.write().failure.startswith("the cap of")
    assert len(bench.server.requests) < 4
    assert bench.usd <= 0.33 or "tokens" in cap


@pytest.mark.parametrize("cap", ["usd_per_campaign", "tokens_per_campaign"])
def test_a_campaigns_cap_pauses_before_the_call_that_could_exceed_it(bench: Bench, cap: str) -> None:
    capped(bench, cap)
    with pytest.raises(SpendingCapReached) as stop:
        bench.write()
    assert stop.value.exit_code == 3
    assert "raise it" in str(stop.value)
    assert len(bench.server.requests) < 4
    assert bench.usd <= 0.33 or "tokens" in cap


_USAGES = st.lists(st.tuples(*[st.integers(0, 400)] * 3, st.integers(0, 100), st.booleans()), min_size=1, max_size=8)


@how(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_USAGES, st.integers(1, 60))
def test_no_usage_that_a_server_bills_gets_beyond_the_cap(
    bench: Bench, used: list[tuple[int, int, int, int, bool]], milli: int
) -> None:
    bench.server.tokens, bench.records[:], bench.server._script[:] = 1200, [], []
    caps = models.read({}).caps.model_copy(update={"usd_per_campaign": Decimal(milli) / 10_000})
    bench.changes = {"caps": caps, "max_tokens": 100}
    billed = 0.0
    for n, (plain, to_cache, read, out, lost) in enumerate(used):
        one = usage(plain, out, to_cache, read)
        bench.server.reply(use(f"t{n}", command="view", path="train.py"), used={} if lost else one)
    before = len(bench.server.requests)
    with suppress(Paused):
        bench.write()
    for plain, to_cache, read, out, _ in used[: len(bench.server.requests) - before]:
        billed += (plain * 2 + to_cache * 2.5 + read * 0.2 + out * 10) / 1e6
    assert billed <= float(caps.usd_per_campaign) + 1e-12
    assert bench.usd <= float(caps.usd_per_campaign) + 1e-12


KILLED = """
import sys
from pathlib import Path
from agent.core.proposals import Brief, Idea
from agent.editors import models
from agent.editors.anthropic import Claude
from agent.editors.spending import Spending
from agent.store.ledger import Ledger
book = Ledger(Path(sys.argv[1]), Path(sys.argv[2]))
settings = models.read({})
Claude(settings, Spending(5, settings, [], book.append)).write(Brief("r", "q", {"train.py": "a = 1"}),
    Idea("1A", "t", "h", "e"), "", Path(sys.argv[3]))
"""


def test_a_kill_in_the_middle_of_a_call_leaves_its_reservation_counted(bench: Bench, tmp_path: Path) -> None:
    bench.server.reply(text("too late"), delay_s=30)
    paths = [tmp_path / name for name in ("ledger.jsonl", "lock", "folder")]
    argv = [sys.executable, "-c", KILLED, *map(str, paths)]
    process = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **bench.server.environment})
    until = time.monotonic() + 60
    while not bench.server.requests and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    spent = Ledger(paths[0], paths[1]).records_of(SpendRecord, 5)
    assert [record.settled for record in spent] == [False]
    book = Spending(5, models.read({}, max_usd=0.4), spent, bench.records.append)
    assert book.usd() > 0.32
    with pytest.raises(SpendingCapReached):
        book.reserve("1A", 1000, 32_000)


# --- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counting", [True, False])
def test_a_passing_fault_is_waited_out_as_the_service_asks_and_costs_nothing(bench: Bench, counting: bool) -> None:
    bench.server.fault(429, counting=counting, retry_after="7")
    bench.server.fault(529, counting=counting)
    bench.server.fault(409, counting=counting)
    bench.server.reply(edit(), used=usage(1000, 100))
    bench.server.reply(text("done"), used=usage(0, 0))
    assert bench.write().files == {"train.py": DEEPER}
    assert bench.waits == [7.0, 2.0, 4.0]
    assert bench.usd == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {"retry_after": "3600"}), (429, {"retry_after": "0"}), (429, {}), (529, {}), (503, {}), (500, {})],
)
def test_a_fault_that_lasts_pauses_within_our_own_deadline_with_the_command_that_goes_on(
    bench: Bench, status: int, headers: dict[str, str]
) -> None:
    for _ in range(60):
        bench.server.fault(status, "try later", **headers)  # type: ignore[arg-type]
    with pytest.raises(Unreachable) as pause:
        bench.write()
    assert pause.value.exit_code == 3
    assert str(status) in str(pause.value)
    assert RESUME in str(pause.value)
    assert sum(bench.waits) < 900
    assert len(bench.waits) < 30
    assert bench.usd <= 5


def test_a_fault_after_which_nobody_knows_what_was_billed_is_tried_three_times_and_counted_each(bench: Bench) -> None:
    for _ in range(9):
        bench.server.fault(500)
    with pytest.raises(Unreachable):
        bench.write()
    assert [record.settled for record in bench.records] == [False] * 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 429, 529])
def test_a_call_that_was_surely_not_billed_costs_nothing(bench: Bench, status: int) -> None:
    bench.server.fault(status, retry_after="99999")
    with suppress(HarnessError):
        bench.write()
    assert [record.settled for record in bench.records] == [False, True]
    assert bench.usd == 0


@pytest.mark.parametrize("counting", [True, False])
@pytest.mark.parametrize(
    ("status", "kind", "step"),
    [
        (401, BadInput, "set ANTHROPIC_API_KEY"),
        (403, BadInput, "set ANTHROPIC_API_KEY"),
        (402, Paused, f"go on with: {RESUME}"),
        (404, BadInput, "has no model 'claude-sonnet-5-5'"),
        (400, BadInput, "models.yaml"),
    ],
)
def test_a_fault_that_no_wait_mends_is_raised_at_once_with_what_to_do(
    bench: Bench, status: int, kind: type[HarnessError], step: str, counting: bool
) -> None:
    bench.server.fault(status, f"no {KEY} @all", counting=counting)
    with pytest.raises(kind) as error:
        bench.write()
    assert step in str(error.value)
    assert KEY not in str(error.value) + bench.transcript
    assert (type(error.value), bench.waits) == (kind, [])


@pytest.mark.parametrize(
    ("status", "message"), [(413, "too big"), (400, "prompt is too long: 1200000 tokens > 1000000 maximum")]
)
def test_a_request_that_is_too_large_fails_the_draft_and_not_the_campaign(
    bench: Bench, status: int, message: str
) -> None:
    bench.server.fault(status, message, counting=True)
    assert "too l" in bench.write().failure
    assert bench.records == []


def test_a_gateway_that_cannot_count_gets_a_token_reserved_for_every_byte(bench: Bench) -> None:
    bench.server.cannot_count = True
    bench.server.reply(edit(), used=usage(1000, 100))
    bench.server.reply(text("done"), used=usage(0, 0))
    assert bench.write().files == {"train.py": DEEPER}
    assert bench.records[0].cache_write_tokens > len(json.dumps(bench.server.requests[0]["messages"]))


def test_a_wrong_key_is_bad_input(bench: Bench) -> None:
    editor = bench.editor({**bench.server.environment, "ANTHROPIC_API_KEY": "sk-ant-wrong"})
    with pytest.raises(BadInput, match="401"):
        editor.ideas(BRIEF, 1, bench.folder)


def test_a_model_that_the_api_does_not_know_is_bad_input(bench: Bench) -> None:
    bench.changes = {"model": "claude-old", "prices": {"claude-old": models.read({}).price}}
    with pytest.raises(BadInput, match=r"has no model 'claude-old' .*\n  set AUTORESEARCH_MODEL \(or --model\)"):
        bench.write()


def test_a_dropped_connection_is_tried_again_and_its_reservation_stays(bench: Bench) -> None:
    bench.server.drop()
    bench.server.reply(edit(), used=usage(1000, 100))
    bench.server.reply(text("done"), used=usage(0, 0))
    assert bench.write().files == {"train.py": DEEPER}
    assert [record.settled for record in bench.records] == [False, False, True, False, True]
    assert bench.usd > 0.32


def test_a_refused_connection_is_waited_for_and_then_pauses_at_no_cost(bench: Bench) -> None:
    editor = bench.editor({**bench.server.environment, "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match="no connection"):
        editor.write(BRIEF, IDEA, "", bench.folder)
    assert bench.usd == 0
    assert 500 < sum(bench.waits) < 900


@pytest.mark.parametrize("slow", [{"delay_s": 30.0}, {"drip_s": 0.05}])
def test_a_slow_reply_does_not_outlast_the_deadline_even_if_it_trickles(bench: Bench, slow: dict[str, float]) -> None:
    bench.changes = {"deadline_s": 0.7}
    bench.server.reply(text("x" * 10_000), **slow)  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(Unreachable):
        bench.write()
    assert time.monotonic() - began < 5
    assert [record.settled for record in bench.records] == [False]


def test_a_call_within_its_time_gives_its_value_or_its_own_error() -> None:
    assert with_timeout(60, lambda: 7) == 7
    with pytest.raises(KeyError):
        with_timeout(60, lambda: {"yes": 7}["no"])


def test_a_call_beyond_its_time_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        with_timeout(0.05, lambda: time.sleep(2))
    assert time.monotonic() - began < 1.5


# --- the stand-in is strict -------------------------------------------------------------------------------

_GOOD: dict[str, object] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "hi"}],
}
_USED = {"role": "assistant", "content": [edit("t1")]}
_MARK = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"top_p": 1},
        {"top_k": 5},
        {"colour": "red"},
        {"max_tokens": None},
        {"max_tokens": 500_000},
        {"tool_choice": {"type": "any"}},
        {"thinking": {"type": "enabled", "budget_tokens": 9000}},
        {"system": [_MARK] * 5},
        {"messages": []},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]},
        {"messages": [{"role": "user", "content": "hi"}, _USED, {"role": "user", "content": "and?"}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t9", "content": "x"}]}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    ],
)
def test_the_stand_in_refuses_what_the_real_api_refuses(change: dict[str, object]) -> None:
    headers = {"anthropic-version": "2026-10-21", "content-type": "application/json"}
    claude.check(headers, _GOOD, claude._CREATED)
    with pytest.raises(claude.Refused):
        claude.check(headers, {**_GOOD, **change}, claude._CREATED)
    with pytest.raises(claude.Refused, match="anthropic-version"):
        claude.check({}, _GOOD, claude._CREATED)
