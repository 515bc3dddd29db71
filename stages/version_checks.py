"""Which Airbyte may follow which, and what a chart would make of the values."""

from collections.abc import Iterable

from airbyte import chart_misreadings, chart_values, versions
from airbyte.chart_values import Access, ExternalDatabase, Wish
from airbyte.renderings import Rendering
from airbyte.versions import VersionError
from stages.models import Abctl, Prod
from stages.problems import Problem, remove_command, set_command
from stages.raw import Raw

SOME_DATABASE = ExternalDatabase(host="192.0.2.1", port=5432, name="airbyte", tls=True)


def judge(raw: Raw) -> Iterable[Problem]:
    """Check prod's release, each chart, the way from one to the other, and the owner's values."""
    if raw.prod:
        yield from _prod(raw.prod)
    for key, airbyte in raw.abctls.items():
        yield from _chart(key, airbyte, raw.prod)


def _prod(prod: Prod) -> Iterable[Problem]:
    known = versions.COMPOSE_VERSIONS
    if _is_vouched(prod):
        return
    vouched = "" if prod.created else "; or your word on it, with prod.acceptVersion"
    yield Problem(
        key="prod.version",
        found=prod.version,
        needed=f"a release with this compose file, {known[0]} to {known[-1]}{vouched}",
        mend=set_command("prod.version", known[-1]),
    )


def _is_vouched(prod: Prod) -> bool:
    try:
        versions.numbers(prod.version)
    except VersionError:
        return False
    accepted = prod.accept_version and not prod.created
    return accepted or prod.version in versions.COMPOSE_VERSIONS


def _chart(key: str, airbyte: Abctl, prod: Prod | None) -> Iterable[Problem]:
    try:
        chart = airbyte.chart
        # Of 0.63 there is no stop on the way; older databases must run one first.
        known = prod is not None and _is_vouched(prod)
        on_the_way = versions.stops(prod.version, chart.airbyte) if prod and known else ()
    except VersionError as error:
        yield Problem(
            key=f"{key}.chartVersion",
            found=error.found,
            needed=error.needed,
            mend=_mend(key, airbyte),
        )
        return
    if on_the_way:
        yield Problem(
            key="prod.version",
            found=f"{prod.version if prod else ''} on the way to {chart.airbyte}",
            needed=f"a database that has run {', then '.join(on_the_way)}",
            mend=f"start Airbyte {on_the_way[0]} on it once, then name that version",
        )
    yield from _values(key, airbyte, chart)


def _mend(key: str, airbyte: Abctl) -> str:
    if airbyte.chart_airbyte is not None and airbyte.chart_version in versions.CHARTS:
        return remove_command(f"{key}.chartAirbyte")
    known = set_command(f"{key}.chartVersion", versions.TARGET_CHART)
    if airbyte.chart_version in versions.CHARTS or airbyte.chart_airbyte is not None:
        return known
    return f"{known}; or, if it has Airbyte 2.3.0: {set_command(f'{key}.chartAirbyte', '2.3.0')}"


def _values(key: str, airbyte: Abctl, chart: versions.Chart) -> Iterable[Problem]:
    access = Access(url=airbyte.url or "http://192.0.2.1", host=airbyte.public_host)
    wish = Wish(
        chart=chart, access=access, low_resource=airbyte.low_resource_mode, more=airbyte.values
    )
    try:
        chart_values.values(wish, SOME_DATABASE, Rendering.ACTIVE)
    except chart_misreadings.MisreadError as error:
        for one in error.misreadings:
            yield Problem(
                key=f"{key}.values",
                found=one.found,
                needed=f"{one.needed} (chart {chart.version} would not say a word)",
                mend=remove_command(f"{key}.values"),
            )
