"""A configuration with SLAs of seconds, whose every destination is the sink."""

from pathlib import Path

REPS = ("ana", "ben", "cleo")
STEPS = ("0%", "50%", "100%", "+2s")


def write_rules(directory: Path, respond_within: str = "4s") -> Path:
    """Write the config directory: one form without proof, one team, one ladder of four steps; the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    reps = "".join(
        f'[[teams.all.reps]]\nid = "{rep}"\nname = "{rep.title()}"\nnotify = "{rep}-hook"\n' for rep in REPS
    )
    destinations = "".join(
        f'[destinations.{name}]\ntype = "webhook"\nurl_env = "SINK_URL"\nsecret_env = "SINK_SECRET"\n'
        for name in (*(f"{rep}-hook" for rep in REPS), "managers", "head-of-sales")
    )
    files = {
        "sources.toml": '[sources.demo_request]\nlabel = "Demo request"\nmotion = "inbound"\n',
        "teams.toml": (
            '[calendars.always]\ntimezone = "UTC"\nhours = { mon-sun = ["00:00-24:00"] }\n'
            f'[teams.all]\ncalendar = "always"\nmanager = "managers"\n{reps}'
        ),
        "slas.toml": (
            f'[slas.fast]\nrespond_within = "{respond_within}"\nsteps = [\n'
            '  { at = "0%", tell = "rep" },\n  { at = "50%", remind = "rep" },\n'
            '  { at = "100%", alert = "manager", reassign = true },\n  { at = "+2s", alert = "head-of-sales" },\n]\n'
        ),
        "routing.toml": '[default]\nteam = "all"\nsla = "fast"\n',
        "intake.toml": '[forms.demo]\nprovider = "generic"\nauth = "none"\nsource = "demo_request"\n',
        "alerts.toml": destinations,
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory
