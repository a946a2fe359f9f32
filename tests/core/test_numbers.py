"""Exact decimals: how numbers are read, written, cut and rounded."""

from decimal import Context, Decimal, localcontext

import pytest

from trueup.core.decimals import EXACT, cut_quantity, exactly, plain, read_decimal, read_quantity, round_price


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1", "1"), (" 1.50 ", "1.50"), ("-2", "-2"), ("+3", "3"), ("1e3", "1E+3"), (7, "7"), (-7, "-7"), (0.1, "0.1"),
        (1e-7, "1E-7"), (1e19, "1e19"), (Decimal("2.500"), "2.500"),
        ("99999999999999999999.9", "99999999999999999999.9"),
        ("-99999999999999999999", "-99999999999999999999"), ("0." + "0" * 39 + "1", "1e-40"),
    ],
)  # fmt: skip
def test_numbers_are_read_exactly(value: object, number: str) -> None:
    assert str(read_decimal(value)) == str(Decimal(number))


@pytest.mark.parametrize("zero", ["0", "-0", "0.000", "0e999", Decimal("-0.0"), 0, -0.0, "0e-90"])
def test_every_zero_is_the_plain_zero(zero: object) -> None:
    assert str(read_decimal(zero)) == "0"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "None is not a number"), (True, "True is not a number"), ("", "'' is not a number"),
        ("one", "'one' is not a number"), ("1_000", "'1_000' is not a number"), ("1,5", "'1,5' is not a number"),
        ("٣", "'٣' is not a number"), (b"1", "b'1' is not a number"), ([], "[] is not a number"),
        ("nan", "'nan' is not a finite number"), ("-inf", "'-inf' is not a finite number"),
        ("sNaN", "'sNaN' is not a finite number"), (float("nan"), "nan is not a finite number"),
        (Decimal("Infinity"), "Decimal('Infinity') is not a finite number"),
        ("1e20", "'1e20' is outside what a quantity or price can be"),
        (10**20, "100000000000000000000 is outside what a quantity or price can be"),
        ("-1e20", "'-1e20' is outside what a quantity or price can be"),
        ("1e-41", "'1e-41' is outside what a quantity or price can be"),
        ("1e999999999", "'1e999999999' is outside what a quantity or price can be"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_said(value: object, why: str) -> None:
    with pytest.raises(ValueError, match="is") as refusal:
        read_decimal(value)
    assert str(refusal.value) == why


def test_quantities_are_not_negative() -> None:
    assert read_quantity("0") == 0
    assert read_quantity("0.5") == Decimal("0.5")
    with pytest.raises(ValueError, match=r"^'-0.1' is negative$"):
        read_quantity("-0.1")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1", "1"), ("1.500", "1.5"), ("100", "100"), ("1E+2", "100"), ("1E-8", "0.00000001"), ("-0.10", "-0.1"),
        ("0", "0"), ("0.00", "0"), ("-0", "0"), ("-0.0", "0"), ("10.0", "10"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ],
)  # fmt: skip
def test_plain_text_has_no_exponent_and_no_trailing_zeros(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


def test_quantities_are_cut_towards_zero_and_prices_rounded_half_even() -> None:
    tail = "0." + "0" * 17
    assert cut_quantity(Decimal(tail + "19")) == Decimal(tail + "1")
    assert cut_quantity(Decimal("-" + tail + "19")) == Decimal("-" + tail + "1")
    assert round_price(Decimal(tail + "15")) == Decimal(tail + "2")
    assert round_price(Decimal(tail + "25")) == Decimal(tail + "2")
    assert round_price(Decimal(tail + "251")) == Decimal(tail + "3")


def test_large_numbers_keep_all_places_whatever_the_context() -> None:
    large = Decimal("99999999999999999999.1234567890123456789")
    with localcontext(Context(prec=3)):
        assert str(cut_quantity(large)) == "99999999999999999999.123456789012345678"
        assert str(round_price(large)) == "99999999999999999999.123456789012345679"


def test_exactly_runs_a_function_in_the_wide_context() -> None:
    @exactly
    def product(left: Decimal, right: Decimal) -> Decimal:
        """Multiply."""
        return left * right

    with localcontext(Context(prec=3)):
        assert product(Decimal(12345), right=Decimal("1.0001")) == Decimal("12346.2345")
        assert Decimal(12345) * 1 == Decimal("1.23E+4")
    assert product.__doc__ == "Multiply."
    assert EXACT.prec == 160
