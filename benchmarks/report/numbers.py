"""Figures as people read them: three digits that matter, thousands set apart, and how far the rounds lie apart."""

from benchmarks.finding import Row


def figure(value: float) -> str:
    """`12,300`, `123`, `12.3`, `0.123`."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        digits = f"{float(f'{value:.3g}'):,.0f}"
    elif size >= 0.001:
        digits = f"{float(f'{value:.3g}'):g}"
    else:
        digits = f"{value:.2g}"
    return digits


def exact(value: float) -> str:
    """A limit as it was written: `8`, `0.6`, `1,500`."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def spread(row: Row) -> str:
    """How far the rounds lie from the median, at most, on either side: `±4 %`."""
    if len(row.figures) < 2 or not row.median:
        return ""
    widest = max(abs(one - row.median) for one in row.figures) / abs(row.median)
    return f"±{widest * 100:.0f} %"
