"""docs/observability: what it says is what is exported, its rules are tested, and every alert has its entry in the runbook."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from speed_to_lead.web.metrics import METRICS, PREFIX

DOCS = Path(__file__).parents[1] / "docs"
HERE = DOCS / "observability"
RULES = (HERE / "alerts.yml").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((HERE / "dashboard.json").read_text(encoding="utf-8"))
EXPORTED = {PREFIX + metric.name for metric in METRICS if metric.type != "histogram"} | {
    f"{PREFIX}{metric.name}_{part}"
    for metric in METRICS
    if metric.type == "histogram"
    for part in ("bucket", "sum", "count")
}
LABELS = {label for metric in METRICS for label in metric.labels} | {"le", "alertname", "alertstate"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool (Debian: prometheus) is not installed: rules and expressions were only read, not evaluated",
)


def panels() -> list[dict[str, Any]]:
    """Every panel that shows something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Every expression of the dashboard."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return found + [one["expr"] for one in DASHBOARD["annotations"]["list"]]


def unknown_in(text: str) -> set[str]:
    """Names of metrics that are not exported, and labels that none has, in rules or expressions."""
    names = set(re.findall(rf"\b{PREFIX}\w+", text)) - EXPORTED
    selectors = "".join(re.findall(r"\{([^{}]*)\}", re.sub(r"\{\{.*?\}\}", "", text)))
    grouped = ",".join(re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", text))
    labels = {*re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selectors), *re.findall(r"\w+", grouped)}
    return names | (labels - LABELS)


def anchors(text: str) -> set[str]:
    """What the headings of a page are linked by."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_readme_has_every_metric_as_it_is() -> None:
    """Generated from METRICS: where one is added or changed, put these rows into the table."""
    rows = [
        f"| `{PREFIX}{m.name}` | {m.type} | {', '.join(f'`{label}`' for label in m.labels)} | {m.meaning} |"
        for m in METRICS
    ]
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    assert rows == [line for line in readme.splitlines() if line.startswith(f"| `{PREFIX}")]


@pytest.mark.parametrize("text", [RULES, *expressions()], ids=lambda text: text[:40])
def test_rules_and_dashboard_ask_for_what_is_exported(text: str) -> None:
    """A metric or a label that was renamed would silently show nothing, and alert nobody."""
    rules_only = re.sub(r"(?m)^ +(summary|description|runbook|labels):.*$", "", text)
    assert unknown_in(rules_only) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("speed_to_lead_queue_deep", {"speed_to_lead_queue_deep"}),
        ("speed_to_lead_detection_lag_seconds", {"speed_to_lead_detection_lag_seconds"}),
        ('max by (squad) (speed_to_lead_outbox_depth{target!="x"})', {"squad", "target"}),
        ("max by (team) (speed_to_lead_leads_breached_total)", set()),
    ],
)
def test_the_check_can_fail(text: str, expected: set[str]) -> None:
    """What does not exist is seen."""
    assert unknown_in(text) == expected


def test_every_alert_has_its_runbook_and_its_test() -> None:
    """Whoever is paged finds what it means and what to do; and each was seen firing."""
    alerts = re.findall(r"- alert: (\w+)", RULES)
    runbook = anchors((DOCS / "runbook.md").read_text(encoding="utf-8"))
    linked = re.findall(r"runbook: docs/runbook\.md#(\S+)", RULES)
    assert linked == [alert.lower() for alert in alerts]
    assert set(linked) - runbook == set()
    tests = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("alerts*_test.yml"))
    fired = set(re.findall(r'alertname="(\w+)"', tests))
    assert fired == set(alerts)
    assert set(re.findall(r"severity: (\w+)", RULES)) == {"page", "ticket"}


def test_dashboard_can_be_imported() -> None:
    """No fixed data source, no id of somebody's Grafana, no panel over another, each named once."""
    assert "id" not in DASHBOARD
    assert [one["type"] for one in DASHBOARD["templating"]["list"]] == ["datasource"]
    sources = [panel["datasource"] for panel in panels()] + [
        target["datasource"] for panel in panels() for target in panel["targets"]
    ]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    for name in ("id", "title"):
        values = [panel[name] for panel in DASHBOARD["panels"]]
        assert len(values) == len(set(values))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    words = [title.partition(" · ")[2].partition(":")[0] for title in rows[1:]]
    assert words == ["Intake", "Routing", "SLA clock", "Alerts", "Answers", "Audit"]


def test_every_metric_is_looked_at() -> None:
    """One nobody shows or asks about costs everybody and helps nobody."""
    used = RULES + "".join(expressions())
    assert [metric.name for metric in METRICS if PREFIX + metric.name not in used] == []


def promtool(*arguments: str, stdin: str = "") -> None:
    """Run it; what it says is the message where it is not content."""
    ran = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_alerts_fire_when_they_should_and_not_before() -> None:
    """The unit tests beside the rules, evaluated by Prometheus itself."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(HERE / "alerts.yml"))
    promtool("test", "rules", *map(str, sorted(HERE.glob("alerts*_test.yml"))))


@needs_promtool
def test_expressions_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    """Each is given to Prometheus as a recording rule."""
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expression)}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", str(file))
