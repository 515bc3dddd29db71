"""What carries out each step of the plan."""

from __future__ import annotations

from collections.abc import Callable

from db_migration.agent.plan import Step
from db_migration.context import Context
from db_migration.following import follow, late, prepare, reader_role, sequences, working
from db_migration.journal import Journal
from db_migration.seeding import seed
from db_migration.sides import standby
from db_migration.snapshots import snapshot
from db_migration.verification import verify

Action = Callable[[Context, Journal], object]

ACTIONS: dict[Step, Action] = {
    Step.DROP_SLOT: lambda context, _: follow.drop_slot(context),
    Step.CREATE_ROLE: reader_role.prepare_role,
    Step.BOUND_WAL: lambda context, _: prepare.bound_wal(context),
    Step.SET_WAL_LEVEL: lambda context, _: prepare.set_wal_level(context),
    Step.RESTART_SOURCE: prepare.restart_source,
    Step.START_SOURCE: prepare.start_source,
    Step.FORGET_RESTART: lambda _, journal: journal.intend(prepare.RESTART_SOURCE, on=False),
    Step.PUBLISH: lambda context, _: prepare.publish(context),
    Step.DROP_SEED: lambda context, _: follow.drop_seed(context),
    Step.SEED: lambda context, _: seed.seed(context, verify=True),
    Step.SNAPSHOT: snapshot.take,
    Step.SWAP_SNAPSHOT: lambda context, _: follow.swap_mirror(context),
    Step.SWAP_MIRROR: lambda context, _: follow.swap_mirror(context),
    Step.DROP_OLD_MIRROR: lambda context, _: follow.drop_old_mirror(context),
    Step.SUBSCRIBE: lambda context, _: follow.create_subscription(context),
    Step.ENABLE: lambda context, _: follow.enable(context),
    Step.RECONNECT: lambda context, _: follow.reconnect(context),
    Step.DROP_SUBSCRIPTION: lambda context, _: follow.drop_subscription(context),
    Step.ADD_TABLES: lambda context, _: late.add_tables(context),
    Step.ADVANCE_SEQUENCES: lambda context, _: sequences.advance(context, context.mirror),
    Step.DROP_OLD_WORKING: lambda context, _: working.drop_old(context),
    Step.DROP_NEXT_WORKING: lambda context, _: working.drop_next(context),
    Step.CLONE_WORKING: lambda context, _: working.clone(context),
    Step.SWAP_WORKING: working.swap,
    Step.ADMIT_READER: lambda context, _: standby.admit(context),
    Step.START_READER: working.start_reader,
    Step.VERIFY: lambda context, journal: verify.verify_and_record(
        context, journal, move=lambda: sequences.advance(context, context.mirror)
    ),
}
