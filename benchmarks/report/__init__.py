"""What `python -m benchmarks` shows: one report, as JSON, as tables in a terminal, as a page, as a block of the README.

machine.py    what it was measured on, and when
document.py   the report as a value, and as JSON; everything below is drawn from it
numbers.py    figures as people read them
table.py      a terminal
page.py       report.html, one file without scripts; svg.py draws its bars and plots
readme.py     the block between two marks in README.md, which a test compares with report.json
"""
