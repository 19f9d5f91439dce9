"""The people who fill in the forms: invented, at example.com, and easy to find again where they must not be."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_FIRST_NAMES: Final = ("Mara", "Nils", "Odile", "Pavel", "Quinn", "Rosa", "Sven", "Tilda", "Uwe", "Vera")

#: What no log may hold: every name, address, phone number and message of a run matches.
PERSONAL: Final = re.compile(r"Quillfeather|people\.example\.com|\+?1555\d{7}|whispered-wish")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an e-mail address, or with a phone only; `key` tells them apart."""

    key: str
    name: str
    email: str = ""
    phone: str = ""

    def fields(self, dice: random.Random) -> dict[str, str]:
        """What they write into a form: the same person, not always in the same letters."""
        written = {"name": self.name, "message": f"whispered-wish {dice.randrange(10**9)}"}
        if self.email:
            written["email"] = dice.choice((self.email, self.email.upper(), f" {self.email} "))
        if self.phone:
            digits = self.phone.removeprefix("+")
            written["phone"] = dice.choice(
                (self.phone, f"00{digits}", f"+{digits[0]} {digits[1:4]} {digits[4:]}")
            )
        return written


def new_person(number: int, dice: random.Random) -> Person:
    """Person number so-and-so of a run; one in six gives no e-mail address."""
    name = f"{dice.choice(_FIRST_NAMES)} Quillfeather-{number}"
    phone = f"+1555{number:07}"
    if dice.random() < 1 / 6:
        return Person(phone, name, phone=phone)
    email = f"p{number}@people.example.com"
    return Person(email, name, email=email, phone=phone if dice.random() < 0.3 else "")


def person_of(fields: Mapping[str, object]) -> str:
    """Who wrote these fields: the address, else the digits of the phone."""
    email = str(fields.get("email") or "").strip().casefold()
    if email:
        return email
    digits = re.sub(r"\D", "", str(fields.get("phone") or "")).removeprefix("00")
    return f"+{digits}" if digits else ""
