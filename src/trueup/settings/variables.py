"""The variables that hold an account's secrets: which there are, and that a name of one is not the secret itself.

A key of 64 letters and digits is a name that a shell would take. What stands in trueup.toml by mistake is never
repeated by a message or a table.
"""

import re
from collections.abc import Sequence

from trueup.core.errors import nearest
from trueup.settings.values import Rule, spelt

SECRETS = ("key", "secret", "password", "uid", "wallet", "private_key", "login", "token", "twofa", "account_id")
"""What an account may need, by our names; each is set as the name of a variable, under the name and `_env`."""

_OF_VENUE = {"alpaca": ("key", "secret")}
_CALLED: dict[str, str] = {
    "apikey": "key", "accesskey": "key", "keyid": "key", "apikeyid": "key", "apisecret": "secret",
    "secretkey": "secret", "apisecretkey": "secret", "passphrase": "password", "apipassphrase": "password",
    "pass": "password", "pwd": "password", "apipassword": "password", "walletaddress": "wallet", "address": "wallet",
    "userid": "uid", "privatekey": "private_key", "accountid": "account_id", "apitoken": "token", "otp": "twofa",
}  # fmt: skip
"""What others call them, in small letters alone."""

_SECRET = re.compile(r"key|secret|token|pass|pwd|credential|wallet|twofa", re.IGNORECASE)
_LONGEST = 64
_SHORT_PART = 15
_LONGEST_WORD = 32
_SHORT = 24
_FEW_DIGITS = 3


def keys_of(venue: str) -> tuple[str, ...]:
    """Return the settings by which an account at a venue names the variables of its secrets."""
    names = _OF_VENUE.get(venue.partition(":")[0].strip().lower(), SECRETS)
    return tuple(f"{name}_env" for name in names)


def hint_on_secret(key: str, known: Sequence[str]) -> str | None:
    """Return what to write in place of a key that is not known and is about a secret; None where it is about none."""
    named = key.lower().endswith("_env") and key.lower() != "_env"
    if not named and not _SECRET.search(key):
        return None
    stem = "".join(character for character in key.lower().removesuffix("_env") if character.isalnum())
    meant = _CALLED.get(stem, next((name for name in SECRETS if name.replace("_", "") == stem), "")) + "_env"
    if named and meant != "_env":
        return f"Use {meant}." if meant in known else f"Known of this venue: {', '.join(known)}."
    if named:
        return nearest(key[:100].lower(), known)
    use = meant if meant in known else " or ".join(known[:2])
    return f"Secrets come from the environment only: use {use}, with the name of the variable that holds it."


def _variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("it is not the name of an environment variable")
    if not _is_name(value):
        raise ValueError("it looks like the secret itself, not like the name of a variable, and is not shown")
    return value


VARIABLE = Rule(_variable, 'the name of the variable that holds the secret ("BINANCE_KEY"), never the secret')


def _is_name(text: str) -> bool:
    """Say whether a text is made of words, as names are: short ones, or long ones without digits between the letters.

    >>> [_is_name(name) for name in ("BINANCE_KEY", "ApcaApiSecretKey", "main_bot_2_secret", "AB12CD34EF56GH78")]
    [True, True, True, False]
    """
    mixed = text != text.upper() and text != text.lower()
    digits = sum(character.isdigit() for character in text)
    if len(text) > _LONGEST or (mixed and digits > _FEW_DIGITS and len(text) > _SHORT):
        return False
    return all(len(part) <= _SHORT_PART or (part.isalpha() and len(part) <= _LONGEST_WORD) for part in text.split("_"))


def told(variable: str) -> str:
    """Return a variable's name as an output may hold it: what is not spelt as names are may be a passphrase."""
    if variable == variable.upper() or ("_" in variable and variable == variable.lower()):
        return spelt(variable)
    return "a name with small letters, not shown"
