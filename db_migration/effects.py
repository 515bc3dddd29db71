"""Every side effect of the script, by name, in one list.

A function that changes anything outside the process is decorated with ``@effect(Effect.X)``; what
it does can be interrupted at any point and begun again. The crash tests walk this list: they kill a
real agent before and after each of these.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Effect(StrEnum):
    """Names of the side effects, in the order in which a first run meets them."""

    OPEN_JOURNAL = "journal.open"
    WRITE_JOURNAL = "journal.write"
    CREATE_ROLE = "source.create_role"
    SET_WAL_LEVEL = "source.set_wal_level"
    SAVE_INTENT = "journal.save_intent"
    STOP_SOURCE = "source.stop"
    START_SOURCE = "source.start"
    BOUND_WAL = "source.bound_wal"
    PUBLISH = "source.publish"
    CREATE_SLOT = "source.create_slot"
    CREATE_SEED = "target.create_seed"
    RESTORE_SCHEMA = "target.restore_schema"
    COPY_TABLE = "target.copy_table"
    BUILD_INDEX = "target.build_index"
    ADD_CONSTRAINTS = "target.add_constraints"
    ADVANCE_SEQUENCES = "target.advance_sequences"
    MARK_SEEDED = "target.mark_seeded"
    SWAP_MIRROR = "target.swap_mirror"
    CREATE_SUBSCRIPTION = "target.create_subscription"
    ENABLE_SUBSCRIPTION = "target.enable_subscription"
    DROP_OLD_MIRROR = "target.drop_old_mirror"
    CREATE_LATE_TABLES = "target.create_late_tables"
    PUBLISH_LATE_TABLES = "source.publish_late_tables"
    REFRESH_SUBSCRIPTION = "target.refresh_subscription"
    ADD_LATE_KEYS = "target.add_late_keys"
    MARK_TABLES = "target.mark_tables"
    DISABLE_SUBSCRIPTION = "target.disable_subscription"
    CLONE_WORKING = "target.clone_working"
    PREPARE_WORKING = "target.prepare_working"
    MARK_WORKING = "target.mark_working"
    STOP_READER = "reader.stop"
    SWAP_WORKING = "target.swap_working"
    START_READER = "reader.start"
    DROP_OLD_WORKING = "target.drop_old_working"
    MARK_LOGS = "target.mark_logs"
    NOTE_LOGS = "source.note_logs"
    DROP_NEXT_WORKING = "target.drop_next_working"
    RECONNECT = "target.reconnect"
    DROP_SUBSCRIPTION = "target.drop_subscription"
    DROP_SLOT = "source.drop_slot"
    DROP_SEED = "target.drop_seed"
    DROP_PUBLICATION = "source.drop_publication"
    DROP_ROLE = "source.drop_role"
    RESET_WAL_LEVEL = "source.reset_wal_level"
    RESET_WAL_BOUND = "source.reset_wal_bound"
    ADOPT_SHADOW = "snapshot.adopt_shadow"
    DROP_KEYS = "snapshot.drop_keys"
    REPLACE_TABLE = "snapshot.replace_table"
    ADD_KEYS = "snapshot.add_keys"
    MARK_SNAPSHOT = "snapshot.mark"
    COPY_EPOCH = "epoch.copy"
    ADMIT = "server.admit"
    PAUSE_FEED = "cut_over.pause_feed"
    FENCE_COMPOSE = "cut_over.fence_compose"
    CLOSE_PROD = "cut_over.close_prod"
    SET_SEQUENCES = "promotion.set_sequences"
    LET_GO = "promotion.let_go"
    CLOSE_DATABASES = "promotion.close_databases"
    RENAME_DATABASES = "promotion.rename_databases"
    MAKE_MIRROR = "promotion.make_mirror"
    OPEN_PROMOTED = "promotion.open"
    HAND_OVER = "cut_over.hand_over"
    ADVANCE_EPOCH = "epoch.advance"
    RESUME_FEED = "cut_over.resume_feed"
    ACTIVATE = "cut_over.activate"
    PROVE = "cut_over.prove"
    SAVE_REPORT = "cut_over.save_report"
    SHUT_OUT = "cut_over.shut_out"
    OPEN_PROD = "cut_over.open_prod"
    START_COMPOSE = "cut_over.start_compose"
    DEACTIVATE = "cut_over.deactivate"
    FENCE_AIRBYTE = "failover.stop"
    SET_STOPPED = "failover.set_stopped"
    ACTIVATE_AIRBYTE = "failover.activate"
    SET_ASIDE = "rebuild.set_aside"
    MAKE_EMPTY = "rebuild.make_empty"
    STAND_BY = "rebuild.stand_by"
    REHEARSAL_STOP = "rehearsal.stop"
    REHEARSAL_SWAP = "rehearsal.swap"
    REHEARSAL_INSTALL = "rehearsal.install"
    REHEARSAL_REMOVE = "rehearsal.remove"
    REHEARSAL_DROP = "rehearsal.drop"
    REHEARSAL_RESUME = "rehearsal.resume"


def perform(name: Effect, function: Callable[[], R]) -> R:
    """Carry out one effect (the one place that all of them pass)."""
    del name
    return function()


def effect(name: Effect) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare that the function is the side effect `name`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            return perform(name, lambda: function(*args, **kwargs))

        return wrapper

    return decorate
