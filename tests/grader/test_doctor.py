"""The doctor: it finds what holds, and it finds what does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from grader.judge import doctor, sandboxes


def examined(name: str) -> dict[str, doctor.Check]:
    """The checks of a sandbox by protection; skips where the machine cannot give it."""
    try:
        return {check.protection: check for check in doctor.examine(name)}
    except sandboxes.SandboxUnavailable as unavailable:
        pytest.skip(str(unavailable))


def test_bubblewrap_holds_everything() -> None:
    checks = examined("bubblewrap")
    assert list(checks) == list(doctor.PROTECTIONS)
    assert [check for check in checks.values() if not check.held] == []
    assert doctor.protects(tuple(checks.values()))


def test_user_holds_what_other_peoples_code_needs() -> None:
    checks = examined("user")
    assert doctor.protects(tuple(checks.values())), checks
    assert checks["identity"].held is sandboxes.is_root()


def test_process_says_that_the_code_is_you_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    identity = examined("process")["identity"]
    assert not identity.held
    assert "act as the user who runs the grader" in identity.words
    assert identity.cure
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_that_is_not_there_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxes, "_bubblewrap_problem", lambda: "not here. Install it.")
    with pytest.raises(sandboxes.SandboxUnavailable, match="Install it"):
        doctor.examine("bubblewrap")


def test_an_open_door_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any confinement every protection that the worker itself applies is found not to hold."""
    plan = sandboxes._plan

    def unconfined(*arguments: Any) -> Any:
        made = plan(*arguments)
        return dataclasses.replace(made, policy={"parent": made.policy["parent"]})

    monkeypatch.setattr(sandboxes, "_plan", unconfined)
    checks = examined("process")
    assert {name for name, check in checks.items() if check.held} <= {"time"}
    assert "overwrite a file of another folder" in checks["files"].words
    assert "connect by TCP" in checks["network"].words
    assert "leave a process behind" in checks["processes"].words
    assert "signal another process" in checks["processes"].words
    assert "4 GiB" in checks["memory"].words
    assert not doctor.protects(tuple(checks.values()))
