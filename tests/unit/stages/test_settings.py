"""Every mistake in the settings is told with key, found, needed and a command, all at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stages import parts, settings
from stages.problems import NAMESPACE, SettingsError
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.stages import stack_files
from tests.unit.stages.settings_cases import CASES, PROD, Case, Draft
from tests.unit.stages.stack_files import StackFile


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    stack_files.lay_lab_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        yield folder


def refused(draft: Draft) -> SettingsError:
    recorder = Recorder()
    with pytest.raises(SettingsError) as raised:
        stack_files.run_program(draft.file, recorder=recorder)
    assert recorder.resources == []
    return raised.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.test_id)
def test_a_mistake_is_told_with_its_way_out(case: Case) -> None:
    draft = Draft(case.stack)
    case.spoil(draft)
    error = refused(draft)
    found = [problem for problem in error.problems if problem.key == case.key]
    assert len(found) == 1, str(error)
    assert len(error.problems) == 1, str(error)
    assert case.found in found[0].found
    assert case.needed in found[0].needed
    assert case.mend in found[0].mend
    for text in (f"{NAMESPACE}:{case.key}", found[0].found, found[0].needed, found[0].mend):
        assert text in str(error)


def test_all_mistakes_are_told_at_once() -> None:
    draft = Draft("v1")
    draft.change(PROD, version="0.1", mode="import")
    draft.change("replica", chartVersion="9")
    draft.put("nonsense", "1")
    draft.unset_secret("replicaClientSecret")
    error = refused(draft)
    assert [problem.key for problem in error.problems] == [
        "nonsense",
        "prod.mode",
        "replicaClientSecret",
        "replica.chartVersion",
    ]
    assert "4 problems" in str(error)


def test_a_secret_is_never_shown() -> None:
    draft = Draft("v1")
    for key in list(draft.file.secrets):
        draft.in_clear(key.partition(":")[2])
    error = str(refused(draft))
    assert "planted" not in error


def test_no_mistake_shows_what_may_be_a_secret() -> None:
    for case in CASES:
        draft = Draft(case.stack)
        case.spoil(draft)
        assert "planted" not in str(refused(draft)), case.test_id


def test_every_command_names_the_stack() -> None:
    draft = Draft("v1")
    draft.change(PROD, version="0.1", mode="import", prot=1)
    draft.unset_secret("replicaClientSecret")
    draft.change("operator", identityFile="~/nowhere")
    for problem in refused(draft).problems:
        assert problem.mend.endswith(" --stack v1"), problem


def test_an_unknown_stack_is_told_which_there_are() -> None:
    file = stack_files.stack_file("v0")
    draft = Draft("v0")
    draft.file = StackFile(stack="production", plain=file.plain, secrets=file.secrets)
    (problem,) = [p for p in refused(draft).problems if p.key == "stage"]
    assert "this one is `production`" in problem.needed
    assert problem.mend == "pulumi stack select --create v0"


@pytest.mark.parametrize("stack", ["v0", "v1"])
def test_an_adopted_prod_needs_no_images_and_no_basic_auth(stack: str) -> None:
    draft = Draft(stack)
    draft.change(PROD, mode="adopt")
    draft.unset_secret("prodBasicAuthPassword")
    if stack == "v0":
        draft.put("imagesFile", "")
        draft.unset_secret("prodDatabasePassword")
    loaded = accepted(draft)
    assert "airbyte/server" not in loaded.images
    assert loaded.hosts["prod"].host_key == stack_files.host_key(2211)


def test_an_unknown_chart_is_taken_on_the_owners_word() -> None:
    draft = Draft("v1")
    draft.change("replica", chartVersion="2.3.0", chartAirbyte="2.3.0")
    loaded = accepted(draft)
    assert loaded.copy is not None
    assert loaded.copy.replica.chart.airbyte == "2.3.0"
    assert parts.accepted_versions(loaded) == ["2.3.0"]


def test_a_checksum_of_abctl_is_the_owners() -> None:
    assert parts.program_sha256(accepted(Draft("v1"))) == {}
    loaded = accepted(Draft("v1").put("abctlSha256", {"arm64": "0" * 64}))
    assert parts.program_sha256(loaded) == {"aarch64": "0" * 64}


def test_an_unknown_release_is_adopted_on_the_owners_word() -> None:
    draft = Draft("v1")
    draft.change(PROD, mode="adopt", version="0.62.4", acceptVersion=True)
    draft.unset_secret("prodBasicAuthPassword")
    loaded = accepted(draft)
    assert loaded.prod.version == "0.62.4"
    assert parts.accepted_versions(loaded) == ["0.62.4"]


def test_a_release_with_a_stop_on_its_way_is_told_so() -> None:
    draft = Draft("v1")
    draft.change(PROD, mode="adopt", version="0.30.0", acceptVersion=True)
    draft.unset_secret("prodBasicAuthPassword")
    (problem,) = refused(draft).problems
    assert problem.key == "prod.version"
    assert "has run 0.32.0-alpha, then 0.37.0-alpha" in problem.needed


def test_all_mistakes_of_v2_are_told_at_once() -> None:
    draft = Draft("v2").put("cutover", "maybe").without_feed("core-worker-01", "intermediary")
    draft.change("intermediary", host="prod")
    draft.change("prodAbctl", port=8000, chartVersion="2.0.17")
    draft.unset_secret("prodClientSecret")
    assert [problem.key for problem in refused(draft).problems] == [
        "cutover",
        "prodClientSecret",
        "prodAbctl.port",
        "feeds",
        "intermediary.host",
        "prodAbctl.chartVersion",
    ]


def test_who_begins_with_hold_may_leave_prods_feeds_for_later() -> None:
    draft = Draft("v2").put("cutover", "hold").without_feed("prod", "intermediary")
    assert accepted(draft).final is not None


def test_prod_may_move_to_a_host_of_its_own() -> None:
    draft = Draft("v2")
    draft.host("prod", sshPort=2211)
    hosts = draft.get("hosts")
    draft.host("prod-2", **{**hosts["intermediary"], "sshPort": 2212})
    draft.drop("hosts", "replica")
    draft.change("replica", host="core-worker-01")
    draft.host("prod-2", privateAddress="198.51.100.15")
    draft.change("prodAbctl", host="prod-2", port=8000)
    final = accepted(draft).final
    assert final is not None
    assert final.prod_abctl.host == "prod-2"


def test_what_is_not_said_about_syncs_is_careful() -> None:
    found = accepted(Draft("v2").put("drain", ""))
    assert found.final is not None
    assert found.copy is not None
    assert (found.final.drain.policy, found.final.drain.seconds) == ("abort", 300)
    pace = found.copy.schedules
    assert (pace.running_at_most, pace.touch_every_seconds, pace.prove_seconds) == (5, 15, 300)


def test_an_adopted_prod_whose_syncs_are_cancelled_needs_its_basic_auth() -> None:
    draft = Draft("v2")
    draft.change(PROD, mode="adopt")
    draft.change("drain", policy="cancel")
    draft.unset_secret("prodBasicAuthPassword")
    assert [problem.key for problem in refused(draft).problems] == ["prodBasicAuthPassword"]
    draft.change("drain", policy="wait")
    accepted(draft)


def accepted(draft: Draft) -> settings.Settings:
    loaded: list[settings.Settings] = []
    mocks.declare(
        lambda: loaded.append(settings.load()),
        config=draft.file.plain,
        secrets=draft.file.secrets,
        stack=draft.stack,
    )
    return loaded[0]
