"""scoring.toml → points by condition. Without the file every score is 0."""

from speed_to_lead.config.conditions import SCORE_FIELDS, read_conditions
from speed_to_lead.config.mistakes import Names
from speed_to_lead.config.shapes import MOST_POINTS, POINTS
from speed_to_lead.config.table import Table
from speed_to_lead.core.attribution import Taxonomy
from speed_to_lead.core.scoring import Points


def read_scoring(file: Table, sources: Names, taxonomy: Taxonomy) -> tuple[Points, ...]:
    """The points of `[[points]]`, in their order."""
    file.refuse_keys_except("points")
    scoring: list[Points] = []
    first_place: dict[str, int] = {}
    for number, table in enumerate(file.listed_tables("points", "[[points]]"), start=1):
        table.refuse_keys_except(*POINTS)
        name = table.text("name", "a text that people will read in traces", required=True)
        if name is not None and first_place.setdefault(name, number) != number:
            table.mistake(f"points {first_place[name]} have the same name; traces need each name once")
        points = table.whole_number("points", -MOST_POINTS, MOST_POINTS)
        if not table.meant("points"):
            table.mistake(
                f'"points" is missing; it takes a whole number from {-MOST_POINTS} to {MOST_POINTS}'
            )
        if points == 0:
            table.mistake("points is 0, which changes no score; write how many, or remove it")
        when = read_conditions(table, "when", SCORE_FIELDS, sources, taxonomy)
        unless = read_conditions(table, "unless", SCORE_FIELDS, sources, taxonomy)
        if name is not None and points is not None:
            scoring.append(Points(name, points, when, unless))
    return tuple(scoring)
