from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from engine.plugins.command.remote import RemoteCommand
from engine.plugins.command.ssh import complete_connection
from engine.plugins.resource import PluginError, Properties, Severity
from engine.plugins.wire import plain, wire
from tests.unit.engine.conftest import Recorder
from tests.unit.engine.sshd import SshServer, running

COMMAND = RemoteCommand()


def run(recorder: Recorder, connection: Properties, **inputs: object) -> Properties:
    news: Properties = {"connection": connection, **inputs}  # type: ignore[dict-item]
    return COMMAND.create(recorder.context(), "name", news)[1]


def test_output_comes_back_without_its_last_line_end(
    recorder: Recorder, connection: Properties
) -> None:
    assert run(recorder, connection, create="echo one; echo two >&2") == {
        "stdout": "one",
        "stderr": "two",
    }


def test_no_create_runs_nothing(
    recorder: Recorder, connection: Properties, sshd: SshServer
) -> None:
    assert run(recorder, connection, delete="echo") == {"stdout": "", "stderr": ""}
    assert sshd.dials == 0


def test_stdin_reaches_the_command(recorder: Recorder, connection: Properties) -> None:
    assert run(recorder, connection, create="cat", stdin="a\nsecret")["stdout"] == "a\nsecret"


def test_a_failing_command_is_an_error_with_all_its_output(
    recorder: Recorder, connection: Properties
) -> None:
    with pytest.raises(PluginError) as caught:
        run(recorder, connection, create="echo out; echo why >&2; exit 3")
    assert str(caught.value).startswith('Process exited with status 3: running "echo out')
    assert {"out", "why"} <= set(str(caught.value).split())


def test_a_cut_line_is_an_error(
    recorder: Recorder, connection: Properties, sshd: SshServer
) -> None:
    with pytest.raises(PluginError, match='running "cut the line"'):
        run(recorder, connection, create=sshd.cut_on)


class TestHostKey:
    def test_the_right_one_is_accepted(self, recorder: Recorder, connection: Properties) -> None:
        assert run(recorder, connection, create="echo in")["stdout"] == "in"

    def test_another_key_of_the_same_type_is_refused_before_any_login(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        other = paramiko.ECDSAKey.generate()
        connection["hostKey"] = f"{other.get_name()} {other.get_base64()}"
        with pytest.raises(PluginError, match="host key mismatch"):
            run(recorder, connection, create="echo in")
        assert sshd.logins == []
        assert sshd.commands == []

    def test_another_type_of_key_is_refused(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        connection["hostKey"] = f"ssh-rsa {sshd.user_key.get_base64()}"
        with pytest.raises(PluginError):
            run(recorder, connection, create="echo in")
        assert sshd.commands == []

    def test_without_one_any_host_is_accepted(
        self, recorder: Recorder, connection: Properties
    ) -> None:
        del connection["hostKey"]
        assert run(recorder, connection, create="echo in")["stdout"] == "in"

    def test_a_malformed_one_is_named_at_once(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        connection["hostKey"] = "nonsense"
        with pytest.raises(PluginError, match="hostKey"):
            run(recorder, connection, create="echo in")
        assert sshd.dials == 0


class TestLogin:
    def test_password_after_a_refused_key(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        sshd.authorized.clear()
        connection["password"] = sshd.password
        assert run(recorder, connection, create="echo in")["stdout"] == "in"
        assert [(how, good) for _, how, good in sshd.logins] == [
            ("publickey", False),
            ("password", True),
        ]

    def test_refused_login_is_an_error_that_quotes_no_secret(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        sshd.authorized.clear()
        connection["password"] = "wrong-secret"
        with pytest.raises(PluginError) as caught:
            run(recorder, connection, create="echo in")
        assert "unable to authenticate as operator" in str(caught.value)
        assert "wrong-secret" not in str(caught.value)

    def test_a_broken_private_key_is_not_quoted(
        self, recorder: Recorder, connection: Properties
    ) -> None:
        connection["privateKey"] = "-----BEGIN planted-secret"
        with pytest.raises(PluginError) as caught:
            run(recorder, connection, create="echo in")
        assert "planted-secret" not in str(caught.value)


class TestDialling:
    def test_errors_up_to_the_limit_are_tried_again(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        sshd.refuse_first, connection["dialErrorLimit"] = 2, 2.0
        assert run(recorder, connection, create="echo in")["stdout"] == "in"
        assert sshd.dials == 3
        assert recorder.lines[:2] == ["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]

    def test_one_error_more_is_the_end(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        sshd.refuse_first, connection["dialErrorLimit"] = 9, 1.0
        with pytest.raises(PluginError, match="after 1 failed attempts"):
            run(recorder, connection, create="echo in")
        assert sshd.dials == 2

    def test_cancel_ends_the_waiting(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        sshd.refuse_first, connection["dialErrorLimit"] = 9, -1.0
        recorder.cancelled.set()
        with pytest.raises(PluginError, match="cancelled"):
            run(recorder, connection, create="echo in")

    def test_official_defaults_are_written_into_a_sealed_connection(self) -> None:
        sealed = wire({"host": "h", "port": 2222.0, "proxy": {"host": "p"}}, secret=True)
        complete_connection(sealed)
        rest: Properties = {"user": "root", "dialErrorLimit": 10.0, "perDialTimeout": 15.0}
        proxy: Properties = {"host": "p", "port": 22.0, **rest}
        assert plain(sealed) == {"host": "h", "port": 2222.0, **rest, "proxy": proxy}


def test_through_a_proxy(recorder: Recorder, connection: Properties, tmp_path: Path) -> None:
    with running(tmp_path) as proxy:
        direct = {**connection, "port": float(proxy.port), "hostKey": proxy.host_key_line}
        proxy.authorized.clear()
        direct["password"] = proxy.password
        connection["proxy"] = direct
        assert run(recorder, connection, create="echo in")["stdout"] == "in"
        assert proxy.forwarded == [("127.0.0.1", int(connection["port"]))]  # type: ignore[arg-type]


class TestEnvironment:
    def test_accepted_variables_are_set(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        sshd.accept_env.add("GREETING")
        done = run(recorder, connection, create="echo $GREETING", environment={"GREETING": "hi"})
        assert done["stdout"] == "hi"

    def test_a_refused_variable_is_an_error_and_nothing_runs(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        with pytest.raises(PluginError, match='could not set environment variable "GREETING"'):
            run(recorder, connection, create="echo", environment={"GREETING": "hi"})
        assert sshd.commands == []
        assert recorder.logs[0][0] is Severity.ERROR

    def test_previous_output_is_offered_and_may_be_refused(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        olds: Properties = {"connection": connection, "stdout": "before", "stderr": "noise"}
        news: Properties = {"connection": connection, "create": "echo got $PULUMI_COMMAND_STDOUT"}
        refused = COMMAND.update(recorder.context(), "id", olds, news)
        assert refused["stdout"] == "got"
        sshd.accept_env.add("PULUMI_COMMAND_STDOUT")
        accepted = COMMAND.update(recorder.context(), "id", olds, news)
        assert accepted["stdout"] == "got before"
        silent = COMMAND.update(
            recorder.context(), "id", olds, {**news, "addPreviousOutputInEnv": False}
        )
        assert silent["stdout"] == "got"


class TestLife:
    def test_update_runs_update(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        news: Properties = {"connection": connection, "create": "echo c", "update": "echo u"}
        assert COMMAND.update(recorder.context(), "id", {}, news)["stdout"] == "u"
        assert sshd.commands == ["echo u"]

    def test_without_update_create_runs_again(
        self, recorder: Recorder, connection: Properties
    ) -> None:
        news: Properties = {"connection": connection, "create": "echo c"}
        assert COMMAND.update(recorder.context(), "id", {}, news)["stdout"] == "c"

    def test_delete_runs_the_old_delete(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        olds: Properties = {"connection": connection, "create": "echo c", "delete": "echo d"}
        COMMAND.delete(recorder.context(), "id", olds)
        assert sshd.commands == ["echo d"]

    def test_without_delete_nothing_is_dialled(
        self, recorder: Recorder, connection: Properties, sshd: SshServer
    ) -> None:
        COMMAND.delete(recorder.context(), "id", {"connection": connection, "create": "echo"})
        assert sshd.dials == 0


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        (None, {"out", "err"}),
        ("stdoutAndStderr", {"out", "err"}),
        ("stdout", {"out"}),
        ("stderr", {"err"}),
        ("none", set()),
    ],
)
def test_logging_decides_what_is_shown_not_what_is_kept(
    recorder: Recorder, connection: Properties, logging: str | None, shown: set[str]
) -> None:
    inputs: dict[str, object] = {"logging": logging} if logging else {}
    done = run(recorder, connection, create="echo out; echo err >&2", **inputs)
    assert done == {"stdout": "out", "stderr": "err"}
    assert set(recorder.lines) == shown
