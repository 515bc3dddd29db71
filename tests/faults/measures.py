"""Each measure against a trap of Airbyte, left out in turn: some test must be red without it.

`docs/reference/airbyte-traps.md` says which trap asks for which measure.
"""

# size: one table

from tests.faults.machinery import Fault

UNIT = "tests/unit"
SCHEDULES = "tests/scenarios/schedules/test_schedules.py"
PROMOTION = "tests/scenarios/two_servers/test_promotion.py"
WORKING = "tests/scenarios/working_database/test_working_database.py"
CHARTS = f"{UNIT}/airbyte/test_chart_values.py"
MISREADINGS = f"{UNIT}/airbyte/test_chart_misreadings.py"
HOSTCTL = f"{UNIT}/components/test_hostctl_abctl.py"
DRAIN = f"{UNIT}/db_migration/test_drain.py"
FENCES = f"{UNIT}/db_migration/test_fences.py"
FAILOVER = "tests/scenarios/failover/test_failover.py"
REHEARSE = f"{UNIT}/db_migration/test_rehearse.py"

MEASURES: tuple[Fault, ...] = (
    # --- schedules --------------------------------------------------------------------------------
    Fault(
        name="connections not touched",
        harm="An empty Temporal would run no schedule ever again.",
        file="db_migration/airbytes/api.py",
        old="""self._post("connections/update", {"connectionId": connection_id})""",
        new="""str(connection_id)""",
        selection=(f"{SCHEDULES}::test_without_a_touch_nothing_runs_and_with_it_everything",),
    ),
    Fault(
        name="touched all at once",
        harm="Every overdue sync would start in the same moment.",
        file="db_migration/airbytes/touching.py",
        old="return running < pace.running_at_most or",
        new="return running < 999 or",
        selection=(f"{SCHEDULES}::test_without_a_touch_nothing_runs_and_with_it_everything",),
    ),
    Fault(
        name="believed without a proof",
        harm="A connection whose sync never begins would be reported as scheduled.",
        file="db_migration/airbytes/connections.py",
        old="""return Verdict(missing=f"overdue {since}, and no new job has come")""",
        new="""return Verdict(proof=f"overdue {since}, and no new job has come")""",
        selection=(f"{SCHEDULES}::test_connection_that_does_not_come_back_is_named",),
    ),
    Fault(
        name="running job touched",
        harm="An update could end or disturb a sync that is under way.",
        file="db_migration/airbytes/touching.py",
        old="        return Touch.LEAVE\n",
        new="        return Touch.QUIET\n",
        selection=(f"{SCHEDULES}::test_job_whose_workflow_runs_is_left_alone",),
    ),
    Fault(
        name="interrupted jobs not named",
        harm="Nobody would learn which syncs the change of sides cut off.",
        file="db_migration/airbytes/connections.py",
        old="if job.connection not in works)",
        new="if job.connection in works)",
        selection=(f"{SCHEDULES}::test_job_of_the_fenced_side_is_named_with_its_connection",),
    ),
    Fault(
        name="jobs not drained",
        harm="The cut-over would cut off every sync under way.",
        file="db_migration/airbytes/drain.py",
        old="    if not jobs:\n",
        new="    if jobs >= 0:\n",
        selection=(DRAIN,),
    ),
    Fault(
        name="drained after the fence",
        harm="The drain would come when there is nothing left to wait for.",
        file="db_migration/cutover/plan.py",
        old="return Step.FENCE if seen.drained or not seen.prod_open else Step.DRAIN",
        new="return Step.FENCE",
        selection=(f"{UNIT}/db_migration/test_cutover_plan.py",),
    ),
    # --- one writer -------------------------------------------------------------------------------
    Fault(
        name="no sync fence",
        harm="Connections would be touched while another Airbyte still syncs them.",
        file="db_migration/airbytes/connections.py",
        old="    fences.require_sync_fence(config, instance, instance_host, down)\n",
        new="    _ = (fences, instance_host, down)\n",
        selection=(f"{SCHEDULES}::test_nothing_is_touched_without_the_sync_fence",),
    ),
    Fault(
        name="no database fence",
        harm="A mirror would be promoted with an Airbyte let into its server.",
        file="db_migration/sides/promotion.py",
        old="        fences.require_database_fence(config, server)\n",
        new="        _ = fences\n",
        selection=(f"{PROMOTION}::test_with_a_dead_source_and_a_standby_at_work",),
    ),
    Fault(
        name="nobody shut out",
        harm="A host that comes back from the dead would write to the live database.",
        file="db_migration/sides/admission.py",
        old="""run(connection, _change("REVOKE CONNECT ON DATABASE {} FROM {}", name, other))""",
        new="""_change("REVOKE CONNECT ON DATABASE {} FROM {}", name, other)""",
        selection=(f"{PROMOTION}::test_with_a_dead_source_and_a_standby_at_work",),
    ),
    Fault(
        name="silent host taken for dead",
        harm="A host that is only cut off would go on syncing beside its successor.",
        file="db_migration/failover/plan.py",
        old="    words = (lost.host,)\n",
        new="    words = ()\n",
        selection=(f"{UNIT}/db_migration/test_failover_plan.py",),
    ),
    Fault(
        name="silent host believed stopped",
        harm="Without the operator's word its last syncs may still write to destinations.",
        file="db_migration/sides/fences.py",
        old="return silent if other.former and not other.down else None",
        new="return None if silent else None",
        selection=(FENCES,),
    ),
    Fault(
        name="syncs not waited for",
        harm="Syncs of a host that is only cut off would go on beside the new ones.",
        file="db_migration/failover/outwait.py",
        old="lambda: _since(connection) >= seconds",
        new="lambda: seconds >= 0",
        selection=(f"{FAILOVER}::test_time_takes_the_place_of_a_word",),
    ),
    Fault(
        name="older epoch obeyed",
        harm="A late command of yesterday's side would start it again.",
        file="components/files/hostctl/60_install.bash",
        old='((epoch >= $(epoch_of "$1")))',
        new="((epoch >= 0))",
        selection=(f"{HOSTCTL}::test_an_older_epoch_is_refused_and_installs_nothing",),
    ),
    Fault(
        name="active connections on the standby",
        harm="One worker on the copy would run every sync a second time.",
        file="db_migration/following/working.py",
        old="run(connection, sql.SQL(off.text), off.arguments)",
        new="str(off)",
        selection=(f"{WORKING}::test_is_a_harmless_clone_that_airbyte_owns",),
    ),
    Fault(
        name="standby not looked at",
        harm="A standby whose connections somebody switched on would be started.",
        file="db_migration/sides/fences.py",
        old="    if not active_connections:\n",
        new="    if active_connections >= 0:\n",
        selection=(FENCES,),
    ),
    Fault(
        name="compose revived by a reboot",
        harm="`restart: unless-stopped` would bring the old side back, and both would sync.",
        file="components/files/hostctl/35_services.bash",
        old="""docker stop -t "$grace" "${@:2}" >/dev/null""",
        new="""docker pause "${@:2}" >/dev/null""",
        selection=("tests/conformance/test_compose_reboot.py",),
    ),
    # --- what travels -----------------------------------------------------------------------------
    Fault(
        name="late table forgotten",
        harm="`secrets` is made by the first secret, not by a migration: no password would come.",
        file="db_migration/agent/plan.py",
        old="    if late:\n",
        new="    if late and not late:\n",
        selection=("tests/scenarios/late_table/test_late_table.py",),
    ),
    Fault(
        name="secrets not looked for",
        harm="A rehearsal would pass without a single connector's password.",
        file="db_migration/rehearsal/checks.py",
        old='return Check(name, not missing, found, "each secret',
        new='return Check(name, True, found, "each secret',
        selection=(REHEARSE,),
    ),
    Fault(
        name="prod stopped by a rehearsal",
        harm="A rehearsal that a failover overtook would stop the Airbyte that is prod by now.",
        file="db_migration/rehearsal/plan.py",
        old="return Leftover.SWAPPED if working and mine else Leftover.ORPHAN",
        new="return Leftover.SWAPPED if working else Leftover.ORPHAN",
        selection=(REHEARSE,),
    ),
    Fault(
        name="old Temporal kept beside a returned database",
        harm="The workflows of yesterday's prod would run on today's copy.",
        file="db_migration/config.py",
        old="return [self.database, *self.temporal]",
        new="return [self.database]",
        selection=(
            "tests/scenarios/rebuild/test_rebuild.py::"
            "test_returned_server_becomes_the_copy_and_then_prod_again",
        ),
    ),
    # --- values, versions, abctl ------------------------------------------------------------------
    Fault(
        name="data-plane group without a name",
        harm="From 2.0 on no sync would ever be claimed on a migrated database.",
        file="airbyte/chart_misreadings.py",
        old="    _dataplane_group,\n",
        new="",
        selection=(MISREADINGS,),
    ),
    Fault(
        name="auth left to the chart",
        harm="Its default differs from chart to chart: the API could be open to everybody.",
        file="airbyte/chart_misreadings.py",
        old="    _auth,\n",
        new="",
        selection=(MISREADINGS,),
    ),
    Fault(
        name="storage left to the chart",
        harm="MinIO's image is gone from its registry: no pod that needs it starts.",
        file="airbyte/chart_misreadings.py",
        old="    _storage,\n",
        new="",
        selection=(MISREADINGS,),
    ),
    Fault(
        name="bootloader on while prepared",
        harm="It would migrate, irreversibly, a database that prod still uses.",
        file="airbyte/chart_values.py",
        old="""{"enabled": rendering is not Rendering.PREPARED},""",
        new="""{"enabled": bool(rendering)},""",
        selection=(f"{CHARTS}::test_a_prepared_one_runs_nothing_and_has_no_bootloader",),
    ),
    Fault(
        name="v1's key for the database in v2",
        harm="The v2 chart would silently use the database `db-airbyte`.",
        file="airbyte/chart_misreadings.py",
        old="    _database,\n",
        new="",
        selection=(MISREADINGS,),
    ),
    Fault(
        name="TLS forced on Temporal",
        harm="Against a server without TLS Temporal would never start.",
        file="airbyte/chart_values.py",
        old=""""type": "external" if database.tls else "internal",""",
        new=""""type": "external",""",
        selection=(f"{CHARTS}::test_without_tls_temporal_is_not_forced_to_it",),
    ),
    Fault(
        name="downgrade allowed",
        harm="An older Airbyte breaks on a migrated database, and no code of Airbyte says so.",
        file="airbyte/versions.py",
        old="    if numbers(target) < numbers(source):\n",
        new="    if not numbers(target):\n",
        selection=(f"{UNIT}/airbyte/test_versions.py",),
    ),
    Fault(
        name="abctl believed",
        harm="An older release that still runs would pass for the one that failed to install.",
        file="components/files/hostctl/60_install.bash",
        old="! grep -q 'Installed Helm Chart airbyte/airbyte' \"$log\"",
        new="! true",
        selection=(f"{HOSTCTL}::test_an_airbyte_that_still_runs_does_not_hide_a_failed_install",),
    ),
    Fault(
        name="auth secret given every time",
        harm="abctl would replace it, and with it the keys that the bootloader added.",
        file="components/files/hostctl/60_install.bash",
        old='if ! auth_is_given "$instance"; then',
        new="if true; then",
        selection=(f"{UNIT}/components/test_hostctl_secrets.py::test_it_is_given_once",),
    ),
    Fault(
        name="Helm release not read",
        harm="A failed or pending release would pass for an Airbyte that is ready.",
        file="components/files/hostctl/60_install.bash",
        old='[[ $found == "deployed $chart "* ]] ||',
        new="[[ -n $found ]] ||",
        selection=(f"{UNIT}/components/test_hostctl_program.py", "-k", "not_the_wanted_one"),
    ),
    Fault(
        name="kept secret not given back",
        harm="After a reinstall tokens would be void, and the data plane would fit no row.",
        file="components/files/hostctl/55_secret.bash",
        old='cat "$dir/auth.kept" 2>/dev/null || true; }',
        new="true; }",
        selection=(f"{UNIT}/components/test_hostctl_secrets.py", "-k", "new_cluster"),
    ),
    Fault(
        name="uninstalled without a copy",
        harm="The cluster's Secret would be gone with it, for ever.",
        file="components/files/hostctl/60_install.bash",
        old='    auth_is_kept "$1" ||\n',
        new="    true ||\n",
        selection=(f"{UNIT}/components/test_hostctl_secrets.py", "-k", "not_kept"),
    ),
    Fault(
        name="values not judged",
        harm="The chart would silently make something else of the owner's values.",
        file="airbyte/chart_values.py",
        old="    chart_misreadings.refuse(wish.chart, stated, merged)\n",
        new="    _ = chart_misreadings\n",
        selection=(f"{UNIT}/airbyte/test_chart_misreadings.py",),
    ),
    Fault(
        name="another port taken for the cluster's",
        harm="abctl would go on with the old one and only warn: nobody would find Airbyte.",
        file="components/files/hostctl/60_install.bash",
        old='[[ -z $port || $port == "$wanted" ]] ||',
        new="[[ -n $wanted ]] ||",
        selection=(f"{UNIT}/components/test_hostctl_program.py", "-k", "another_port"),
    ),
)
