"""Which Airbyte may follow which, and what it needs."""

import pytest

from airbyte import versions
from airbyte.versions import Chart, ChartLine, VersionError


@pytest.mark.parametrize(
    ("chart", "line", "airbyte", "abctl"),
    [
        ("1.8.5", ChartLine.V1, "1.8.5", "0.30.3"),
        ("2.0.17", ChartLine.V2, "1.8.5", "0.30.0"),
        ("2.2.0", ChartLine.V2, "2.2.0", "0.30.2"),
    ],
)
def test_each_chart_has_its_application_and_its_oldest_abctl(
    chart: str, line: ChartLine, airbyte: str, abctl: str
) -> None:
    found = versions.chart(chart)
    assert (found.line, found.airbyte, found.minimum_abctl) == (line, airbyte, abctl)
    versions.check_abctl(found, abctl)
    versions.check_abctl(found, versions.ABCTL_VERSION)
    with pytest.raises(VersionError, match=abctl):
        versions.check_abctl(found, "0.29.9")


@pytest.mark.parametrize("source", versions.COMPOSE_VERSIONS)
@pytest.mark.parametrize("chart", versions.CHARTS)
def test_every_compose_release_goes_to_every_chart_in_one_step(source: str, chart: str) -> None:
    """6: the upgrade gate stops at 0.32.0-alpha and 0.37.0-alpha only."""
    assert versions.stops(source, versions.chart(chart).airbyte) == ()


@pytest.mark.parametrize(
    ("source", "stops"),
    [
        ("0.29.1-alpha", ("0.32.0-alpha", "0.37.0-alpha")),
        ("0.32.0-alpha", ("0.37.0-alpha",)),
        ("0.37.0-alpha", ()),
    ],
)
def test_an_old_database_has_stops_on_its_way(source: str, stops: tuple[str, ...]) -> None:
    assert versions.stops(source, "1.8.5") == stops


@pytest.mark.parametrize(("source", "target"), [("2.0.0", "1.8.5"), ("1.8.10", "1.8.9")])
def test_there_is_no_way_back(source: str, target: str) -> None:
    """6: nothing in Airbyte stops an old application on a new database."""
    with pytest.raises(VersionError, match="older Airbyte breaks"):
        versions.stops(source, target)
    assert versions.stops(source, source) == ()


def test_an_unknown_chart_needs_the_owners_word() -> None:
    with pytest.raises(VersionError, match="or your word"):
        versions.chart("2.4.0")
    assert versions.chart("2.4.0", airbyte="2.4.0") == Chart(version="2.4.0", airbyte="2.4.0")


@pytest.mark.parametrize(("chart", "word"), [("2.0.17", "2.0.17"), ("1.7.0", "1.7.0")])
def test_the_owners_word_does_not_change_facts(chart: str, word: str) -> None:
    with pytest.raises(VersionError):
        versions.chart(chart, airbyte=word)


@pytest.mark.parametrize("text", ["latest", "", "v", "1.8.x"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(VersionError, match="numbers with dots"):
        versions.numbers(text)
