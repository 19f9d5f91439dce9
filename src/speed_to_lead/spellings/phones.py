"""Phone numbers, by Google's metadata (phonenumbers)."""

#: What is longer is no number, and would be looked through for nothing.
_LONGEST = 100


def phone_number(text: str, country: str) -> str:
    """The number in E.164 ("+442079460018"), with ";ext=5" behind it where it has an extension; "" where it is none.

    `country` (ISO 3166, or "") is where a number without its country's code is from. A leading 00 counts as +. What
    could only be dialled from the same town, and two numbers in one text, are none: no one number would be meant.
    """
    import phonenumbers  # noqa: PLC0415 - its lists are slow to load, and most leads are known by their e-mail
    from phonenumbers import ValidationResult  # noqa: PLC0415

    text = text.strip()
    if not text or len(text) > _LONGEST:
        return ""
    if text.startswith("00"):
        text = f"+{text[2:]}"
    try:
        number = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        return ""
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return ""
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{found};ext={number.extension}" if number.extension else found
