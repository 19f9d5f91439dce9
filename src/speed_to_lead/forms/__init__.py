"""Form tools: what each sends, how it proves itself, and what its answers mean. One file each; the registry is here."""
