"""What an exit and the files of a run amount to, without a process: evidence from outside, and what a run reports."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.runs import Job, Status
from agent.execution.outcome import NAME_CAP, REASON_CAP, ExitInfo, classify
from agent.execution.process import Limits

KILLED = ExitInfo(timed_out=False, signal=9, code=None, oom_kills=0, seconds=1)
EXITED = replace(KILLED, signal=None, code=0)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job("1A", "c" * 40, 0, "screen", ("x",), {}, tmp_path, 20, "val_bpb")


def report(job: Job, name: str = "result.json", **fields: object) -> None:
    (job.run_dir / name).write_text(json.dumps(fields))


def test_the_kernels_kill_for_memory_differs_from_any_other(job: Job) -> None:
    assert classify(job, replace(KILLED, oom_kills=1)).status == "oom"
    assert classify(job, KILLED).status == "crash"


@pytest.mark.parametrize(("hit_memory", "status"), [(True, "oom"), (False, "crash")])
def test_a_run_beyond_a_limit_gets_the_name_of_that_limit(job: Job, hit_memory: bool, status: Status) -> None:
    ending = replace(KILLED, limit_hit=Limits(processes=7).exceeded("processes"), hit_memory=hit_memory)
    result = classify(job, ending)
    assert (result.status, result.reason) == (status, "killed: more than 7 processes at once")


def test_a_probe_needs_no_metric(job: Job) -> None:
    report(job, metrics={"step_seconds": 0.1})
    result = classify(replace(job, role="probe"), EXITED)
    assert (result.status, result.metrics) == ("ok", {"step_seconds": 0.1})


def test_a_probe_without_a_step_time_is_of_no_use(job: Job) -> None:
    report(job, metrics={"val_bpb": 1.0})
    assert classify(replace(job, role="probe"), EXITED).status == "no_metric"


def test_an_audit_and_a_preparation_owe_no_metric(job: Job) -> None:
    assert {classify(replace(job, role=role), EXITED).status for role in ("audit", "prepare")} == {"ok"}


def test_a_time_limit_outranks_what_a_run_reports(job: Job) -> None:
    report(job, metrics={"val_bpb": 1.0})
    result = classify(job, replace(KILLED, timed_out=True))
    assert (result.status, result.reason) == ("timeout", "killed after 20 s, its time limit")


def test_only_known_failures_are_believed_and_their_reason_is_short(job: Job) -> None:
    report(job, "failure.json", status="ok", reason="x" * 5000)
    result = classify(job, replace(EXITED, code=1))
    assert result.status == "crash"
    assert len(result.reason) <= REASON_CAP


def test_a_number_with_a_name_that_cannot_be_posted_is_none(job: Job) -> None:
    names = ("fine", "two\nlines", "x" * (NAME_CAP + 1))
    report(job, metrics={"val_bpb": 1.0} | dict.fromkeys(names, 2.0))
    assert classify(job, EXITED).metrics == {"val_bpb": 1.0, "fine": 2.0}
