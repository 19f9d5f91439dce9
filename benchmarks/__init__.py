"""What takes minutes rather than seconds: measured, attacked, and proved on real processes. Not part of the package."""
