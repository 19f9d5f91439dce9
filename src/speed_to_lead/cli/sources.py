"""`sources audit`: does the taxonomy still say where leads come from, and does anything bring none any more?"""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from speed_to_lead.arrivals import kept_for, survey
from speed_to_lead.cli import new_group
from speed_to_lead.cli.connect import opened_place
from speed_to_lead.cli.output import counted, hint, safe, say, say_json, say_table
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.config.mistakes import nearest
from speed_to_lead.core.arrivals import Arrivals, AuditTerms, FormArrivals, expected_since_last
from speed_to_lead.core.attribution import Taxonomy
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.sla import format_duration, parse_duration

app = new_group("Where leads come from: words the taxonomy lacks, and who brings none any more.")


@app.command()
def audit(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="Look at submissions of so long, and at sources without any; quiet_after of sources.toml if left out.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Words for a source that the taxonomy lacks, blanks by form, sources and forms gone quiet. Exit 1 when it found any."""
    asked = _span(since) if since is not None else None
    with opened_place(rules=True) as place:
        terms = place.config.audit
        span = asked or terms.quiet_after
        now = place.store.now()
        arrivals = survey(place, now - span, now)
        kept = kept_for(place.config.retention)
    report = _report(arrivals, terms, span, now, kept)
    if as_json:
        say_json(report)
    else:
        _tell(report)
    if report["found"]:
        raise typer.Exit(1)


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None


def _report(
    arrivals: Arrivals, terms: AuditTerms, span: timedelta, now: datetime, kept: timedelta | None
) -> dict[str, Any]:
    taxonomy = arrivals.taxonomy
    silent = {silence.form for silence in arrivals.silences(now, terms.silent_at, kept)}
    words = sorted(arrivals.words.values(), key=lambda word: (-word.count, word.text))
    forms = {
        name: arrivals.forms.get(name, FormArrivals()) for name in (*arrivals.config_forms, *arrivals.forms)
    }
    quiet = arrivals.quiet_sources(now, span)
    return {
        "found": bool(words or arrivals.words_withheld or silent or quiet),
        "since": to_iso(arrivals.since),
        "until": to_iso(now),
        "submissions": arrivals.submissions,
        "unreadable_records": arrivals.unreadable,
        "unknown_values": [
            {
                "value": word.text,
                "count": word.count,
                "nearest": nearest_source(word.text, taxonomy),
                "forms": sorted(word.forms),
            }
            for word in words
        ],
        "unknown_values_withheld": arrivals.words_withheld,
        "unknown_values_not_listed": arrivals.words_not_kept,
        "forms": [
            _form_as_json(name, form, now, kept, is_silent=name in silent)
            for name, form in sorted(forms.items())
        ],
        "silent_forms": sorted(silent),
        "quiet_after": format_duration(span),
        "quiet_sources": [
            {"source": name, "label": taxonomy.sources[name].label, "last_at": _iso(last_at)}
            for name, last_at in quiet
        ],
        "records_kept_for": format_duration(kept) if kept is not None else None,
    }


def nearest_source(word: str, taxonomy: Taxonomy) -> str | None:
    """The source that a word most likely means, by its name, label or alias; None where none is near."""
    words = {
        known: source.name
        for source in taxonomy.sources.values()
        for known in (source.name, source.label, *source.aliases)
    }
    near = nearest(word, words)
    return words[near] if near is not None else None


def _form_as_json(
    name: str, form: FormArrivals, now: datetime, kept: timedelta | None, *, is_silent: bool
) -> dict[str, Any]:
    return {
        "form": name,
        "submissions": form.submissions,
        "blank": form.blank,
        "blank_share": _share(form.blank, form.submissions),
        "unclassified": form.unclassified,
        "unclassified_share": _share(form.unclassified, form.submissions),
        "last_at": _iso(form.last_at),
        "expected_since": expected_since_last(form, now, kept),
        "silent": is_silent,
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _iso(at: datetime | None) -> str | None:
    return None if at is None else to_iso(at)


# --- telling ---------------------------------------------------------------------------------------------------


def _tell(report: dict[str, Any]) -> None:
    say(f"{counted(report['submissions'], 'submission')} since {report['since']}")
    if report["unreadable_records"]:
        hint(f"{counted(report['unreadable_records'], 'record')} could not be read; `speed-to-lead doctor`")
    _tell_words(report)
    say()
    say_table(
        ("form", "submissions", "no source given", "source unknown", "last", ""),
        (
            (
                one["form"],
                f"{one['submissions']:,}",
                _in_percent(one["blank"], one["blank_share"]),
                _in_percent(one["unclassified"], one["unclassified_share"]),
                one["last_at"],
                _standing(one),
            )
            for one in report["forms"]
        ),
    )
    say()
    _tell_sources(report)


def _tell_words(report: dict[str, Any]) -> None:
    say()
    if not report["unknown_values"] and not report["unknown_values_withheld"]:
        say("Every source that was named is in the taxonomy.")
        return
    say("Sources named that the taxonomy does not have:")
    say_table(
        ("value", "submissions", "forms", "did you mean"),
        (
            (one["value"], f"{one['count']:,}", ", ".join(one["forms"]), one["nearest"])
            for one in report["unknown_values"]
        ),
    )
    if report["unknown_values_withheld"]:
        say(
            f"{counted(report['unknown_values_withheld'], 'value')} not repeated here: an address or name of a person"
        )
    if report["unknown_values_not_listed"]:
        say(f"{counted(report['unknown_values_not_listed'], 'submission')} more with further values")
    say("Add each as an alias of the source it means, or as a source of its own (sources.toml).")


def _in_percent(number: int, share: float | None) -> str | None:
    return None if share is None else f"{number:,} ({share:.0%})"


def _standing(one: dict[str, Any]) -> str:
    if one["silent"]:
        return f"SILENT, {one['expected_since']:,} expected since"
    if one["last_at"] is None:
        return "none yet"
    return "too new to say" if one["expected_since"] is None else ""


def _tell_sources(report: dict[str, Any]) -> None:
    quiet = report["quiet_sources"]
    if not quiet:
        say(f"Every source brought a lead within {report['quiet_after']}.")
        return
    say(f"Sources without a lead for {report['quiet_after']}:")
    say_table(
        ("source", "label", "last lead"),
        ((one["source"], safe(one["label"]), one["last_at"]) for one in quiet),
    )
    if report["records_kept_for"] is not None:
        say(
            f"Leads are removed {report['records_kept_for']} after they are done with, so older ones do not show."
        )
