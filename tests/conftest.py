"""Lists the plugins that give every test its fixtures."""

pytest_plugins = [
    "tests.support.fix_engine",
    "tests.support.fix_lab",
    "tests.support.fix_postgres",
    "tests.support.order",
]
