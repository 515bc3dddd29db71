"""abctl's command line: exactly the real commands and flags, refused as kong v1.6.0 refuses."""

from pathlib import Path

import pytest

from lab.abctl import cli, commands
from lab.abctl.kong import HelpWanted, ParseError, Parser

# What kong v1.6.0 printed for abctl v0.30.4's own declarations.
REFUSED = {
    "": 'expected one of "local", "images", "version"',
    "local": 'expected one of "credentials", "install", "deployments", "status", "uninstall"',
    "images": 'expected "manifest"',
    "local foo": "unexpected argument foo",
    "lokal install": 'unexpected argument lokal, did you mean "local"?',
    "local uninstal": 'unexpected argument uninstal, did you mean "uninstall"?',
    "local install extra": "unexpected argument extra",
    "local install --nope": "unknown flag --nope",
    "local install --migrate": "unknown flag --migrate",
    "local --nope install": "unknown flag --nope",
    "--version": "unknown flag --version",
    "local status --json": "unknown flag --json",
    "local install --no": 'unknown flag --no, did you mean "--no-browser"?',
    "local install --chart-versio 1": (
        'unknown flag --chart-versio, did you mean "--chart-version"?'
    ),
    "local install -p 8": 'unknown flag -p, did you mean one of "-h", "-v"?',
    "local install -vx": 'unknown flag -x, did you mean one of "-h", "-v"?',
    "local install --chart a --chart-version b": (
        "--chart and --chart-version can't be used together"
    ),
    "images manifest --chart a --chart-version b": (
        "--chart and --chart-version can't be used together"
    ),
    "local install --port x": '--port: expected a valid 64 bit int but got "x"',
    "local install --port 0x10": '--port: expected a valid 64 bit int but got "0x10"',
    "local install --port 8 9": "unexpected argument 9",
    "local install --port": '--port: expected int value but got "EOL" (<EOL>)',
    "local install --values": '--values: expected file value but got "EOL" (<EOL>)',
    "local install --chart": '--chart: expected string value but got "EOL" (<EOL>)',
    "local install --host": '--host: missing value, expecting "<arg>,..."',
    "local install --chart-version --port 9": (
        '--chart-version: expected string value but got "--port" (long flag); '
        'perhaps try --chart-version="--port"?'
    ),
    "local install --host -x": (
        '--host: expected string value but got "-x" (short flag); perhaps try --host="-x"?'
    ),
    "local install --no-browser=x": (
        '--no-browser: bool value must be true, 1, yes, false, 0 or no but got "x"'
    ),
    "local install --low-resource-mode true": "unexpected argument true",
    "local install --values /tmp": '--values: "/tmp" exists but is a directory',
    "local install --secret /nope.yaml": "--secret: stat /nope.yaml: no such file or directory",
}


def parse(line: str, **env: str) -> tuple[list[str], dict[str, object]]:
    return Parser(commands.ROOT, env).parse(line.split())


@pytest.mark.parametrize(("line", "message"), REFUSED.items())
def test_refused(line: str, message: str) -> None:
    """2.2: the flags table, and nothing else."""
    with pytest.raises(ParseError) as refused:
        parse(line)
    assert str(refused.value) == message


def test_any_error_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    """2.2: any error is exit 1; there are no other codes."""
    assert cli.main(["local", "install", "--nope"]) == 1
    assert "unknown flag --nope" in capsys.readouterr().out


def test_accepted(tmp_path: Path) -> None:
    """2.2: secret, host and volume repeat and take lists; values is one file."""
    file = tmp_path / "v.yaml"
    file.touch()
    path, flags = parse(
        f"-v local install --values {file} --secret {file} --secret {file},{file} --host a "
        "--host b,c --volume x:y --no-browser=false --insecure-cookies --port=9"
    )
    assert path == ["local", "install"]
    assert flags["host"] == ["a", "b", "c"]
    assert flags["secret"] == [str(file)] * 3
    assert (flags["port"], flags["no-browser"], flags["insecure-cookies"]) == (9, False, True)
    assert flags["verbose"]
    assert flags["docker-server"] == "https://index.docker.io/v1/"


def test_defaults_and_variables() -> None:
    """2.2: port 8000; docker credentials also from ABCTL_LOCAL_INSTALL_DOCKER_*."""
    flags = parse("local install", ABCTL_LOCAL_INSTALL_DOCKER_USERNAME="me")[1]
    assert flags["port"] == 8000
    assert flags["docker-username"] == "me"


def test_help_wins() -> None:
    """2.2: --help on every command."""
    with pytest.raises(HelpWanted):
        parse("local install --help")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """0: the version that is played."""
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out == "version: v0.30.4\n"
