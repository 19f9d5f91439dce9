"""What one would otherwise write or install for the same job: one file each, written as somebody who knows that tool would."""
