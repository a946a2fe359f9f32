"""The grammar of client order ids and sub-tags."""

import pytest

from trueup.core.tags import Tag, TagReader

READER = TagReader("Bytelyst", ["bot", "bot-2", "Alpha", "desk:7", "desk"])


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("bytelyst-bot-TRD-1", Tag("bot", ("trd-1",))),
        ("bytelyst-bot-TRD-1-exit", Tag("bot", ("trd-1", "trd-1-exit"))),
        ("bytelyst-bot-TRD-1-entry", Tag("bot", ("trd-1", "trd-1-entry"), is_entry=True)),
        ("  BYTELYST-BOT-trd-1-EXIT ", Tag("bot", ("trd-1", "trd-1-exit"))),
        ("bytelyst-alpha-T", Tag("Alpha", ("t",))),
        ("bytelyst-bot-2-TRD-1", Tag("bot-2", ("trd-1",))),
        ("bytelyst-bot-22", Tag("bot", ("22",))),
        ("bytelyst-bot--exit", Tag("bot", ("-exit",))),
        ("bytelyst-bot--entry", Tag("bot", ("-entry",), is_entry=True)),
        ("bytelyst-bot-a-entry-exit", Tag("bot", ("a-entry", "a-entry-exit"))),
        ("bytelyst-desk:7-TRD:1", Tag("desk:7", ("trd:1",))),
        ("bytelyst-bot", None),
        ("bytelyst-bot-", None),
        ("bytelyst-other-TRD-1", None),
        ("bytelyst-botTRD-1", None),
        ("bytelyst:bot:TRD-1", None),
        ("bytelystbot-TRD-1", None),
        ("x-bytelyst-bot-TRD-1", None),
        ("", None),
        (None, None),
    ],
)
def test_client_order_ids(text: str | None, tag: Tag | None) -> None:
    assert READER.client_order_id(text) == tag


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("bytelyst:bot:TRD-1", Tag("bot", ("trd-1",))),
        (" ByteLyst:BOT:TRD-1 ", Tag("bot", ("trd-1",))),
        ("bytelyst:bot-2:TRD-1", Tag("bot-2", ("trd-1",))),
        ("bytelyst:desk:TRD", Tag("desk", ("trd",))),
        ("bytelyst:desk:7:TRD:1", Tag("desk:7", ("trd:1",))),
        ("bytelyst:desk:7", Tag("desk", ("7",))),
        ("bytelyst:bot:TRD-1-entry", Tag("bot", ("trd-1-entry",))),
        ("bytelyst:bot:", Tag("bot", ())),
        ("bytelyst:other:TRD-1", Tag(None, ())),
        ("bytelyst::TRD-1", Tag(None, ())),
        ("bytelyst:bot", None),
        ("bytelyst-bot-TRD-1", None),
        ("other:bot:TRD-1", None),
        ("", None),
        (None, None),
    ],
)
def test_sub_tags(text: str | None, tag: Tag | None) -> None:
    assert READER.sub_tag(text) == tag


@pytest.mark.parametrize("twins", [("Bot", "bot"), ("Bot", "bot", "BOT")])
def test_profiles_that_differ_in_case_alone_are_none_of_them(twins: tuple[str, ...]) -> None:
    reader = TagReader("bytelyst", [*twins, "other"])
    assert reader.sub_tag("bytelyst:bot:TRD-1") == Tag(None, ("trd-1",))
    assert reader.client_order_id("bytelyst-bot-TRD-1") is None
    assert reader.sub_tag("bytelyst:other:T") == Tag("other", ("t",))


def test_a_profile_named_twice_is_one_profile() -> None:
    assert TagReader("b", ["bot", "bot"]).sub_tag("b:bot:T") == Tag("bot", ("t",))


def test_without_known_profiles_no_client_order_id_is_ours() -> None:
    assert TagReader("b", []).client_order_id("b-bot-T") is None


def test_the_longest_known_profile_that_fits_is_meant() -> None:
    reader = TagReader("bytelyst", ["p", "p-long", "p:long"])
    assert reader.client_order_id("bytelyst-p-long-TRD-1") == Tag("p-long", ("trd-1",))
    assert reader.client_order_id("bytelyst-p-lon-TRD-1") == Tag("p", ("lon-trd-1",))
    assert reader.sub_tag("bytelyst:p:long:TRD-1") == Tag("p:long", ("trd-1",))
