"""What people see of the feeds, of the audit trail, and of prod's host at a release."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from db_migration.following import release_host
from db_migration.reporting import status
from db_migration.reporting import view as status_view
from db_migration.sides import hosts

FEED: dict[str, Any] = {
    **status.unknown("prod-to-core-worker-01", None),
    "state": "seeding",
    "mode": "logical",
    "progress": {"rows": 12, "seconds_left": 3},
    "brand_new": "a later version's key",
}


def shown(**change: object) -> str:
    console = Console(width=100, record=True, file=None, quiet=False)
    feeds = [{**FEED, **change}]
    state = {"deployment": "test", "epoch": None, "feeds": feeds, "brand_new_too": [1]}
    with console.capture() as captured:
        console.print(status_view.of_state(state))
    return " ".join(captured.get().split())


def test_keys_that_nobody_told_us_of_are_shown() -> None:
    text = shown()
    assert "prod-to-core-worker-01: seeding (logical)" in text
    assert 'progress {"rows": 12, "seconds_left": 3}' in text
    assert "brand new a later version's key" in text
    assert "brand new too: [1]" in text
    assert "progress half, 3 s left" in shown(progress={"rows": 12, "text": "half, 3 s left"})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"lag": {"bytes": 5.0, "seconds": 0.0123}}, "lag 5 B, 0.012 s"),
        (
            {"lag": {"bytes": None, "seconds": 3600.4, "measured_at": "noon"}},
            "lag 3600 s, not measured since noon",
        ),
        ({"state": "seeding", "age_seconds": 1}, "verified not yet working database not yet"),
        ({"state": "broken", "age_seconds": 1}, "verified not yet working database not yet"),
        ({"state": "broken"}, "verified not known working database not known"),
        ({"state": "broken"}, "slot keeps not known: the source was not seen"),
        ({"snapshot": {"age_seconds": 61.0}}, "lag copy is 61 s old"),
        ({"slot": {"retained_bytes": 1024, "limit_bytes": 4096, "lost": False}}, "1 kiB of 4 kiB"),
        ({"slot": {"retained_bytes": 0, "limit_bytes": 0, "lost": True}}, "slot keeps LOST"),
        ({"error": {"found": "f", "needed": "n", "way_out": "w"}}, "error f needed n hint w"),
        ({"working_database": {"age_seconds": 7.2}}, "working database 7 s old"),
        (
            {"verified": {"equal": False, "tables": 1, "rows": 2, "at": "now"}},
            "DIFFERS: 1 tables, 2 rows",
        ),
    ],
)
def test_known_keys_have_their_words(change: dict[str, Any], part: str) -> None:
    assert part in shown(**change)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"next": "there is no copy"}, "seeding, there is no copy"),
        ({"progress": {"text": "50%: 1 of 2 tables"}}, "seeding, 50%: 1 of 2 tables"),
        ({"next": "a copy", "error": {"found": "disk is full"}}, "seeding, a copy (disk is full)"),
    ],
)
def test_who_waits_is_told_how_far_it_is(change: dict[str, Any], line: str) -> None:
    feed = {**FEED, "progress": None, **change}
    assert status_view.line_of(feed) == f"{FEED['name']}: {line}"


def at(share: str, name: str = "a") -> dict[str, Any]:
    return {**FEED, "name": name, "progress": {"text": share}}


def test_who_waits_is_told_what_is_new_and_not_all_the_time() -> None:
    news = status_view.News(every=5)
    looks = (
        (0, "1%"),
        (2, "1%"),
        (3, "2%"),
        (4, "3%"),
        (5, "4%"),
        (9, "5%"),
        (60, "5%"),
        (99, "5%"),
    )
    told = {now: news.of([at(share)], now) for now, share in looks}
    assert {now: lines for now, lines in told.items() if lines} == {
        0: ["a: seeding, 1%"],
        5: ["a: seeding, 4%"],
        60: ["a: seeding, 5%"],
    }


def test_one_feed_that_is_told_of_does_not_silence_another() -> None:
    news = status_view.News(every=5)
    assert len(news.of([at("1%"), at("1%", "b")], 0)) == 2
    assert news.of([at("1%"), at("2%", "b")], 6) == ["b: seeding, 2%"]
    assert news.of([at("2%"), at("3%", "b")], 7) == ["a: seeding, 2%"]


def test_history_says_who_and_on_which_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    newest = {"at": at, "who": "alice: run on a", "step": "seed", "phase": "failed"}
    events = [
        {**newest, "detail": "disk full", "evidence": None},
        {**newest, "phase": "started", "detail": "no copy", "evidence": {"slot": None}},
    ]
    status_view.print_history({"a": events})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "2026-11-23T00:00:00+00:00 a: seed started (alice: run on a)",
        "  because no copy",
        '  seen: {"slot": null}',
        "2026-11-23T00:00:00+00:00 a: seed failed (alice: run on a)",
        "  disk full",
    ]


def test_a_release_lists_what_is_on_prods_host_and_who_removes_it() -> None:
    status_of_host = hosts.Status.model_validate(
        {
            "host": "prod",
            "marker": {"deployment": "ours", "stage": "v1"},
            "containers": [
                {"name": "airbyte-db", "status": "Up 3 weeks"},
                {"name": "airbyte-migration-gateway", "status": "Up 1 hour"},
            ],
            "keys": ["tunnel-core-worker-01", "agent-replica"],
        }
    )
    traces = list(release_host.of_host(status_of_host))
    assert [trace.what.partition(" ")[0] for trace in traces] == [
        "container",
        "key",
        "key",
        "`hostctl`,",
    ]
    assert all("pulumi destroy --stack v1 --exclude-protected" in trace.undo for trace in traces)
    assert "docker rm -f airbyte-migration-gateway" in traces[0].undo
    assert "hostctl unauthorize tunnel-core-worker-01" in traces[1].undo
    assert "airbyte-db" not in str(traces)


def test_nothing_is_on_a_host_of_which_nothing_is_held() -> None:
    assert list(release_host.of_host(hosts.Status(host="prod"))) == []
