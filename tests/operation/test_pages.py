"""What people see: the asset graph, the grid on its asset's page, the run and its curves."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.operation.conftest import OUTPUT
from tests.operation.road import Road

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1900, "height": 1000})
        page.set_default_timeout(180_000)
        expect.set_options(timeout=180_000)
        yield page
        browser.close()


def _shot(page: Page, name: str) -> None:
    OUTPUT.mkdir(exist_ok=True)
    page.screenshot(path=str(OUTPUT / f"{name}.png"))


def test_the_graph_shows_the_data_materialized_with_the_road_and_the_columns(
    uis: Road, page: Page
) -> None:
    page.goto(f"{uis.dagster_url}/locations/exvideo/asset-groups/data")
    for name in ("source_videos", "clips", "latent_shards"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text("Materialized", exact=True)).to_have_count(3)
    _shot(page, "asset_graph")
    page.goto(f"{uis.dagster_url}/assets/clips")
    expect(page.locator("img[alt='the road']").first).to_be_visible()
    expect(page.get_by_text("Why it was rejected: a kind, a colon").first).to_be_visible()
    _shot(page, "clips_asset")


def test_the_grid_picture_shows_on_the_assets_page(uis: Road, page: Page) -> None:
    page.goto(f"{uis.dagster_url}/assets/evaluation_grid")
    grid = page.locator("img[src*='get-artifact']").first
    grid.scroll_into_view_if_needed()
    expect(grid).to_be_visible()
    page.wait_for_function("image => image.naturalWidth > 300", arg=grid.element_handle())
    _shot(page, "evaluation_grid")


def test_mlflow_shows_the_run_and_its_curves(uis: Road, page: Page) -> None:
    run_url = uis.receipt("post_tuned_model")["figures"]["MLflow run"]
    assert run_url.startswith(uis.mlflow_url)
    page.goto(run_url)
    expect(page.get_by_text("Finished").first).to_be_visible()
    _shot(page, "mlflow_run")
    page.set_viewport_size({"width": 1900, "height": 2400})  # charts below the fold aren't drawn
    page.goto(run_url.replace("?workflowType", "/model-metrics?workflowType"))
    page.get_by_role("button", name="Close", exact=True).click()  # of MLflow's assistant
    page.get_by_placeholder("Search metric charts").fill("loss$|loss_raw")
    expect(page.get_by_text("sample/").first).to_be_visible()
    expect(page.get_by_text("(training/loss)").first).to_be_visible()
    expect(page.get_by_text("(validation/loss)").first).to_be_visible()
    expect(page.locator("svg.main-svg").first).to_be_visible()
    _shot(page, "mlflow_curves")


def test_a_wrong_setting_in_the_launchpad_fails_before_the_first_step(uis: Road) -> None:
    from tests.operation.road import wait_for

    run_id = uis.launch("source_videos", **{"training.stepz": 5})
    wait_for(lambda: uis.status(run_id) == "FAILURE", "the run is refused")
    query = """
    query Events($id: ID!) {
      logsForRun(runId: $id) {
        ... on EventConnection { events { __typename ... on MessageEvent { message }
          ... on RunFailureEvent { error { causes { message } } } } }
      }
    }
    """
    events = uis.graphql(query, id=run_id)["logsForRun"]["events"]
    assert "training.stepz: there is no such key; did you mean training.steps?" in str(events)
    assert "ExecutionStepStartEvent" not in {event["__typename"] for event in events}
