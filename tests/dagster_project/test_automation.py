"""What Dagster makes anew by itself: only what is cheap, each day and where its input is new."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.definitions import road

CHEAP = ["clips", "source_videos"]


def test_nothing_that_computes_on_gpus_has_a_condition_and_the_sensor_is_off() -> None:
    definitions = road()
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    automated = [it.to_user_string() for it in keys if graph.get(it).automation_condition]
    assert sorted(automated) == CHEAP
    sensor = definitions.resolve_sensor_def("cheap_assets")
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    names = {it.name for it in definitions.get_repository_def().sensor_defs}
    assert "default_automation_condition_sensor" not in names


def test_each_night_the_videos_are_listed_and_clips_follow_a_list_that_is_new() -> None:
    definitions = road()
    with dg.DagsterInstance.ephemeral() as instance:

        def asked(day: int, hour: int, before: dg.EvaluateAutomationConditionsResult | None):
            return dg.evaluate_automation_conditions(
                definitions,
                instance,
                evaluation_time=datetime(2026, 11, day, hour, tzinfo=UTC),
                cursor=before.cursor if before else None,
            )

        def requested(result: dg.EvaluateAutomationConditionsResult) -> list[str]:
            return [it for it in CHEAP if result.get_num_requested(dg.AssetKey(it))]

        for name in CHEAP:
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        first = asked(2, 1, None)
        assert requested(first) == []
        night = asked(2, 3, first)
        assert requested(night) == ["clips", "source_videos"], "in one run, clips after videos"
        for name in reversed(CHEAP):
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        later = asked(2, 5, night)
        assert requested(later) == []
        instance.report_runless_asset_event(dg.AssetMaterialization("source_videos"))
        assert requested(asked(2, 6, later)) == ["clips"], "a list that somebody has made by day"
